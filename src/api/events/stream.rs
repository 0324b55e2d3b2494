//! The log as it grows, as Server-Sent Events.
//!
//! A stream reads the log, a page at a time, when its client has taken the page before; the bell only says when to look.
//! So a slow client holds one page and no more, nothing is lost between two looks, and whoever comes back with the number
//! of the last event it took goes on at exactly the next, at this node or at any other.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::Data;
use bytes::Bytes;
use chrono::TimeDelta;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::state::ApiState;
use crate::api::stream::{Frames, Vigil, Woken};
use crate::domain::event::{Envelope, EventKind};
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::event::window::{self, Window};
use crate::store::event::{self, EventError};
use crate::store::vault::VaultError;

use super::query::{Query, Start, beyond_the_end};

/// Events read at once, and numbers looked through for them.
const PAGE: i64 = 50;
const REACH: i64 = 2_000;

/// How long a client waits before it comes back, in milliseconds.
const RETRY_MS: u32 = 2_000;

/// A log that could not be read is tried again after this long.
const PAUSE: TimeDelta = TimeDelta::seconds(1);

/// What a client is told where events are kept no more that it has not seen.
const LOST: &str = "events.lost";

/// Proxies that buffer an answer would hold events back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers with a stream.
pub(super) async fn answer(
    call: &Call,
    id: InstanceId,
    metadata: Value,
    query: Query,
) -> Result<HttpResponse, ApiError> {
    // Listened first, looked then: what is logged in between rings.
    let bell = call.state.store.bell().listen(id);
    let mut conn = call.state.store.acquire().await?;
    let (first, last) = event::bounds(&mut conn, id).await?.ok_or(ApiError::SessionNotFound)?;
    drop(conn);
    let cursor = match query.start {
        Start::Unsaid => last,
        Start::Latest => (first - 1).max(last - query.limit),
        Start::After { seq, parameter } if seq > last => return Err(beyond_the_end(parameter, last)),
        Start::After { seq, .. } => seq,
    };
    let vigil = Vigil::begin(call, Scope::Read, &call.state.streams)?;
    let state = call.state.clone();
    let feed = Feed { state, vigil, id, metadata, kinds: query.kinds, bell, cursor, told: None, is_failing: false };
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "text/event-stream")).insert_header((X_ACCEL_BUFFERING, "no"));
    if call.is_head() {
        return Ok(response.finish());
    }
    Ok(response.streaming(stream::unfold(feed, |mut feed| async move {
        let bytes = feed.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), feed))
    })))
}

/// One stream.
struct Feed {
    state: Data<ApiState>,
    vigil: Vigil,
    id: InstanceId,
    metadata: Value,
    kinds: Vec<EventKind>,
    bell: watch::Receiver<i64>,
    /// Up to which number the log was read.
    cursor: i64,
    /// The last number that the client was told.
    told: Option<i64>,
    /// The log could not be read when it last was looked at.
    is_failing: bool,
}

/// What a look at the log came to.
enum Read {
    /// Something to send.
    Some(Frames),
    /// A stretch of events that are not wanted; there may be more.
    NoneWanted,
    /// Nothing is new.
    End,
    /// The instance was deleted.
    Gone,
}

/// Why nothing can be read.
#[derive(Debug, thiserror::Error)]
enum FeedError {
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Event(#[from] EventError),
}

impl Feed {
    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        if self.told.is_none() {
            let mut frames = Frames::default();
            frames.retry(RETRY_MS);
            // A client that is cut off before its first event comes back to this place and not to a later end.
            frames.progress(self.cursor);
            return Some(self.send(frames));
        }
        loop {
            // Boxed, because a future has room for the largest thing it ever waits for: a stream that is silent, as most
            // are most of the time, would hold the room of a query.
            if !Box::pin(self.vigil.holds()).await {
                return None;
            }
            self.bell.mark_unchanged();
            match Box::pin(self.read()).await {
                Ok(Read::Some(frames)) => return Some(self.send(frames)),
                Ok(Read::NoneWanted) => continue,
                Ok(Read::End) => {}
                Ok(Read::Gone) => return None,
                Err(error) => self.failed(&error),
            }
            match self.wait().await {
                Woken::News => {}
                Woken::Beat => return Some(self.beat()),
                Woken::End => return self.farewell(),
            }
        }
    }

    /// Reads on for one stretch.
    async fn read(&mut self) -> Result<Read, FeedError> {
        let mut conn = self.state.store.acquire().await.map_err(EventError::from)?;
        let bounds = event::bounds(&mut conn, self.id).await.map_err(EventError::from)?;
        self.is_failing = false;
        let Some((first, last)) = bounds else { return Ok(Read::Gone) };
        let mut frames = Frames::default();
        if self.cursor + 1 < first {
            self.cursor = first - 1;
            frames.event(self.cursor, LOST, &json!({ "lost_before": first }));
            return Ok(Read::Some(frames));
        }
        if self.cursor >= last {
            return Ok(Read::End);
        }
        let cipher = self.state.vault.cipher(&mut conn, self.id).await?;
        let up_to = last.min(self.cursor + REACH);
        let window = Window { after: self.cursor, up_to, kinds: &self.kinds, limit: PAGE };
        let events = window::read(&mut conn, &cipher, self.id, window).await?;
        let is_full = i64::try_from(events.len()).is_ok_and(|count| count == PAGE);
        self.cursor = events.last().filter(|_| is_full).map_or(up_to, |event| event.seq);
        for event in events {
            let envelope = Envelope::new(event, self.metadata.clone());
            frames.event(envelope.seq, envelope.event.as_str(), &envelope);
        }
        Ok(if frames.is_empty() { Read::NoneWanted } else { Read::Some(frames) })
    }

    async fn wait(&mut self) -> Woken {
        let (bell, state, is_failing) = (&mut self.bell, &self.state, self.is_failing);
        let news = async {
            if is_failing {
                state.clock.sleep_until(state.clock.now() + PAUSE).await;
            } else if bell.changed().await.is_err() {
                // Nobody rings any more; the heartbeat looks.
                std::future::pending::<()>().await;
            }
        };
        self.vigil.wait(news).await
    }

    fn failed(&mut self, error: &FeedError) {
        if !self.is_failing {
            tracing::warn!(
                instance.id = %self.id,
                error = error as &dyn std::error::Error,
                "a stream could not read the event log and tries again"
            );
        }
        self.is_failing = true;
    }

    fn send(&mut self, frames: Frames) -> Bytes {
        self.told = Some(self.cursor);
        self.vigil.sent();
        frames.into()
    }

    /// Says that the stream is there, and where the client stands if events passed by that it does not want.
    fn beat(&mut self) -> Bytes {
        let mut frames = Frames::default();
        if self.told < Some(self.cursor) {
            frames.progress(self.cursor);
        } else {
            frames.heartbeat();
        }
        self.send(frames)
    }

    /// The last word of a stream that ends in order.
    fn farewell(&mut self) -> Option<Bytes> {
        (self.told < Some(self.cursor)).then(|| self.beat())
    }
}
