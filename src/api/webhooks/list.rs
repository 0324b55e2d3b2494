//! `/v2/webhooks`, GET: an account's webhooks, a page at a time, oldest first.

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
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::WebhookId;
use crate::store::webhook::endpoint::{self, Endpoint, Filter};

use super::create::instance_of;
use super::document::Document;

const MAX_LIMIT: u32 = 100;

/// A page of webhooks.
#[derive(Serialize, ToSchema)]
#[schema(as = WebhookPage)]
struct Page {
    webhooks: Vec<Document>,
    /// For the parameter `cursor`; `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Lists the account's webhooks, oldest first.
///
/// Needs the account's key.
#[utoipa::path(
    get, path = "/v2/webhooks", tag = "Webhooks", operation_id = "list_webhooks",
    params(
        ("instance_id" = Option<InstanceId>, Query, description = "Only those of this instance alone."),
        ("limit" = Option<u32>, Query, description = "Webhooks a page; 100 unless given.",
            minimum = 1, maximum = 100, example = 20),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", max_length = 100),
    ),
    responses((status = 200, description = "A page.", body = Page), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn list(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let instance = read.named_instance();
    let limit = read.integer("limit", 1..=MAX_LIMIT).unwrap_or(MAX_LIMIT);
    let after = read.text("cursor", 100).and_then(|text| match parse(text) {
        Some(cursor) => Some(cursor),
        None => read.wrong("cursor", "was not given by a former page"),
    });
    read.finish()?;
    call.account_key()?;
    let instance_id = instance_of(&call, instance).await?;
    let mut conn = call.state.store.acquire().await?;
    let filter = Filter { instance_id, after, ..Filter::default() };
    // One more than asked for tells whether another page follows.
    let mut found = endpoint::page(&mut conn, call.caller.account_id, filter, limit + 1).await?;
    let is_last = found.len() <= limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| !is_last).map(text);
    let webhooks = Document::of_all(&call, &mut conn, &found).await?;
    Ok(respond::json(StatusCode::OK, &Page { webhooks, next_cursor }))
}

fn text(last: &Endpoint) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{}", last.created_at.timestamp_micros(), last.id))
}

fn parse(text: &str) -> Option<(DateTime<Utc>, WebhookId)> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (micros, id) = text.split_once('.')?;
    Some((DateTime::from_timestamp_micros(micros.parse().ok()?)?, WebhookId::parse(id)?))
}
