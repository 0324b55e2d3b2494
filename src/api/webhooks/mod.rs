//! `/v2/webhooks`: where an account is told of events. One file an operation; `/v2/session/webhook` and the `config` of
//! `/v2/session/create` read and answer by the same `wish` and `document`.
//!
//! Whichever node the client talks to does this itself: a webhook is the account's, not an instance's owner's.

pub mod change;
pub mod create;
pub mod dead_letters;
pub mod delete;
pub mod deliveries;
pub(in crate::api) mod document;
pub mod list;
pub mod replay;
pub mod rotate_secret;
pub mod show;
pub mod test;
pub(crate) mod wish;

use sqlx::PgConnection;

use crate::domain::webhook::WebhookId;
use crate::store::webhook::endpoint::{self, Confidential, Endpoint, Filter};

use super::error::ApiError;
use super::extract::Call;

impl Call {
    /// The webhook that the path names, which needs the account's key. What is no id is no webhook.
    fn webhook_id(&self) -> Result<WebhookId, ApiError> {
        self.account_key()?;
        self.path("webhook_id").and_then(WebhookId::parse).ok_or(ApiError::WebhookNotFound)
    }
}

/// A webhook of the caller's account.
async fn find(call: &Call, conn: &mut PgConnection, id: WebhookId) -> Result<Endpoint, ApiError> {
    let filter = Filter { id: Some(id), ..Filter::default() };
    let found = endpoint::page(conn, call.caller.account_id, filter, 1).await?.pop();
    found.ok_or(ApiError::WebhookNotFound)
}

/// What is sealed of a webhook of the caller's account.
pub(in crate::api) async fn opened(
    call: &Call,
    conn: &mut PgConnection,
    endpoint: &Endpoint,
) -> Result<Confidential, ApiError> {
    let cipher = call.state.vault.account_cipher(conn, endpoint.account_id).await?;
    Confidential::open(&cipher, endpoint.id, &endpoint.sealed).map_err(|error| ApiError::Internal(Box::new(error)))
}
