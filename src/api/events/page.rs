//! A page of the log.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond;
use crate::domain::event::Envelope;
use crate::domain::instance::InstanceId;
use crate::store::event;
use crate::store::event::window::{self, Window};

use super::query::{Query, Start, beyond_the_end};

/// Numbers that one page looks through, however few of their events are wanted.
const REACH: i64 = 10_000;

/// A page of events, in their order.
#[derive(Serialize, ToSchema)]
#[schema(as = EventPage)]
pub(super) struct Page {
    events: Vec<Envelope>,
    /// For the parameter `after` of the next page; null once the page reaches the end of the log. A page may be empty and
    /// have a next one: that many events were none of the wanted.
    #[schema(required = true, example = 117)]
    next: Option<i64>,
    /// The number of the oldest event that is kept; one more than `last_seq` if none is.
    #[schema(example = 18)]
    first_seq: i64,
    /// The number of the newest event: where to go on later from a page without `next`.
    #[schema(example = 217)]
    last_seq: i64,
    /// Set if events that were asked for are kept no more: those before this number.
    #[schema(required = true)]
    lost_before: Option<i64>,
}

/// Answers with a page.
pub(super) async fn answer(
    call: &Call,
    id: InstanceId,
    metadata: Value,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    let mut conn = call.state.store.acquire().await?;
    let (first, last) = event::bounds(&mut conn, id).await?.ok_or(ApiError::SessionNotFound)?;
    let oldest = first - 1;
    let after = match query.start {
        Start::Unsaid => oldest,
        Start::Latest => oldest.max(last - query.limit),
        Start::After { seq, parameter } if seq > last => return Err(beyond_the_end(parameter, last)),
        Start::After { seq, .. } => seq,
    };
    let from = after.max(oldest);
    let up_to = last.min(from + REACH);
    let cipher = call.state.vault.cipher(&mut conn, id).await?;
    let window = Window { after: from, up_to, kinds: &query.kinds, limit: query.limit };
    let found = window::read(&mut conn, &cipher, id, window).await?;
    drop(conn);
    let is_full = i64::try_from(found.len()).is_ok_and(|count| count == query.limit);
    let reached = found.last().filter(|_| is_full).map_or(up_to, |event| event.seq);
    let events = found.into_iter().map(|event| Envelope::new(event, metadata.clone())).collect();
    let page = Page {
        events,
        next: (reached < last).then_some(reached),
        first_seq: first,
        last_seq: last,
        lost_before: (after < oldest).then_some(first),
    };
    Ok(respond::json(StatusCode::OK, &page))
}
