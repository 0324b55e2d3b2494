//! What a page is told, each time it changes.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

use crate::api::auth;
use crate::api::error::ApiError;
use crate::domain::link_phase::{LinkPhase, Visit};
use crate::domain::profile::Profile;
use crate::domain::qr_code::{MAX_ATTEMPTS, QrCode};
use crate::domain::session::SessionView;

/// How the linking stands.
#[derive(Serialize)]
pub(super) struct Told<'a> {
    phase: LinkPhase,
    qr: Option<&'a RawValue>,
    /// The linked number, its middle left out.
    number: Option<String>,
    /// Where the page leads, once a phone is linked.
    return_url: Option<String>,
    /// The gateway's time in Unix milliseconds, because a phone's own may be wrong.
    now: i64,
}

/// The live code.
#[derive(Serialize)]
struct Qr {
    image: String,
    expires_at: i64,
    attempt: u32,
    max_attempts: u32,
}

/// What tells one state of a page from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    phase: LinkPhase,
    expires_at: Option<i64>,
}

impl Mark {
    pub(super) fn of(view: &SessionView, visit: Visit, now: DateTime<Utc>) -> Self {
        let phase = LinkPhase::of(view, visit, now);
        Self { phase, expires_at: live(view, phase).map(QrCode::expires_at_ms) }
    }

    /// Whether a phone is linked.
    pub(super) fn is_linked(self) -> bool {
        self.phase == LinkPhase::Linked
    }

    /// Whether there is a code to be seen.
    pub(super) fn shows_code(self) -> bool {
        self.phase == LinkPhase::Scan
    }
}

impl<'a> Told<'a> {
    /// What `mark` stands for.
    pub(super) fn new(
        view: &'a SessionView,
        mark: Mark,
        (now, return_url): (DateTime<Utc>, Option<String>),
    ) -> Result<Self, ApiError> {
        Ok(Self {
            phase: mark.phase,
            qr: live(view, mark.phase).map(told).transpose()?,
            number: view.me.as_ref().filter(|_| view.linked).map(Profile::masked_number),
            return_url,
            now: now.timestamp_millis(),
        })
    }
}

/// What is told of a code: made once, however many pages show it.
fn told(code: &QrCode) -> Result<&RawValue, ApiError> {
    let told = &code.renditions.told;
    if told.get().is_none() {
        let qr = Qr {
            image: auth::small_data_uri(code)?,
            expires_at: code.expires_at_ms(),
            attempt: code.attempt,
            max_attempts: MAX_ATTEMPTS,
        };
        // Somebody else's is the same.
        let _ = told.set(to_raw_value(&qr).expect("it has no keys but text"));
    }
    Ok(told.get().expect("it was set"))
}

/// The code that is shown.
fn live(view: &SessionView, phase: LinkPhase) -> Option<&QrCode> {
    view.qr.as_deref().filter(|_| phase == LinkPhase::Scan)
}
