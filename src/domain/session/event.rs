//! What moves a session: its owner's wishes, the passing of time, and what a run of the client tells.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

use crate::domain::link_code::LinkCode;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::profile::Profile;
use crate::domain::qr_code::QrValue;

/// Something happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// The owner wants it running: idempotent, and the one way out of every `FAILED`.
    Start,
    /// The owner wants it resting. The link stays.
    Stop,
    /// The owner wants a fresh connection.
    Restart,
    /// Somebody asks for a code.
    Demand,
    /// Somebody asks for a code to type into the phone of this number.
    RequestCode {
        /// Whose phone.
        number: PhoneNumber,
    },
    /// Somebody hands in what WhatsApp asked of a passkey.
    AnswerPasskey,
    /// The owner wants the device unlinked.
    Logout {
        /// Erase it here even if WhatsApp cannot be told.
        force: bool,
    },
    /// A deadline has passed, or may have: every due deadline is looked at.
    Tick,
    /// The node lets this session reach for WhatsApp, as the run of this number.
    Admitted {
        /// The number of the run to start; never used before.
        run: u64,
    },
    /// The keys are deleted.
    Wiped,
    /// The keys could not be deleted.
    WipeFailed,
    /// A run of the client told something. Words of any run but the current one are dropped.
    Run {
        /// Which run.
        run: u64,
        /// What it told.
        event: RunEvent,
    },
}

/// What a run tells.
#[derive(Debug, Clone)]
pub enum RunEvent {
    /// The transport is up: WhatsApp can be reached.
    TransportUp,
    /// The transport could not be made, or the client could not be built.
    ConnectFailed,
    /// A code to show.
    Code {
        /// What a phone must scan.
        value: QrValue,
        /// When it rotates out.
        expires_at: DateTime<Utc>,
        /// Which reference of the round, from 1.
        attempt: u32,
    },
    /// There are no more codes to scan in this round.
    CodesExhausted {
        /// Whether the client has ended with them.
        disconnected: bool,
    },
    /// WhatsApp gave the code to type that was asked for.
    LinkCode(Arc<LinkCode>),
    /// The code to type is no longer good for anything.
    LinkCodeEnded,
    /// A phone scanned the code.
    PairSuccess {
        /// Whose phone.
        profile: Profile,
    },
    /// The pairing was refused.
    PairFailed,
    /// Logged in.
    Connected {
        /// As whom.
        profile: Profile,
    },
    /// The connection is gone.
    Disconnected,
    /// The phone's owner removed the device.
    LoggedOut,
    /// Another connection took the device's place.
    Replaced,
    /// Banned for a time.
    Banned {
        /// For how long.
        expires_in: TimeDelta,
    },
    /// Restricted, or banned for good.
    Restricted,
    /// The client's version is refused.
    ClientOutdated,
    /// WhatsApp takes no messages to people who never wrote to this account.
    ReachoutTimelock {
        /// Until when, as far as is known.
        until: DateTime<Utc>,
    },
    /// WhatsApp refused for a reason that may pass.
    Refused,
    /// A passkey is wanted.
    PasskeyRequired {
        /// The options of the assertion.
        options: Value,
    },
    /// A person must say that the phone shows the same code.
    PasskeyConfirmationRequired {
        /// `ABCD-EFGH`.
        code: String,
    },
    /// WhatsApp did not take what was handed in.
    PasskeyRefused,
    /// The client cannot go on, for a reason on our side: its state cannot be read or saved.
    Broken,
    /// Data came from WhatsApp.
    Alive {
        /// When.
        at: DateTime<Utc>,
    },
    /// Asked for a sign of life, WhatsApp gave none.
    ProbeFailed,
    /// WhatsApp confirmed that the device is unlinked.
    Unlinked,
    /// WhatsApp did not confirm it.
    UnlinkFailed,
}
