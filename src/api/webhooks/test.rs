//! `/v2/webhooks/{webhook_id}/test`: tells a webhook something now, and what came of it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond;
use crate::domain::event::{Envelope, Environment, EventKind};
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{Outcome, WebhookId};
use crate::store::audit::Action;
use crate::store::webhook::delivery::{self, Attempt, Subject};
use crate::webhook::sender::Parcel;
use crate::webhook::signature::Secret;

use super::{find, opened};

/// Stands for the instance in a test of a webhook that is told of all.
const NO_INSTANCE: &str = "000000000000";

/// What came of a test.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookTest)]
struct Tested {
    delivered: bool,
    outcome: Outcome,
    /// The status that was answered, if any was.
    #[schema(required = true, example = 200)]
    status: Option<u16>,
    #[schema(example = 87)]
    duration_ms: u64,
    /// The `webhook-id` it had.
    #[schema(example = "evt_test_0193a1b27c3d7e4f8a5b6c7d8e9f0a1b")]
    event_id: String,
}

/// Sends a webhook the event `webhook.test` and tells what came of it.
///
/// It is signed as any other, has `seq` 0, is in no log of events and is not tried again. A webhook that is disabled can be
/// tested too. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/webhooks/{webhook_id}/test", tag = "Webhooks", operation_id = "test_webhook",
    params(("webhook_id" = WebhookId, Path)),
    responses((status = 200, description = "What came of it, arrived or not.", body = Tested), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all)]
pub async fn test(call: Call) -> Result<HttpResponse, ApiError> {
    let id = call.webhook_id()?;
    let mut conn = call.state.store.acquire().await?;
    let found = find(&call, &mut conn, id).await?;
    let confidential = opened(&call, &mut conn, &found).await?;
    call.record(&mut conn, Action::WebhookTested, found.instance_id, json!({ "webhook_id": id })).await?;
    drop(conn);

    let at = call.state.clock.now();
    let instance_id =
        found.instance_id.unwrap_or_else(|| InstanceId::parse(NO_INSTANCE).expect("it is made of an id's letters"));
    let envelope = Envelope {
        id: format!("evt_test_{}", call.state.uuid().simple()),
        timestamp: at.timestamp_millis(),
        event: EventKind::WebhookTest,
        seq: 0,
        instance_id,
        session: instance_id.session_name(),
        metadata: json!({}),
        me: Value::Null,
        payload: json!({ "webhook_id": id }),
        environment: Environment::HERE,
    };
    let parcel = Parcel {
        secrets: confidential.live_secrets(at).filter_map(|kept| Secret::parse(&kept.text).ok()).collect(),
        url: confidential.url,
        headers: confidential.headers,
        id: envelope.id.clone(),
        attempt: 1,
        at,
        body: serde_json::to_vec(&envelope).expect("an event has no keys but text"),
    };
    let answer = call.state.webhooks.send_from_elsewhere(parcel).await;
    let attempt = Attempt { number: 1, outcome: answer.outcome, status: answer.status, took: answer.took, at };
    let subject = Subject { endpoint_id: id, event: None, kind: EventKind::WebhookTest };
    let mut conn = call.state.store.acquire().await?;
    delivery::append(&mut conn, subject, &attempt).await?;
    let tested = Tested {
        delivered: answer.outcome == Outcome::Delivered,
        outcome: answer.outcome,
        status: answer.status,
        duration_ms: u64::try_from(answer.took.as_millis()).unwrap_or(u64::MAX),
        event_id: envelope.id,
    };
    Ok(respond::json(StatusCode::OK, &tested))
}
