//! The life of sessions: one actor for each instance this node looks after, the reconciler that gives it instances to
//! look after, and the gate in front of WhatsApp that all of them share.
//!
//! Everything that happens to an instance is decided by its actor, and an actor exists only under the instance's lease:
//! a request for an instance that rests claims the lease and starts an actor, which leaves again when there is nothing
//! left to do. So there is one writer, whatever the number of nodes.

mod actor;
mod addresses;
mod breaker;
mod directory;
mod error;
mod files;
mod gate;
mod handle;
mod link;
mod mail;
mod messages;
mod outbox;
mod persist;
mod profile;
mod qr;
mod reconcile;
mod registry;
mod rules;
mod tally;
mod translate;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::Semaphore;

use crate::domain::clock::Clock;
use crate::domain::outgoing::Pace;
use crate::domain::session::Rules;
use crate::engine::Engine;
use crate::media::library::Library;
use crate::store::Store;
use crate::store::vault::Vault;
use crate::telemetry::metrics::{MessageMeter, SessionMeter};

pub use directory::DirectoryRefusal;
pub use error::{ClientRefusal, LogoutOutcome, PasskeyRefusal, QrRefusal, QrRefusalKind, SupervisorError};
pub use files::FileRefusal;
pub use handle::{Census, Supervisor, SupervisorDeps};
pub use messages::{Kept, Letter, PaceView, SendRefusal, takes_messages};
pub use qr::{Verdict, verdict};

/// What every actor needs.
struct Deps {
    store: Store,
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    vault: Arc<Vault>,
    library: Arc<Library>,
    rules: Rules,
    /// How fast an instance sends unless its owner chose otherwise.
    pace: Pace,
    gate: gate::Gate,
    registry: Arc<registry::Registry>,
    /// Numbers the runs of this process.
    next_run: AtomicU64,
    /// Bounds how many clients are ended at one time.
    leaving: Semaphore,
    meter: SessionMeter,
    messages: MessageMeter,
}
