//! What everybody but the actor may see of a session: a snapshot that is replaced as a whole.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::instance::InstanceId;
use crate::domain::link_code::LinkCode;
use crate::domain::passkey::PasskeyPrompt;
use crate::domain::profile::Profile;
use crate::domain::qr_code::QrCode;

use super::status::{Desired, Reason, Status};

/// A snapshot of a session, published through a `watch` channel on every change.
#[derive(Debug, Clone)]
pub struct SessionView {
    /// Whose session.
    pub instance_id: InstanceId,
    /// Where it stands.
    pub status: Status,
    /// Why, where the status alone does not say it.
    pub reason: Option<Reason>,
    /// Since when it stands there.
    pub since: DateTime<Utc>,
    /// What its owner wants.
    pub desired: Desired,
    /// Whether a phone has linked it; true also while it is stopped or reconnecting.
    pub linked: bool,
    /// Who it is linked to.
    pub me: Option<Profile>,
    /// The live code, in [`Status::ScanQrCode`] only.
    pub qr: Option<Arc<QrCode>>,
    /// The latest code to type, in [`Status::ScanQrCode`] only; it may have expired.
    pub link_code: Option<Arc<LinkCode>>,
    /// What is asked of a passkey, in the two states that say so.
    pub passkey: Option<PasskeyPrompt>,
    /// What proves the connection.
    pub liveness: Liveness,
    /// When the session is next expected to change by itself; what `Retry-After` is made from.
    pub next_change_at: Option<DateTime<Utc>>,
    /// The last attempt to reach WhatsApp failed and none has succeeded since.
    pub upstream_failing: bool,
    /// Whether the session mends itself if one waits: false in a final `FAILED`, or while it is stopped.
    pub recovering: bool,
}

/// What is known of the connection itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Liveness {
    /// A socket is open and logged in.
    pub connected: bool,
    /// When data last came from WhatsApp.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// When the last event was taken in.
    pub last_event_at: Option<DateTime<Utc>>,
}
