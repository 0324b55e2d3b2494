//! The numbers that [`super::step`] decides by. They come from the configuration; the domain does not read it.

use chrono::TimeDelta;

/// A pause before deleting keys is tried again, when the database did not take it.
pub const WIPE_RETRY: TimeDelta = TimeDelta::seconds(2);

/// How long WhatsApp's wish for a passkey stands before the attempt is given up.
pub const PASSKEY_DEADLINE: TimeDelta = TimeDelta::seconds(180);

/// A session that worked this long has earned a fresh automatic retry after a ban or a replacement.
pub const RETRY_FORGIVEN_AFTER: TimeDelta = TimeDelta::minutes(10);

/// Deadlines, counts and pauses of a session; `docs/architecture.md` and `config/default.toml` say why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    /// An unlinked run must bring a code within this time.
    pub first_code_deadline: TimeDelta,
    /// Runs in a row without a code, until the session is `FAILED stalled`.
    pub max_stalls: u32,
    /// From the scan to `WORKING`.
    pub pairing_deadline: TimeDelta,
    /// A linked run must be logged in within this time.
    pub login_deadline: TimeDelta,
    /// Age of the last data at which a connection is dead.
    pub liveness_timeout: TimeDelta,
    /// Age of the last data at which WhatsApp is asked for a sign of life; leaves it time to answer.
    pub probe_after: TimeDelta,
    /// A request for a code keeps rounds coming for this long.
    pub demand_window: TimeDelta,
    /// Rounds of codes in a row.
    pub max_rounds: u32,
    /// After the last of them, requests for a code are refused for this long.
    pub rounds_cooldown: TimeDelta,
    /// The first ceiling of the full jitter between attempts; it doubles …
    pub backoff_min: TimeDelta,
    /// … up to this one.
    pub backoff_max: TimeDelta,
    /// The log-in after a ban waits at least this much longer …
    pub ban_grace_min: TimeDelta,
    /// … and at most this much.
    pub ban_grace_max: TimeDelta,
    /// The one retry after another connection took the device's place.
    pub replaced_retry: TimeDelta,
    /// How long an unlinking may take, connecting for it included.
    pub logout_deadline: TimeDelta,
}
