//! `/v2/webhooks/{webhook_id}/deliveries`: every attempt at a delivery, newest first.

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
use crate::domain::webhook::{Outcome, WebhookId};
use crate::store::webhook::delivery::{self, Line};

use super::find;

const MAX_LIMIT: u32 = 100;

/// A page of attempts.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDeliveryPage)]
struct Page {
    deliveries: Vec<Told>,
    /// For the parameter `cursor`; `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// An attempt at a delivery.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookDelivery)]
struct Told {
    #[serde(serialize_with = "time")]
    at: DateTime<Utc>,
    /// Null for a test.
    #[schema(required = true, example = "evt_7K2M9QX4T0AB_17")]
    event_id: Option<String>,
    #[schema(value_type = EventKind)]
    event: String,
    #[schema(required = true, example = "7K2M9QX4T0AB")]
    instance_id: Option<String>,
    #[schema(required = true, example = 17)]
    seq: Option<i64>,
    /// Which attempt at its event, from 1.
    #[schema(example = 1)]
    attempt: i32,
    #[schema(value_type = Outcome)]
    outcome: String,
    /// The status that was answered, if any was.
    #[schema(required = true, example = 200)]
    status: Option<i16>,
    #[schema(example = 87)]
    duration_ms: i32,
}

/// Lists the attempts at deliveries to a webhook, newest first.
///
/// They are kept for a week unless the operator chose otherwise. Needs the account's key.
#[utoipa::path(
    get, path = "/v2/webhooks/{webhook_id}/deliveries", tag = "Webhooks", operation_id = "list_webhook_deliveries",
    params(
        ("webhook_id" = WebhookId, Path),
        ("limit" = Option<u32>, Query, description = "Attempts a page; 100 unless given.",
            minimum = 1, maximum = 100, example = 20),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", max_length = 100),
    ),
    responses((status = 200, description = "A page.", body = Page), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all)]
pub async fn deliveries(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let limit = read.integer("limit", 1..=MAX_LIMIT).unwrap_or(MAX_LIMIT);
    let before = read.text("cursor", 100).and_then(|text| match parse(text) {
        Some(id) => Some(id),
        None => read.wrong("cursor", "was not given by a former page"),
    });
    read.finish()?;
    let id = call.webhook_id()?;
    let mut conn = call.state.store.acquire().await?;
    find(&call, &mut conn, id).await?;
    // One more than asked for tells whether another page follows.
    let mut lines = delivery::page(&mut conn, id, before, limit + 1).await?;
    let is_last = lines.len() <= limit as usize;
    lines.truncate(limit as usize);
    let next_cursor = lines.last().filter(|_| !is_last).map(|line| URL_SAFE_NO_PAD.encode(line.id.to_string()));
    let deliveries = lines.into_iter().map(Told::from).collect();
    Ok(respond::json(StatusCode::OK, &Page { deliveries, next_cursor }))
}

fn parse(cursor: &str) -> Option<i64> {
    String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?.parse().ok()
}

impl From<Line> for Told {
    fn from(line: Line) -> Self {
        let event_id = line.instance_id.as_ref().zip(line.seq).map(|(id, seq)| format!("evt_{id}_{seq}"));
        Self {
            at: line.at,
            event_id,
            event: line.kind,
            instance_id: line.instance_id,
            seq: line.seq,
            attempt: line.attempt,
            outcome: line.outcome,
            status: line.status,
            duration_ms: line.took_ms,
        }
    }
}
