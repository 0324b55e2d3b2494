//! `/v2/webhooks`, POST: a new webhook. The only answer that shows its secret.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use chrono::SubsecRound;
use serde_json::{Value, json};

use crate::api::error::ApiError;
use crate::api::extract::{Call, Target};
use crate::api::idempotency::{Claim, Kept, REPLAYED, SECRET_KEPT, Turn};
use crate::api::openapi::answers::{Conflicting, EveryRoute, Missing, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{Order, WebhookId};
use crate::store::audit::Action;
use crate::store::idempotency::Answer;
use crate::store::{StoreError, account};

use super::document::{Document, WithSecret};
use super::wish::Wish;
use super::{find, opened};

/// What an idempotency key is claimed for.
const OPERATION: &str = "webhook.create";

/// Creates a webhook.
///
/// It is told what happens from now on, of one instance or of all. The answer is the only one that shows its secret. Needs
/// the account's key.
///
/// With an `Idempotency-Key` the same request may be sent again for a day: it is served once. The secret is repeated for 10
/// minutes.
#[utoipa::path(
    post, path = "/v2/webhooks", tag = "Webhooks", operation_id = "create_webhook",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one request.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-hook-1"),
        ("url" = String, Query, description = "Where to: http or https, on the public internet.", max_length = 2000,
            example = "https://example.com/hooks/wa"),
        ("instance_id" = Option<InstanceId>, Query,
            description = "The one instance it is told of; all of the account unless given, those to come included."),
        ("events" = Option<Vec<String>>, Query, example = json!(["message", "session.status"]),
            description = "Kinds of events it is told, as a list or separated by commas; all unless given, or `*`."),
        ("order" = Option<Order>, Query, example = "strict",
            description = "`strict` (the default): an event that cannot be delivered holds up those after it for about 35 \
                minutes, then it is given up. `relaxed`: for a minute, then it is tried again beside them for three days."),
        ("headers" = Option<Object>, Query, example = json!({"Authorization": "Bearer abc"}),
            description = "Headers to add, 20 at most."),
        ("secret" = Option<String>, Query, max_length = 128,
            description = "What to sign with, for a receiver that has a secret already: `whsec_` and base64, or 16 to 128 \
                visible characters. Drawn unless given."),
        ("enabled" = Option<bool>, Query, description = "Whether it is sent anything; true unless given.", example = true),
    ),
    responses(
        (status = 201, description = "The new webhook.", body = WithSecret, headers(("Idempotency-Replayed"))),
        EveryRoute, Missing, Conflicting, OfStatus,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn create(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let key = call.idempotency_key(&mut read);
    let instance = read.named_instance();
    read.require("url");
    let wish = Wish::read(&mut read, call.state.webhooks.guard());
    read.finish()?;
    call.account_key()?;
    let instance = instance_of(&call, instance).await?;
    let request = json!({ "instance_id": instance, "wish": wish.request() });
    let claim = match call.claim(key, OPERATION, &request).await? {
        Turn::Ours(claim) => claim,
        Turn::Answered(kept) => return replayed(&call, kept).await,
    };
    match insert(&call, wish, instance, &claim).await {
        Ok(made) => Ok(respond::json(StatusCode::CREATED, &made)),
        Err(error) => {
            claim.release(&call).await;
            Err(error)
        }
    }
}

/// The instance that a webhook is to be told of, if one was named.
pub(super) async fn instance_of(call: &Call, target: Option<Target>) -> Result<Option<InstanceId>, ApiError> {
    match target {
        None => Ok(None),
        target @ Some(_) => call.owned(target).await.map(Some),
    }
}

async fn insert(call: &Call, wish: Wish, instance: Option<InstanceId>, claim: &Claim) -> Result<WithSecret, ApiError> {
    // PostgreSQL keeps microseconds; what is answered now is what is answered later.
    let now = call.state.clock.now().trunc_subsecs(6);
    let mut tx = call.state.store.begin().await?;
    account::lock(&mut tx, call.caller.account_id).await?.ok_or(ApiError::Unauthorized)?;
    let (made, secret) = wish.make(call, &mut tx, (instance, false), now).await?;
    let id = made.id;
    call.record(&mut tx, Action::WebhookCreated, instance, json!({ "webhook_id": id })).await?;
    let webhook = Document::of(call, &mut tx, made).await?;
    let body = serde_json::to_string(&webhook).expect("our documents have no keys but text");
    let drawn = secret.is_some().then_some(id.0);
    claim.answer(call, &mut tx, Answer { status: StatusCode::CREATED.as_u16(), body, secret: drawn }).await?;
    tx.commit().await.map_err(StoreError::while_("keep a new webhook"))?;
    tracing::info!(webhook.id = %id, "webhook created");
    Ok(WithSecret { webhook, secret })
}

/// The answer that was given before. The secret is the webhook's, for as long as a secret is repeated.
async fn replayed(call: &Call, kept: Kept) -> Result<HttpResponse, ApiError> {
    let mut document: Value = serde_json::from_str(&kept.body).map_err(|error| ApiError::Internal(error.into()))?;
    document["secret"] = secret_of(call, &document).await?.into();
    let mut answer = respond::json(StatusCode::CREATED, &document);
    answer.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(answer)
}

async fn secret_of(call: &Call, document: &Value) -> Result<Option<String>, ApiError> {
    let Some(id) = document["webhook_id"].as_str().and_then(WebhookId::parse) else { return Ok(None) };
    let mut conn = call.state.store.acquire().await?;
    let endpoint = match find(call, &mut conn, id).await {
        Ok(endpoint) if call.state.clock.now() < endpoint.created_at + SECRET_KEPT => endpoint,
        Ok(_) | Err(ApiError::WebhookNotFound) => return Ok(None),
        Err(error) => return Err(error),
    };
    let first = opened(call, &mut conn, &endpoint).await?.secrets.into_iter().last();
    Ok(first.map(|secret| secret.text))
}
