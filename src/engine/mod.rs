//! The only door to WhatsApp: what the rest of the house asks of a client library, and what it tells in return.
//!
//! One [`EngineRun`] is one client, built on an instance's stored device, for one connection (and the restart that
//! follows a pairing). A run that ended never runs again; the supervisor asks for a new one. All of its events carry
//! its [`RunId`], so that the late words of a client that was shut down are recognised and dropped.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;
use tokio::sync::mpsc;

use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::domain::link_code::LinkCode;
use crate::domain::passkey::PasskeyAnswer;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::profile::Profile;
use crate::domain::qr_code::QrValue;

mod directory;
mod files;
mod outgoing;
pub mod whatsapp;

pub use directory::{Directory, DirectoryError};
pub use files::{DownloadError, Files, Uploaded};
pub use outgoing::{Outgoing, SendError, Sent};

/// Numbers the runs of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RunId(pub u64);

/// What a run is started for.
#[derive(Debug, Clone, Copy)]
pub struct RunSpec {
    /// Whose device.
    pub instance_id: InstanceId,
    /// Under which lease the client may write.
    pub fence: Fence,
    /// The run's number.
    pub run_id: RunId,
}

/// An event and the run that told it.
#[derive(Debug)]
pub struct Tagged {
    /// The run it comes from.
    pub run_id: RunId,
    /// What happened.
    pub event: EngineEvent,
}

/// Where a run sends its events: bounded; a full channel holds the client back, nothing is dropped.
pub type EventSender = mpsc::Sender<Tagged>;

/// What a client tells.
#[derive(Debug)]
pub enum EngineEvent {
    /// The transport to WhatsApp is up (TCP, TLS and WebSocket); proof that WhatsApp can be reached.
    TransportUp,
    /// The transport could not be made, or the handshake failed; the library itself emits nothing then.
    ConnectFailed {
        /// For the log; holds no secret.
        cause: String,
    },
    /// A code to show. Always show the latest.
    QrCode {
        /// What the phone must scan.
        value: QrValue,
        /// When the client rotates it out.
        expires_at: DateTime<Utc>,
        /// 1 for the first reference of this run; a re-emitted reference keeps its number.
        attempt: u32,
    },
    /// WhatsApp gave no more codes. The client has ended if `disconnected`.
    QrCodesExhausted {
        /// Whether the client's loop has ended.
        disconnected: bool,
    },
    /// A phone scanned the code; the client now restarts its connection by itself.
    PairSuccess {
        /// Who linked it.
        profile: Profile,
    },
    /// WhatsApp or the client refused the pairing.
    PairFailed {
        /// For the log and the reason; holds no secret.
        cause: String,
    },
    /// Logged in and ready.
    Connected {
        /// Who it is.
        profile: Profile,
    },
    /// The connection is gone. The supervisor ends the run and starts another when it sees fit.
    Disconnected {
        /// For the log; holds no secret.
        cause: String,
    },
    /// The device was removed from the account.
    LoggedOut,
    /// Another connection logged in with this device.
    StreamReplaced,
    /// Banned for a time.
    TemporaryBan {
        /// For how long.
        expires_in: Duration,
    },
    /// The account is restricted or permanently banned.
    Restricted {
        /// WhatsApp's code, for the log.
        code: String,
    },
    /// WhatsApp no longer accepts this client version.
    ClientOutdated,
    /// WhatsApp refused the log-in for a reason that may pass (500, 503).
    UpstreamRefused {
        /// WhatsApp's code, for the log.
        code: String,
    },
    /// WhatsApp takes no message to people who never wrote to this account.
    ReachoutTimelock {
        /// For how long, as far as is known.
        until: DateTime<Utc>,
    },
    /// The code to type that was asked for is no longer good for anything.
    LinkCodeEnded,
    /// WhatsApp asks for a passkey before it links.
    PasskeyRequired {
        /// WebAuthn's `PublicKeyCredentialRequestOptions`, as WhatsApp gave them.
        options: Value,
    },
    /// A person must say that the phone shows the same code.
    PasskeyConfirmationRequired {
        /// `ABCD-EFGH`.
        code: String,
    },
}

/// A running client.
#[async_trait]
pub trait EngineRun: Outgoing + Directory + Files + Send + Sync + fmt::Debug {
    /// Its number.
    fn run_id(&self) -> RunId;

    /// Ends the client, its socket and all of its tasks, after its state is flushed. No event follows.
    async fn shutdown(&self);

    /// Ends the client, its socket and all of its tasks at once and saves nothing: its lease is another's, or about to
    /// be. No event follows.
    async fn abort(&self);

    /// Removes this device from the account at WhatsApp and waits for the confirmation. Deletes nothing here.
    async fn logout(&self) -> Result<(), EngineError>;

    /// Asks WhatsApp for a sign of life and waits for it.
    async fn probe(&self) -> Result<(), EngineError>;

    /// Asks WhatsApp for a code that can be typed into the phone of this number; one that was asked for before is good
    /// for nothing from then on. The client must be showing codes to scan.
    async fn request_code(&self, number: PhoneNumber) -> Result<LinkCode, EngineError>;

    /// Hands in what WhatsApp asked of a passkey.
    async fn answer_passkey(&self, answer: PasskeyAnswer) -> Result<(), EngineError>;

    /// When data last came from WhatsApp.
    fn last_data_received(&self) -> Option<DateTime<Utc>>;

    /// The client's saver gave up (it stops for good after repeated database errors).
    fn is_saver_halted(&self) -> bool;
}

/// Makes clients.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// Builds a client on the instance's stored device and starts connecting. What becomes of it arrives as events.
    async fn start(&self, spec: RunSpec, events: EventSender) -> Result<Arc<dyn EngineRun>, EngineError>;

    /// Who the stored device is linked to; `None` if it was never linked or its keys are gone.
    async fn linked(&self, instance_id: InstanceId) -> Result<Option<Profile>, EngineError>;

    /// Every address under which a chat is known: the given one, and a person's LID or phone number if WhatsApp told it.
    async fn addresses(&self, instance_id: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, EngineError>;

    /// Deletes the instance's WhatsApp keys and state. No run of it may be alive.
    async fn wipe(&self, instance_id: InstanceId, fence: Fence) -> Result<(), EngineError>;
}

/// Why the engine could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// WhatsApp did not answer in time, or there is no connection to ask over.
    #[error("WhatsApp could not be reached to {action}: {cause}")]
    Unreachable {
        /// What was asked.
        action: &'static str,
        /// Why it failed; holds no secret.
        cause: String,
    },
    /// WhatsApp answered with a refusal.
    #[error("WhatsApp refused to {action}: {cause}")]
    Refused {
        /// What was asked.
        action: &'static str,
        /// WhatsApp's answer; holds no secret.
        cause: String,
    },
    /// The lease is another node's.
    #[error("the lease of the instance belongs to another owner")]
    LeaseLost,
    /// The instance's state could not be read or written.
    #[error("the engine state could not be {action}")]
    Storage {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The client could not be built.
    #[error("the client could not be built: {cause}")]
    Build {
        /// Why; holds no secret.
        cause: String,
    },
}
