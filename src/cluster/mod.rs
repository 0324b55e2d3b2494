//! Who is alive, and who owns which instance.
//!
//! A node lives for one *tenure*: from its registration until it resigns or can no longer prove that it is alive. All
//! that it does to WhatsApp it does within a tenure; when [`Tenure::ended`] fires, every socket goes at once.

mod boots;
pub mod forward;
mod node;
mod owner;
pub mod passport;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::instance::InstanceId;
use crate::domain::lease::NodeId;
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::LeaseMeter;

pub use boots::Boots;
pub use node::{NodeSettings, NodeTask};
pub use owner::Owner;

/// One boot of this node, as long as it is trusted.
#[derive(Debug, Clone)]
pub struct Tenure {
    /// The id it is registered under.
    pub node_id: NodeId,
    /// Fires when the node may no longer act under that id.
    pub ended: CancellationToken,
}

/// This node among the others; cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Arc<dyn Clock>,
    tenure: watch::Sender<Option<Tenure>>,
    resigned: CancellationToken,
    owners: owner::Cache,
    name: String,
    /// Until when the lease is trusted by the injected clock, in Unix milliseconds; for telling, not for deciding.
    trusted_until_ms: AtomicI64,
    meter: LeaseMeter,
}

impl Shared {
    fn trusted_until(&self, until: DateTime<Utc>) {
        self.trusted_until_ms.store(until.timestamp_millis(), Ordering::Relaxed);
    }
}

impl Cluster {
    /// A node that is not registered yet, and the task that registers it and keeps it alive. `seed` draws its ids.
    pub fn new(store: Store, clock: Arc<dyn Clock>, settings: NodeSettings, seed: u64) -> (Self, NodeTask) {
        let shared = Arc::new(Shared {
            store,
            clock,
            tenure: watch::Sender::new(None),
            resigned: CancellationToken::new(),
            owners: owner::Cache::default(),
            name: settings.name.clone(),
            trusted_until_ms: AtomicI64::new(0),
            meter: LeaseMeter::default(),
        });
        let task = NodeTask::new(Arc::clone(&shared), settings, seed);
        (Self { shared }, task)
    }

    /// What this node is called in answers.
    pub fn name(&self) -> &str {
        &self.shared.name
    }

    /// The tenure, while the node is registered and trusted.
    pub fn tenure(&self) -> Option<Tenure> {
        self.shared.tenure.borrow().clone().filter(|tenure| !tenure.ended.is_cancelled())
    }

    /// For how much longer the node is trusted without a renewal; `None` outside a tenure.
    pub fn trust_left(&self) -> Option<Duration> {
        self.tenure()?;
        let left = self.shared.trusted_until_ms.load(Ordering::Relaxed) - self.shared.clock.now().timestamp_millis();
        Some(Duration::from_millis(u64::try_from(left).unwrap_or(0)))
    }

    /// How the node's lease fares.
    pub fn meter(&self) -> &LeaseMeter {
        &self.shared.meter
    }

    /// Follows the tenures.
    pub fn tenures(&self) -> watch::Receiver<Option<Tenure>> {
        self.shared.tenure.subscribe()
    }

    /// Leaves for good: the node's row is removed and its tenure ends. To be called when nothing runs any more.
    pub fn resign(&self) {
        self.shared.resigned.cancel();
    }

    /// Who holds the lease of an instance; remembered for a second.
    pub async fn owner_of(&self, id: InstanceId) -> Result<Owner, StoreError> {
        let now = self.shared.clock.now();
        if let Some(owner) = self.shared.owners.get(id, now) {
            return Ok(owner);
        }
        let mut conn = self.shared.store.acquire().await?;
        let row = crate::store::session::read(&mut conn, id).await?;
        let owner = match row.and_then(|row| row.owner) {
            None => Owner::Nobody,
            Some((node, _)) if self.tenure().is_some_and(|tenure| tenure.node_id == node) => Owner::Here,
            Some((_, addr)) => Owner::Elsewhere { addr },
        };
        self.shared.owners.put(id, owner.clone(), now);
        Ok(owner)
    }

    /// The owner turned out to be another (it answered 421).
    pub fn forget_owner(&self, id: InstanceId) {
        self.shared.owners.forget(id);
    }
}
