//! Why the supervisor could not do what was asked.

use crate::domain::session::SessionView;
use crate::engine::EngineError;
use crate::store::StoreError;

/// The request could not be carried out.
#[derive(Debug, thiserror::Error)]
pub enum SupervisorError {
    /// There is no such instance.
    #[error("there is no such instance")]
    NotFound,
    /// Another node owns the instance: the request belongs there.
    #[error("the instance is owned by another node")]
    Elsewhere {
        /// Where that node serves HTTP, as `host:port`.
        addr: String,
    },
    /// This node is not registered, or is stopping.
    #[error("this node takes no instances at present")]
    NotServing,
    /// It was done here, but the database did not take it yet; it is tried again until it does.
    #[error("the wish for the instance could not be stored")]
    NotStored,
    /// WhatsApp could not be told to unlink the device; nothing changed.
    #[error("WhatsApp could not be reached to unlink the device")]
    Unreachable,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What WhatsApp's client keeps could not be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// Why there is no code to show.
#[derive(Debug, thiserror::Error)]
pub enum QrRefusal {
    /// The session's state decides.
    #[error("the session has no code to show ({kind:?})")]
    Session {
        /// Which row of the table it is.
        kind: QrRefusalKind,
        /// The session as it stood then.
        view: Box<SessionView>,
    },
    /// The session could not be asked.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
}

/// The rows of the contract's table that end without a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QrRefusalKind {
    /// Nothing to scan; time does not change that.
    AlreadyLinked,
    /// Scanned, WhatsApp is still finishing.
    PairingInProgress,
    /// WhatsApp wants a passkey instead.
    PasskeyRequired,
    /// `FAILED`, and no request for a code mends it.
    NotRecovering,
    /// A code is on its way and did not come in time. Time mends it, whatever the view says.
    NotReady,
    /// The same, and the last attempt to reach WhatsApp failed.
    UpstreamUnreachable,
    /// WhatsApp refused to give a code to type.
    UpstreamRefused,
}

/// Why what was asked of a passkey was not handed in.
#[derive(Debug, thiserror::Error)]
pub enum PasskeyRefusal {
    /// Nothing of the kind is asked of this session now.
    #[error("the session asks for no such answer")]
    NotAsked {
        /// The session as it stood then.
        view: Box<SessionView>,
    },
    /// WhatsApp did not take it.
    #[error("WhatsApp refused what was handed in")]
    Refused,
    /// WhatsApp did not answer.
    #[error("WhatsApp could not be reached to hand it in")]
    Unreachable,
    /// The session could not be asked.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
}

/// Why there is no client to ask or to send with.
#[derive(Debug, thiserror::Error)]
pub enum ClientRefusal {
    /// The session is not `WORKING`.
    #[error("the session is not connected")]
    NotConnected {
        /// The session as it stood then.
        view: Box<SessionView>,
    },
    /// The session could not be asked.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
}

/// How an unlinking went.
#[derive(Debug, Clone)]
pub struct LogoutOutcome {
    /// The session after it: `STOPPED`, unlinked, `desired` stopped.
    pub view: SessionView,
    /// `false`: forced without WhatsApp, the phone still lists the device.
    pub unlinked_at_whatsapp: bool,
}
