//! `/v2/webhooks/{webhook_id}`, DELETE: ends a webhook.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond;
use crate::domain::webhook::WebhookId;
use crate::store::StoreError;
use crate::store::audit::Action;
use crate::store::webhook::endpoint;

/// What was deleted.
#[derive(Serialize, ToSchema)]
#[schema(as = DeletedWebhook)]
struct Deleted {
    webhook_id: WebhookId,
    #[serde(rename = "deleted")]
    is_gone: bool,
}

/// Deletes a webhook, with what was still to be told to it.
///
/// Needs the account's key.
#[utoipa::path(
    delete, path = "/v2/webhooks/{webhook_id}", tag = "Webhooks", operation_id = "delete_webhook",
    params(("webhook_id" = WebhookId, Path)),
    responses((status = 200, description = "It is gone.", body = Deleted), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all)]
pub async fn delete(call: Call) -> Result<HttpResponse, ApiError> {
    let id = call.webhook_id()?;
    let mut tx = call.state.store.begin().await?;
    let found = endpoint::lock(&mut tx, call.caller.account_id, id).await?.ok_or(ApiError::WebhookNotFound)?;
    endpoint::delete(&mut tx, call.caller.account_id, id).await?;
    call.record(&mut tx, Action::WebhookDeleted, found.instance_id, json!({ "webhook_id": id })).await?;
    tx.commit().await.map_err(StoreError::while_("delete a webhook"))?;
    Ok(respond::json(StatusCode::OK, &Deleted { webhook_id: id, is_gone: true }))
}
