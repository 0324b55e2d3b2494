//! Which events are wanted.

use actix_web::http::header::HeaderValue;

use crate::api::error::{ApiError, ParameterProblem};
use crate::api::extract::Call;
use crate::api::extract::{Read, Target};
use crate::domain::event::EventKind;

const LAST_EVENT_ID: &str = "last_event_id";
const MAX_LIMIT: u32 = 500;
const DEFAULT_LIMIT: u32 = 100;

/// What was asked for.
pub(super) struct Query {
    pub(super) target: Option<Target>,
    /// Where to begin, and which parameter says so.
    pub(super) start: Start,
    /// Every kind that is wanted; none: all.
    pub(super) kinds: Vec<EventKind>,
    pub(super) limit: i64,
}

/// Where to begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Nobody said.
    Unsaid,
    /// With the newest events of a page.
    Latest,
    /// Behind the event of that number.
    After {
        /// The number.
        seq: i64,
        /// Where it was given.
        parameter: &'static str,
    },
}

impl Query {
    pub(super) fn read(call: &Call) -> Result<Self, ApiError> {
        let mut read = call.read();
        let target = call.target(&mut read);
        let start = start(call.headers().get("last-event-id"), &mut read);
        let wanted = read.event_kinds("events").unwrap_or_default();
        let limit = read.integer("limit", 1..=MAX_LIMIT).unwrap_or(DEFAULT_LIMIT);
        read.finish()?;
        Ok(Self { target, start, kinds: kinds(&wanted), limit: limit.into() })
    }
}

/// Where to begin, by the header `Last-Event-ID` and the parameters.
pub(crate) fn start(last_event_id: Option<&HeaderValue>, read: &mut Read<'_>) -> Start {
    let latest = read.boolean("latest") == Some(true);
    let after = read.seq("after").map(|seq| Start::After { seq, parameter: "after" });
    let resumed = read.seq(LAST_EVENT_ID).map(|seq| Start::After { seq, parameter: LAST_EVENT_ID });
    if latest && after.is_some() {
        read.wrong::<()>("latest", "cannot be given together with after");
    }
    // A client that comes back repeats its address and adds the header: that is the newer word.
    let header = last_event_id.filter(|value| !value.is_empty());
    let header = header.and_then(|value| match value.to_str().ok().and_then(|text| text.trim().parse().ok()) {
        Some(seq) if seq >= 0 => Some(Start::After { seq, parameter: LAST_EVENT_ID }),
        Some(_) | None => read.wrong(LAST_EVENT_ID, "must be the number of an event"),
    });
    let said = header.or(resumed).or(after);
    said.unwrap_or(if latest { Start::Latest } else { Start::Unsaid })
}

/// The kinds that a subscription to `wanted` includes.
fn kinds(wanted: &[EventKind]) -> Vec<EventKind> {
    let is_wanted = |kind: &EventKind| wanted.iter().any(|wanted| kind.is_wanted_by(*wanted));
    EventKind::ALL.iter().copied().filter(is_wanted).collect()
}

/// A log that ends before the event that was named: the caller's own notes are of another log, and to go on in silence
/// would hide that.
pub(super) fn beyond_the_end(parameter: &'static str, last: i64) -> ApiError {
    let problem = format!("is beyond the end of the log, which is {last}");
    ApiError::Parameters(vec![ParameterProblem { name: parameter, problem, missing: false }])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_to_any_message_includes_those_that_came_in() {
        assert_eq!(kinds(&[EventKind::MessageOwn]), [EventKind::Message, EventKind::MessageOwn]);
        assert_eq!(kinds(&[EventKind::SessionQr]), [EventKind::SessionQr]);
        assert!(kinds(&[]).is_empty());
    }
}
