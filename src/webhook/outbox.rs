//! The task of a node that has events told.
//!
//! It takes no orders: it looks for streams whose log goes further than they were told, claims some, and hands each to a
//! courier. It looks at once where the node's own bell rang, and everywhere at every poll, which finds what other nodes
//! logged and what is due again. No endpoint gets more than a few couriers, so one that is slow holds up no other.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use parking_lot::Mutex;
use rand::rngs::StdRng;
use tokio::task::{Id, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use crate::config;
use crate::domain::clock::Clock;
use crate::domain::instance::InstanceId;
use crate::domain::lease::NodeId;
use crate::domain::webhook::WebhookId;
use crate::store::event::Grown;
use crate::store::vault::Vault;
use crate::store::webhook::{Claimant, Free, aside, stream};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::WebhookMeter;

use super::courier::{CLAIM, Courier, CourierError};
use super::sender::Sender;

/// What an outbox is made of.
pub struct OutboxParts {
    /// The database.
    pub store: Store,
    /// Opens events and secrets.
    pub vault: Arc<Vault>,
    /// Makes the requests.
    pub sender: Sender,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The id this node is registered under, while it is: a claim of a node that is not alive is void.
    pub node: Arc<dyn Fn() -> Option<NodeId> + Send + Sync>,
    /// `[webhook]`
    pub config: config::Webhook,
    /// Counts what is sent.
    pub meter: WebhookMeter,
    /// Draws the jitter of pauses.
    pub rng: StdRng,
}

/// Has events told.
pub struct Outbox {
    courier: Arc<Courier>,
    node: Arc<dyn Fn() -> Option<NodeId> + Send + Sync>,
    poll_interval: TimeDelta,
    slots: usize,
    per_endpoint: usize,
    couriers: JoinSet<Result<(), CourierError>>,
    under_way: HashMap<Id, Errand>,
}

/// What a courier is on.
#[derive(Debug, Clone, Copy)]
struct Errand {
    endpoint_id: WebhookId,
    instance_id: InstanceId,
    is_aside: bool,
    /// Whether others had to wait because of it.
    is_in_the_way: bool,
}

/// Where there may be something to tell.
#[derive(Debug, Default)]
struct Look {
    instances: HashSet<InstanceId>,
    everywhere: bool,
    aside: bool,
}

impl Look {
    fn everywhere() -> Self {
        Self { instances: HashSet::new(), everywhere: true, aside: true }
    }

    fn is_empty(&self) -> bool {
        self.instances.is_empty() && !self.everywhere && !self.aside
    }

    fn add(&mut self, grown: Grown) {
        self.everywhere |= grown.many;
        self.instances.extend(grown.ids);
    }
}

impl Outbox {
    /// Puts the parts together; [`Outbox::run`] begins.
    pub fn new(parts: OutboxParts) -> Self {
        let courier = Courier {
            store: parts.store,
            vault: parts.vault,
            sender: parts.sender,
            clock: parts.clock,
            meter: parts.meter,
            disable_after: TimeDelta::from_std(parts.config.disable_after).unwrap_or(TimeDelta::MAX),
            rng: Mutex::new(parts.rng),
            stop: CancellationToken::new(),
        };
        Self {
            courier: Arc::new(courier),
            node: parts.node,
            poll_interval: TimeDelta::from_std(parts.config.poll_interval).unwrap_or(TimeDelta::MAX),
            slots: count(parts.config.concurrency),
            per_endpoint: count(parts.config.concurrency_per_webhook),
            couriers: JoinSet::new(),
            under_way: HashMap::new(),
        }
    }

    /// Runs until it is cancelled; then deliveries under way are waited for, so that none of them is made twice.
    pub async fn run(mut self, token: CancellationToken) {
        let courier = Arc::clone(&self.courier);
        let mut look = Look::everywhere();
        let mut next_poll = courier.clock.now();
        loop {
            if !look.is_empty() && self.couriers.len() < self.slots {
                if let Err(error) = self.send_out(&mut look).await {
                    warn!(error = &error as &dyn std::error::Error, "webhooks could not be looked through");
                }
                look = Look::default();
            }
            tokio::select! {
                () = token.cancelled() => break,
                grown = courier.store.bell().any() => look.add(grown),
                Some(done) = self.couriers.join_next_with_id() => self.returned(done, &mut look),
                () = courier.clock.sleep_until(next_poll) => {
                    next_poll = courier.clock.now() + self.poll_interval;
                    look = Look::everywhere();
                }
            }
        }
        courier.stop.cancel();
        while self.couriers.join_next().await.is_some() {}
    }

    /// Claims what there is to tell where it looks, and sends couriers out with it.
    async fn send_out(&mut self, look: &mut Look) -> Result<(), StoreError> {
        // Between two tenures a claim would be void at once.
        let Some(node) = (self.node)() else { return Ok(()) };
        let now = self.courier.clock.now();
        let claimant = Claimant { node, now, until: now + CLAIM };
        let mut conn = self.courier.store.acquire().await?;
        if look.everywhere || !look.instances.is_empty() {
            let instances: Vec<InstanceId> = look.instances.iter().copied().collect();
            let narrowed = (!look.everywhere).then_some(instances.as_slice());
            let free = self.free();
            for stream in stream::claim(&mut conn, claimant, narrowed, &free).await? {
                let (endpoint_id, instance_id) = (stream.told.endpoint_id, stream.told.instance_id);
                let courier = Arc::clone(&self.courier);
                let sent = self.couriers.spawn(async move { courier.tell(stream).await });
                let errand = Errand { endpoint_id, instance_id, is_aside: false, is_in_the_way: false };
                self.under_way.insert(sent.id(), errand);
            }
        }
        if look.aside && self.couriers.len() < self.slots {
            let free = self.free();
            for aside in aside::claim(&mut conn, claimant, &free).await? {
                let (endpoint_id, instance_id) = (aside.told.endpoint_id, aside.told.instance_id);
                let courier = Arc::clone(&self.courier);
                let sent = self.couriers.spawn(async move { courier.tell_aside(aside).await });
                let errand = Errand { endpoint_id, instance_id, is_aside: true, is_in_the_way: false };
                self.under_way.insert(sent.id(), errand);
            }
        }
        self.note_who_is_in_the_way();
        Ok(())
    }

    /// What may be claimed now.
    fn free(&self) -> Free {
        let slots = self.slots.saturating_sub(self.couriers.len());
        Free { slots, per_endpoint: self.per_endpoint, under_way: self.counts() }
    }

    fn counts(&self) -> HashMap<WebhookId, usize> {
        let mut counts = HashMap::new();
        for errand in self.under_way.values() {
            *counts.entry(errand.endpoint_id).or_default() += 1;
        }
        counts
    }

    /// Where all places were taken, there may have been more to tell than was claimed.
    fn note_who_is_in_the_way(&mut self) {
        let is_full = self.couriers.len() >= self.slots;
        let counts = self.counts();
        for errand in self.under_way.values_mut() {
            errand.is_in_the_way |= is_full || counts[&errand.endpoint_id] >= self.per_endpoint;
        }
    }

    /// A courier is back: what was logged meanwhile could not be claimed while it had the stream.
    fn returned(&mut self, done: Result<(Id, Result<(), CourierError>), tokio::task::JoinError>, look: &mut Look) {
        let id = match &done {
            Ok((id, _)) => *id,
            Err(error) => error.id(),
        };
        let Some(errand) = self.under_way.remove(&id) else { return };
        match done {
            Ok((_, Ok(()))) => {
                look.everywhere |= errand.is_in_the_way;
                look.aside |= errand.is_aside || errand.is_in_the_way;
                look.instances.insert(errand.instance_id);
            }
            // Its claim runs out by itself; tried again at once, it would only fail again.
            Ok((_, Err(error))) => warn!(
                webhook.id = %errand.endpoint_id, instance.id = %errand.instance_id,
                error = &error as &dyn std::error::Error, "a webhook could not be told on",
            ),
            Err(error) => error!(
                webhook.id = %errand.endpoint_id, instance.id = %errand.instance_id, error = %error,
                "telling a webhook broke off",
            ),
        }
    }
}

impl fmt::Debug for Outbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outbox").field("under_way", &self.under_way.len()).finish_non_exhaustive()
    }
}

fn count(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
