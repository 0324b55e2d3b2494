//! What a page is told, each time it changes.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::api::auth;
use crate::api::error::ApiError;
use crate::domain::link_phase::{LinkPhase, Visit};
use crate::domain::profile::Profile;
use crate::domain::qr_code::{MAX_ATTEMPTS, QrCode};
use crate::domain::session::SessionView;

/// How the linking stands.
#[derive(Serialize)]
pub(super) struct Told {
    phase: LinkPhase,
    qr: Option<Qr>,
    /// The linked number, its middle left out.
    number: Option<String>,
    /// The gateway's time in Unix milliseconds, because a phone's own may be wrong.
    now: i64,
}

/// The live code.
#[derive(Serialize)]
struct Qr {
    image: Box<RawValue>,
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

    /// Whether there is a code to be seen.
    pub(super) fn shows_code(self) -> bool {
        self.phase == LinkPhase::Scan
    }
}

impl Told {
    pub(super) fn new(view: &SessionView, visit: Visit, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let phase = LinkPhase::of(view, visit, now);
        Ok(Self {
            phase,
            qr: live(view, phase).map(Qr::of).transpose()?,
            number: view.me.as_ref().filter(|_| view.linked).map(Profile::masked_number),
            now: now.timestamp_millis(),
        })
    }
}

impl Qr {
    fn of(code: &QrCode) -> Result<Self, ApiError> {
        let image = String::from_utf8(auth::data_uri(code)?.to_vec()).expect("base64 is ASCII");
        Ok(Self {
            image: RawValue::from_string(image).expect("a text in quotes is JSON"),
            expires_at: code.expires_at_ms(),
            attempt: code.attempt,
            max_attempts: MAX_ATTEMPTS,
        })
    }
}

/// The code that is shown.
fn live(view: &SessionView, phase: LinkPhase) -> Option<&QrCode> {
    view.qr.as_deref().filter(|_| phase == LinkPhase::Scan)
}
