//! `/v2/webhooks/{webhook_id}`, POST: changes a webhook.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond;
use crate::domain::webhook::{Order, WebhookId};
use crate::store::StoreError;
use crate::store::audit::Action;
use crate::store::webhook::endpoint;

use super::document::Document;
use super::wish::Wish;

/// Changes a webhook.
///
/// What is not given stays as it is. One that was disabled and is enabled goes on where it stopped, as far as events are
/// kept. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/webhooks/{webhook_id}", tag = "Webhooks", operation_id = "change_webhook",
    params(
        ("webhook_id" = WebhookId, Path),
        ("url" = Option<String>, Query, description = "Where to: http or https, on the public internet.",
            max_length = 2000, example = "https://example.com/hooks/wa"),
        ("events" = Option<Vec<String>>, Query, example = json!(["message", "session.status"]),
            description = "Kinds of events it is told, as a list or separated by commas; `*` for all."),
        ("order" = Option<Order>, Query, description = "Whether a delivery that fails holds up the next.", example = "strict"),
        ("headers" = Option<Object>, Query, example = json!({"Authorization": "Bearer abc"}),
            description = "Headers to add, instead of all there were."),
        ("secret" = Option<String>, Query, max_length = 128,
            description = "What to sign with from now on, instead of all secrets there were."),
        ("enabled" = Option<bool>, Query, description = "Whether it is sent anything.", example = true),
    ),
    responses((status = 200, description = "The webhook after the change.", body = Document), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all)]
pub async fn change(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let wish = Wish::read(&mut read, call.state.webhooks.guard());
    read.finish()?;
    let id = call.webhook_id()?;
    let now = call.state.clock.now();
    let mut tx = call.state.store.begin().await?;
    let mut found = endpoint::lock(&mut tx, call.caller.account_id, id).await?.ok_or(ApiError::WebhookNotFound)?;
    let names = wish.names();
    if !names.is_empty() {
        found = wish.change(&call, &mut tx, found, now).await?;
        let detail = json!({ "webhook_id": id, "changed": names });
        call.record(&mut tx, Action::WebhookChanged, found.instance_id, detail).await?;
    }
    let document = Document::of(&call, &mut tx, found).await?;
    tx.commit().await.map_err(StoreError::while_("keep a webhook's changes"))?;
    Ok(respond::json(StatusCode::OK, &document))
}
