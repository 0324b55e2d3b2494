//! `/v2/webhooks/{webhook_id}/rotate-secret`: a new secret, while the old one still signs.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::TimeDelta;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond;
use crate::domain::webhook::WebhookId;
use crate::store::StoreError;
use crate::store::audit::Action;
use crate::store::webhook::endpoint::{self, KeptSecret};
use crate::webhook::signature::Secret;

use super::document::{Document, WithSecret};
use super::opened;

const DAY: u32 = 24 * 60 * 60;
const MAX_OVERLAP: u32 = 30 * DAY;

/// Secrets that sign at once; the oldest end early where there would be more.
const MOST_SECRETS: usize = 5;

/// Gives a webhook a new secret.
///
/// For a while deliveries are signed with the old one too: `webhook-signature` then holds several signatures. The answer
/// is the only one that shows it. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/webhooks/{webhook_id}/rotate-secret", tag = "Webhooks", operation_id = "rotate_webhook_secret",
    params(
        ("webhook_id" = WebhookId, Path),
        ("overlap" = Option<u32>, Query, minimum = 0, maximum = 2_592_000, example = 3_600,
            description = "Seconds for which the old secret goes on; a day unless given, 0 if it leaked."),
    ),
    responses((status = 200, description = "The webhook and its new secret.", body = WithSecret), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all)]
pub async fn rotate_secret(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let overlap = read.integer("overlap", 0..=MAX_OVERLAP).unwrap_or(DAY);
    read.finish()?;
    let id = call.webhook_id()?;
    let now = call.state.clock.now();
    let mut tx = call.state.store.begin().await?;
    let mut found = endpoint::lock(&mut tx, call.caller.account_id, id).await?.ok_or(ApiError::WebhookNotFound)?;
    let mut confidential = opened(&call, &mut tx, &found).await?;
    let secret = Secret::generate(&mut call.state.rng());
    let ends = now + TimeDelta::seconds(overlap.into());
    for old in &mut confidential.secrets {
        old.until = Some(old.until.map_or(ends, |until| until.min(ends)));
    }
    confidential.secrets.retain(|old| old.until.is_some_and(|until| until > now));
    confidential.secrets.insert(0, KeptSecret { text: secret.expose().to_owned(), until: None });
    confidential.secrets.truncate(MOST_SECRETS);
    let cipher = call.state.vault.account_cipher(&mut tx, found.account_id).await?;
    found.sealed = confidential.seal(&cipher, id);
    endpoint::update(&mut tx, &found).await?;
    let detail = json!({ "webhook_id": id, "overlap": overlap });
    call.record(&mut tx, Action::WebhookSecretRotated, found.instance_id, detail).await?;
    let webhook = Document::of(&call, &mut tx, found).await?;
    tx.commit().await.map_err(StoreError::while_("keep a webhook's new secret"))?;
    Ok(respond::json(StatusCode::OK, &WithSecret { webhook, secret: Some(secret.expose().to_owned()) }))
}
