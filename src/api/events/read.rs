//! `/v2/events`: a page of JSON, or a stream for whoever would rather have one.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance};
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::instance;

use super::page::{self, Page};
use super::query::Query;
use super::stream;

/// Reads the instance's events, in their order, from any number on.
///
/// As JSON, a page of what is kept, oldest first. With `Accept: text/event-stream`, the events as they happen, each as
/// `id` (its number), `event` (its kind) and `data` (the same envelope): from the present end of the log, or from `after`. A
/// client that was cut off comes back with the header `Last-Event-ID`, as `EventSource` does by itself, and misses nothing.
/// Needs the scope `read`.
#[utoipa::path(
    get, path = "/v2/events", tag = "Events", operation_id = "events",
    params(
        ("instance_id" = InstanceId, Query),
        ("after" = Option<i64>, Query, description = "The number of an event: begin behind it; 0 begins with the first. \
            Unless given, a page begins with the oldest event that is kept, a stream at the present end.",
            minimum = 0, example = 17),
        ("latest" = Option<bool>, Query, description = "Begin with the newest `limit` events instead.", example = false),
        ("limit" = Option<u32>, Query, description = "Events a page; 100 unless given.",
            minimum = 1, maximum = 500, example = 100),
        ("events" = Option<String>, Query, description = "Only these kinds, separated by commas. `message.any` is every \
            message, in and out.", example = "message,session.status"),
        ("last_event_id" = Option<i64>, Query, description = "As the header, for clients that cannot set one.",
            minimum = 0, example = 17),
        ("Last-Event-ID" = Option<i64>, Header, description = "The number of the last event that was taken: go on \
            behind it. It counts more than `after` and `last_event_id`.", minimum = 0, example = 17),
    ),
    responses(
        (status = 200, description = "A page, or a stream.",
            content((Page = "application/json"), (String = "text/event-stream"))),
        EveryRoute, OfInstance,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn read(call: Call) -> Result<HttpResponse, ApiError> {
    let query = Query::read(&call)?;
    let id = call.instance_anywhere(query.target, Scope::Read).await?;
    let mut conn = call.state.store.acquire().await?;
    let found = instance::find(&mut conn, call.caller.account_id, id).await?;
    drop(conn);
    let metadata = found.ok_or(ApiError::SessionNotFound)?.metadata;
    if call.prefers_stream() {
        stream::answer(&call, id, metadata, query).await
    } else {
        page::answer(&call, id, metadata, query).await
    }
}
