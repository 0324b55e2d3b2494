//! `/v2/session/list`: an account's instances, a page at a time, oldest first.

use std::collections::HashMap;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::DateTime;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::EveryRoute;
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::session::{SessionView, Status};
use crate::store::event;
use crate::store::instance::{self, Cursor, Instance};
use crate::store::lease;

use super::document::Info;

const MAX_LIMIT: u32 = 100;

/// A page of instances.
#[derive(Serialize, ToSchema)]
#[schema(as = SessionPage)]
struct Page {
    sessions: Vec<Info>,
    /// For the parameter `cursor`; `null` on the last page.
    #[schema(required = true)]
    next_cursor: Option<String>,
}

/// Lists the account's instances, oldest first.
///
/// Needs the account's key.
#[utoipa::path(
    method(post, get), path = "/v2/session/list", tag = "Sessions",
    params(
        ("status" = Option<Status>, Query, description = "Only those that stand there.", example = "WORKING"),
        ("limit" = Option<u32>, Query, description = "Instances a page; 100 unless given.",
            minimum = 1, maximum = 100, example = 20),
        ("cursor" = Option<String>, Query, description = "`next_cursor` of the page before.", max_length = 100),
    ),
    responses((status = 200, description = "A page.", body = Page), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn list(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let limit = read.integer("limit", 1..=MAX_LIMIT).unwrap_or(MAX_LIMIT);
    let status = read.status("status");
    let cursor = read.text("cursor", 100).and_then(|text| match parse(text) {
        Some(cursor) => Some(cursor),
        None => read.wrong("cursor", "was not given by a former page"),
    });
    read.finish()?;
    call.account_key()?;
    let mut conn = call.state.store.acquire().await?;
    // One more than asked for tells whether another page follows.
    let mut found = instance::page(&mut conn, call.caller.account_id, cursor, status, limit + 1).await?;
    drop(conn);
    let is_last = found.len() <= limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| !is_last).map(text);
    let sessions = described(&call, found, status).await?;
    Ok(respond::json(StatusCode::OK, &Page { sessions, next_cursor }))
}

/// Each instance with its session and the name of its owner. Those that were deleted in the meantime are left out, and
/// those that have left `status`.
async fn described(call: &Call, found: Vec<Instance>, status: Option<Status>) -> Result<Vec<Info>, ApiError> {
    let ids: Vec<InstanceId> = found.iter().map(|instance| instance.id).collect();
    let views = call.state.sessions.views(&ids).await?;
    let mut views: HashMap<InstanceId, SessionView> = views.into_iter().map(|view| (view.instance_id, view)).collect();
    let mut conn = call.state.store.acquire().await?;
    let mut owners: HashMap<InstanceId, String> = lease::owner_names(&mut conn, &ids).await?.into_iter().collect();
    let last_at = event::last_at(&mut conn, &ids).await?;
    drop(conn);
    let described = found.into_iter().filter_map(|instance| {
        let shown = |view: &SessionView| status.is_none_or(|status| view.status == status);
        let mut view = views.remove(&instance.id).filter(shown)?;
        view.liveness.last_event_at = last_at.get(&instance.id).copied();
        let owner = owners.remove(&instance.id);
        Some(Info::new(instance, view, owner.as_deref().unwrap_or(&call.state.server_name)))
    });
    Ok(described.collect())
}

fn text(last: &Instance) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}.{}", last.created_at.timestamp_micros(), last.id))
}

fn parse(text: &str) -> Option<Cursor> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (micros, id) = text.split_once('.')?;
    let created_at = DateTime::from_timestamp_micros(micros.parse().ok()?)?;
    Some(Cursor { created_at, id: InstanceId::parse(id).ok()? })
}
