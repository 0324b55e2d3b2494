//! `/v2/webhooks/{webhook_id}/replay`: events are told again, under the ids they had.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Target};
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::WebhookId;
use crate::store::StoreError;
use crate::store::audit::Action;
use crate::store::webhook::aside::{self, Replay};
use crate::store::webhook::{endpoint, stream};

use super::create::instance_of;

/// Events that one request may have told again.
const MOST: i64 = 10_000;

/// What is told again.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookReplay)]
struct Told {
    /// Events that this request found, 10,000 at most.
    #[schema(example = 12)]
    queued: u64,
    /// Events that are still to be told beside the stream, these among them. `backlog.aside` of the webhook tells it later.
    #[schema(example = 12)]
    waiting: i64,
}

/// Has events told again, under the ids they had.
///
/// One event (`event_id`), a range of one instance's log (`instance_id`, `from_seq`, `to_seq`), or the dead letters
/// (`dead_letters`, of one instance if it is named). Only kinds that the webhook is told; at most 10,000 events a request,
/// the oldest first. They are told beside what happens meanwhile. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/webhooks/{webhook_id}/replay", tag = "Webhooks", operation_id = "replay_webhook",
    params(
        ("webhook_id" = WebhookId, Path),
        ("event_id" = Option<String>, Query, description = "One event.", max_length = 50, example = "evt_7K2M9QX4T0AB_17"),
        ("instance_id" = Option<InstanceId>, Query, description = "Whose events."),
        ("from_seq" = Option<u32>, Query, description = "The first number of a range.",
            minimum = 1, maximum = 4_294_967_295_u32, example = 10),
        ("to_seq" = Option<u32>, Query, description = "Its last number.",
            minimum = 1, maximum = 4_294_967_295_u32, example = 20),
        ("dead_letters" = Option<bool>, Query, description = "The events that were given up.", example = false),
    ),
    responses((status = 202, description = "They will be told.", body = Told), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn replay(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let mut instance = read.named_instance();
    let event = read.text("event_id", 50).and_then(|text| match parse(text) {
        Some(event) => Some(event),
        None => read.wrong("event_id", "must be an event's id, as evt_7K2M9QX4T0AB_17"),
    });
    let from = read.integer("from_seq", 1..=u32::MAX);
    let to = read.integer("to_seq", 1..=u32::MAX);
    let dead_letters = read.boolean("dead_letters").unwrap_or(false);
    let range = match (event, from.zip(to)) {
        (Some((id, seq)), None) => {
            instance = instance.or(Some(Target::Id(id)));
            Some((seq, seq))
        }
        (None, Some((from, to))) => {
            read.require("instance_id");
            Some((from.into(), to.into()))
        }
        (Some(_), Some(_)) | (None, None) => None,
    };
    if usize::from(range.is_some()) + usize::from(dead_letters) != 1 {
        read.wrong::<()>("event_id", "or from_seq with to_seq, or dead_letters is needed, and one of them only");
    }
    read.finish()?;
    let id = call.webhook_id()?;
    let instance = instance_of(&call, instance).await?;
    let wanted = match range.zip(instance) {
        Some(((from, to), instance)) => Replay::Range(instance, from, to),
        None => Replay::DeadLetters(instance),
    };
    let mut tx = call.state.store.begin().await?;
    let found = endpoint::lock(&mut tx, call.caller.account_id, id).await?.ok_or(ApiError::WebhookNotFound)?;
    let now = call.state.clock.now();
    let queued = aside::replay(&mut tx, (id, &found.subscription), wanted, MOST, now).await?;
    let detail = json!({ "webhook_id": id, "events": queued });
    call.record(&mut tx, Action::WebhookReplayed, instance, detail).await?;
    let waiting = stream::backlogs(&mut tx, &[id]).await?.pop().unwrap_or_default().aside;
    tx.commit().await.map_err(StoreError::while_("keep what is to be told again"))?;
    Ok(respond::json(StatusCode::ACCEPTED, &Told { queued, waiting }))
}

fn parse(text: &str) -> Option<(InstanceId, i64)> {
    let (id, seq) = text.strip_prefix("evt_")?.split_once('_')?;
    Some((InstanceId::parse(id).ok()?, seq.parse().ok().filter(|seq| *seq > 0)?))
}
