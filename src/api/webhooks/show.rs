//! `/v2/webhooks/{webhook_id}`, GET: one webhook.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond;
use crate::domain::webhook::WebhookId;

use super::document::Document;
use super::find;

/// Tells of a webhook: how it is set up, whether it works, what waits for it.
///
/// Needs the account's key.
#[utoipa::path(
    get, path = "/v2/webhooks/{webhook_id}", tag = "Webhooks", operation_id = "show_webhook",
    params(("webhook_id" = WebhookId, Path)),
    responses((status = 200, description = "The webhook.", body = Document), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all)]
pub async fn show(call: Call) -> Result<HttpResponse, ApiError> {
    let id = call.webhook_id()?;
    let mut conn = call.state.store.acquire().await?;
    let found = find(&call, &mut conn, id).await?;
    Ok(respond::json(StatusCode::OK, &Document::of(&call, &mut conn, found).await?))
}
