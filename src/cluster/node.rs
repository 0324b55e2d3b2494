//! The node's own lease: registered at boot, renewed every few seconds, and given up on the node's own judgement before
//! anybody else may take its instances.
//!
//! A renewal is trusted from the moment its *request started*, for less than the database grants. The trust runs out by
//! the injected clock or by the machine's monotonic one, whichever is first: the monotonic clock does not follow a
//! wall clock that is set back, and the wall clock goes on while a suspended machine's monotonic one stands still.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;
use crate::domain::lease::NodeId;
use crate::store::{StoreError, node as table};

use super::{Boots, Shared, Tenure};

/// How this node presents itself, and the times of its lease.
#[derive(Debug, Clone)]
pub struct NodeSettings {
    /// What it is called in answers.
    pub name: String,
    /// Where other nodes reach it, as `host:port`.
    pub addr: String,
    /// How often the lease is renewed.
    pub renew_interval: Duration,
    /// When a renewal is given up.
    pub renew_timeout: Duration,
    /// What the database grants.
    pub ttl: Duration,
    /// What the node trusts of it, from the start of the request.
    pub trust: Duration,
}

impl NodeSettings {
    /// Takes the times from the configuration; `name` and `addr` are what its empty values stand for.
    pub fn from_config(config: &config::Node, name: String, addr: String) -> Self {
        Self {
            name,
            addr,
            renew_interval: config.lease_renew_interval,
            renew_timeout: config.lease_renew_timeout,
            ttl: config.lease_ttl,
            trust: config.lease_trust,
        }
    }
}

/// Registers the node and keeps it alive, under a new id whenever its lease was lost.
pub struct NodeTask {
    shared: Arc<Shared>,
    settings: NodeSettings,
    rng: StdRng,
    boots: Option<Boots>,
}

/// A moment by both clocks.
#[derive(Debug, Clone, Copy)]
struct Moment {
    wall: DateTime<Utc>,
    monotonic: Instant,
}

enum End {
    Lost,
    Resigned,
}

impl NodeTask {
    pub(super) fn new(shared: Arc<Shared>, settings: NodeSettings, seed: u64) -> Self {
        Self { shared, settings, rng: StdRng::seed_from_u64(seed), boots: None }
    }

    /// Writes every id down before registering under it, for whoever comes after us on this machine.
    #[must_use]
    pub fn recorded_in(self, boots: Boots) -> Self {
        Self { boots: Some(boots), ..self }
    }

    /// Runs until the node resigns. From `token` on it drains: it stays alive and takes no more instances.
    pub async fn run(mut self, token: CancellationToken) {
        loop {
            let Some((node_id, started)) = self.register().await else { return };
            info!(node.id = %node_id.0, node.addr = %self.settings.addr, "node registered");
            let tenure = Tenure { node_id, ended: CancellationToken::new() };
            self.shared.trusted_until(started.wall + self.settings.trust);
            self.shared.tenure.send_replace(Some(tenure.clone()));
            let end = self.keep(node_id, started, &token).await;
            tenure.ended.cancel();
            self.shared.tenure.send_replace(None);
            match end {
                End::Lost => {
                    self.shared.meter.lost();
                    warn!(node.id = %node_id.0, "node lease lost, every session here is dropped");
                }
                End::Resigned => {
                    self.remove(node_id).await;
                    return;
                }
            }
        }
    }

    /// Registers, however long the database is away; `None` if the node resigned meanwhile. Each attempt has an id of
    /// its own: a row that an attempt given up on left behind was granted from an earlier moment than we would count.
    async fn register(&mut self) -> Option<(NodeId, Moment)> {
        loop {
            let node_id = NodeId(uuid::Builder::from_random_bytes(self.rng.random()).into_uuid());
            if let Some(Err(error)) = self.boots.as_ref().map(|boots| boots.record(node_id)) {
                // Without it a successor only waits until this lease has run out.
                warn!(error = &error as &dyn std::error::Error, "the node's id could not be written down");
            }
            let started = self.moment();
            let attempt = async {
                let mut conn = self.shared.store.acquire().await?;
                let NodeSettings { addr, name, ttl, .. } = &self.settings;
                table::register(&mut conn, node_id, addr, name, *ttl).await
            };
            match timeout(self.settings.renew_timeout, attempt).await {
                Ok(Ok(())) => return Some((node_id, started)),
                Ok(Err(error)) => warn!(error = &error as &dyn std::error::Error, "node could not register"),
                Err(_) => warn!("node could not register in time"),
            }
            tokio::select! {
                () = self.shared.resigned.cancelled() => return None,
                () = tokio::time::sleep(self.settings.renew_timeout) => {}
            }
        }
    }

    async fn keep(&self, node_id: NodeId, started: Moment, token: &CancellationToken) -> End {
        let mut trusted = started;
        loop {
            let due = trusted.wall + self.settings.renew_interval;
            let attempts = async {
                self.shared.clock.sleep_until(due).await;
                loop {
                    let started = self.moment();
                    match timeout(self.settings.renew_timeout, self.renew(node_id, token.is_cancelled())).await {
                        Ok(Ok(true)) => return Some(started),
                        Ok(Ok(false)) => return None,
                        Ok(Err(error)) => {
                            warn!(error = &error as &dyn std::error::Error, "node lease could not be renewed");
                        }
                        Err(_) => warn!("node lease could not be renewed in time"),
                    }
                    self.shared.meter.renewal_failed();
                    let pause = self.settings.renew_interval.saturating_sub(self.settings.renew_timeout);
                    tokio::time::sleep(pause).await;
                }
            };
            tokio::select! {
                biased;
                () = self.shared.resigned.cancelled() => return End::Resigned,
                () = self.distrust(trusted) => return End::Lost,
                renewed = attempts => match renewed {
                    Some(started) => {
                        trusted = started;
                        self.shared.trusted_until(started.wall + self.settings.trust);
                    }
                    None => return End::Lost,
                },
            }
        }
    }

    /// Completes when a renewal that started at `moment` is no longer to be trusted.
    async fn distrust(&self, moment: Moment) {
        tokio::select! {
            () = self.shared.clock.sleep_until(moment.wall + self.settings.trust) => {}
            () = tokio::time::sleep_until(moment.monotonic + self.settings.trust) => {}
        }
    }

    async fn renew(&self, node_id: NodeId, draining: bool) -> Result<bool, StoreError> {
        let mut conn = self.shared.store.acquire().await?;
        table::renew(&mut conn, node_id, self.settings.ttl, draining).await
    }

    async fn remove(&self, node_id: NodeId) {
        let removal = async {
            let mut conn = self.shared.store.acquire().await?;
            table::remove(&mut conn, node_id).await
        };
        match timeout(self.settings.renew_timeout, removal).await {
            Ok(Ok(())) => info!(node.id = %node_id.0, "node resigned"),
            Ok(Err(error)) => warn!(error = &error as &dyn std::error::Error, "node could not resign"),
            Err(_) => warn!("node could not resign in time"),
        }
    }

    fn moment(&self) -> Moment {
        Moment { wall: self.shared.clock.now(), monotonic: Instant::now() }
    }
}
