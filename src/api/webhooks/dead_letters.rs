//! `/v2/webhooks/{webhook_id}/dead-letters`: events that were given up.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, Missing};
use crate::api::respond::{self, time};
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::WebhookId;
use crate::store::webhook::dead_letter::{self, DeadLetter};

use super::find;

const MAX_LIMIT: u32 = 100;

/// A page of dead letters.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetterPage)]
struct Page {
    dead_letters: Vec<Told>,
    /// For the parameter `cursor`; `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// An event that was given up.
#[derive(Serialize, ToSchema)]
#[schema(as = DeadLetter)]
struct Told {
    #[schema(example = "evt_7K2M9QX4T0AB_17")]
    event_id: String,
    #[schema(value_type = EventKind)]
    event: String,
    #[schema(example = "7K2M9QX4T0AB")]
    instance_id: String,
    #[schema(example = 17)]
    seq: i64,
    /// When it happened.
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    #[schema(example = 10)]
    attempts: i32,
    /// What came of the last attempt, with the status if there was one.
    #[schema(example = "refused 500")]
    outcome: String,
    #[serde(serialize_with = "time")]
    parked_at: DateTime<Utc>,
    /// Whether it is about to be told again.
    replaying: bool,
}

/// Lists the events that were given up for a webhook, by instance and number.
///
/// They are kept for 30 days unless the operator chose otherwise, and told again by a replay. Needs the account's key.
#[utoipa::path(
    get, path = "/v2/webhooks/{webhook_id}/dead-letters", tag = "Webhooks", operation_id = "list_dead_letters",
    params(
        ("webhook_id" = WebhookId, Path),
        ("limit" = Option<u32>, Query, description = "Dead letters a page; 100 unless given.",
            minimum = 1, maximum = 100, example = 20),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", max_length = 100),
    ),
    responses((status = 200, description = "A page.", body = Page), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all)]
pub async fn dead_letters(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let limit = read.integer("limit", 1..=MAX_LIMIT).unwrap_or(MAX_LIMIT);
    let after = read.text("cursor", 100).and_then(|text| match parse(text) {
        Some(after) => Some(after),
        None => read.wrong("cursor", "was not given by a former page"),
    });
    read.finish()?;
    let id = call.webhook_id()?;
    let mut conn = call.state.store.acquire().await?;
    find(&call, &mut conn, id).await?;
    // One more than asked for tells whether another page follows.
    let mut found = dead_letter::page(&mut conn, id, after, limit + 1).await?;
    let is_last = found.len() <= limit as usize;
    found.truncate(limit as usize);
    let cursor = |last: &DeadLetter| URL_SAFE_NO_PAD.encode(format!("{}.{}", last.instance_id, last.seq));
    let next_cursor = found.last().filter(|_| !is_last).map(cursor);
    let dead_letters = found.into_iter().map(Told::from).collect();
    Ok(respond::json(StatusCode::OK, &Page { dead_letters, next_cursor }))
}

fn parse(cursor: &str) -> Option<(InstanceId, i64)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let (id, seq) = text.split_once('.')?;
    Some((InstanceId::parse(id).ok()?, seq.parse().ok()?))
}

impl From<DeadLetter> for Told {
    fn from(letter: DeadLetter) -> Self {
        Self {
            event_id: format!("evt_{}_{}", letter.instance_id, letter.seq),
            event: letter.kind,
            instance_id: letter.instance_id,
            seq: letter.seq,
            at: letter.at,
            attempts: letter.attempts,
            outcome: letter.outcome,
            parked_at: letter.parked_at,
            replaying: letter.replaying,
        }
    }
}
