//! `/v2/session/webhook`: the one webhook that belongs to an instance, as clients of Wawp know it. Others, and those of
//! the whole account, are at `/v2/webhooks`, where this one is listed too.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use sqlx::PgConnection;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Target};
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond;
use crate::api::webhooks::document::Document;
use crate::api::webhooks::wish::Wish;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::domain::webhook::Order;
use crate::store::audit::Action;
use crate::store::webhook::endpoint::{self, Endpoint, Filter};
use crate::store::{StoreError, account};

/// The webhook of an instance.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionWebhook)]
struct Told {
    /// Null if there is none.
    #[schema(required = true)]
    webhook: Option<Document>,
    /// Told once, by the answer that makes it.
    #[schema(required = true, example = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")]
    secret: Option<String>,
}

/// Tells of the instance's webhook.
#[utoipa::path(
    get, path = "/v2/session/webhook", tag = "Webhooks", operation_id = "show_session_webhook",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "The webhook, if there is one.", body = Told), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn show(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let instance = instance(&call, target, Scope::Read, "the scope read").await?;
    let mut conn = call.state.store.acquire().await?;
    let webhook = match find(&call, &mut conn, instance).await? {
        Some(found) => Some(Document::of(&call, &mut conn, found).await?),
        None => None,
    };
    Ok(respond::json(StatusCode::OK, &Told { webhook, secret: None }))
}

/// Sets the instance's webhook, or changes it.
///
/// What is not given stays as it is; `url` is needed where there is none yet. Needs the scope `control`.
#[utoipa::path(
    post, path = "/v2/session/webhook", tag = "Webhooks", operation_id = "set_session_webhook",
    params(
        ("instance_id" = InstanceId, Query),
        ("url" = Option<String>, Query, description = "Where to: http or https, on the public internet.",
            max_length = 2000, example = "https://example.com/hooks/wa"),
        ("events" = Option<Vec<String>>, Query, example = json!(["message", "session.status"]),
            description = "Kinds of events it is told, as a list or separated by commas; all unless given, or `*`."),
        ("order" = Option<Order>, Query, description = "Whether a delivery that fails holds up the next.", example = "strict"),
        ("headers" = Option<Object>, Query, description = "Headers to add, 20 at most.",
            example = json!({"Authorization": "Bearer abc"})),
        ("secret" = Option<String>, Query, max_length = 128, description = "What to sign with; drawn unless given."),
        ("enabled" = Option<bool>, Query, description = "Whether it is sent anything.", example = true),
    ),
    responses((status = 200, description = "The webhook as it is now.", body = Told), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn set(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let wish = Wish::read(&mut read, call.state.webhooks.guard());
    read.finish()?;
    let instance = instance(&call, target, Scope::Control, "the scope control").await?;
    let now = call.state.clock.now();
    let mut tx = call.state.store.begin().await?;
    // Two that set it at once make one.
    account::lock(&mut tx, call.caller.account_id).await?.ok_or(ApiError::Unauthorized)?;
    let found = find(&call, &mut tx, instance).await?;
    let names = wish.names();
    let (webhook, secret) = match found {
        Some(found) if names.is_empty() => (found, None),
        Some(found) => {
            let found = endpoint::lock(&mut tx, call.caller.account_id, found.id).await?;
            let changed = wish.change(&call, &mut tx, found.ok_or(ApiError::WebhookNotFound)?, now).await?;
            let detail = json!({ "webhook_id": changed.id, "changed": names });
            call.record(&mut tx, Action::WebhookChanged, instance, detail).await?;
            (changed, None)
        }
        None => {
            let mut read = call.read();
            read.require("url");
            read.finish()?;
            let (made, secret) = wish.make(&call, &mut tx, (Some(instance), true), now).await?;
            call.record(&mut tx, Action::WebhookCreated, instance, json!({ "webhook_id": made.id })).await?;
            (made, secret)
        }
    };
    let webhook = Some(Document::of(&call, &mut tx, webhook).await?);
    tx.commit().await.map_err(StoreError::while_("keep the webhook of an instance"))?;
    Ok(respond::json(StatusCode::OK, &Told { webhook, secret }))
}

/// Ends the instance's webhook.
///
/// Asked again, the answer is the same. Needs the scope `control`.
#[utoipa::path(
    delete, path = "/v2/session/webhook", tag = "Webhooks", operation_id = "delete_session_webhook",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "There is none.", body = Told), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn end(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let instance = instance(&call, target, Scope::Control, "the scope control").await?;
    let mut tx = call.state.store.begin().await?;
    account::lock(&mut tx, call.caller.account_id).await?.ok_or(ApiError::Unauthorized)?;
    if let Some(found) = find(&call, &mut tx, instance).await? {
        endpoint::delete(&mut tx, call.caller.account_id, found.id).await?;
        call.record(&mut tx, Action::WebhookDeleted, instance, json!({ "webhook_id": found.id })).await?;
    }
    tx.commit().await.map_err(StoreError::while_("delete the webhook of an instance"))?;
    Ok(respond::json(StatusCode::OK, &Told { webhook: None, secret: None }))
}

async fn instance(
    call: &Call,
    target: Option<Target>,
    scope: Scope,
    needs: &'static str,
) -> Result<InstanceId, ApiError> {
    let id = call.owned(target).await?;
    if call.caller.may(scope) { Ok(id) } else { Err(ApiError::Forbidden { needs }) }
}

async fn find(call: &Call, conn: &mut PgConnection, instance: InstanceId) -> Result<Option<Endpoint>, StoreError> {
    let filter = Filter { instance_id: Some(instance), of_session: true, ..Filter::default() };
    Ok(endpoint::page(conn, call.caller.account_id, filter, 1).await?.pop())
}
