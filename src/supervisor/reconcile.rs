//! Gives this node instances to run. It takes no input: every turn rereads the truth, and a turn too many does no harm.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::cluster::Tenure;
use crate::store::{StoreError, lease, node, session};

use super::handle::Inner;
use super::persist;

/// Leases claimed by one statement.
const BATCH: i64 = 200;
/// Instances a node takes beyond its even share, so that a few more are never left waiting for another.
const SLACK: i64 = 16;

/// Claims what should run and nobody runs, and lets go of what it holds without running it.
pub(super) struct Reconciler {
    inner: Arc<Inner>,
}

impl Reconciler {
    pub(super) fn new(inner: Arc<Inner>) -> Self {
        Self { inner }
    }

    /// Runs until `token` fires; then waits for the actors to leave and takes the node out of the cluster.
    pub(super) async fn run(self, token: CancellationToken) {
        let mut tenures = self.inner.cluster.tenures();
        loop {
            if let Some(tenure) = self.inner.serving()
                && let Err(error) = self.turn(&tenure).await
            {
                warn!(error = &error as &dyn std::error::Error, "what should run could not be looked up");
            }
            let next = self.inner.deps.clock.now() + self.inner.interval;
            tokio::select! {
                () = token.cancelled() => break,
                () = self.inner.woken.notified() => {}
                changed = tenures.changed() => {
                    // The cluster's handle is ours, so the channel is open.
                    debug_assert!(changed.is_ok());
                }
                () = self.inner.deps.clock.sleep_until(next) => {}
            }
        }
        info!("sessions are being stopped");
        // Whoever was claiming when the token fired has entered its actor by the time the lock is ours.
        drop(self.inner.claims.lock().await);
        self.inner.deps.registry.emptied().await;
        self.inner.cluster.resign();
    }

    async fn turn(&self, tenure: &Tenure) -> Result<(), StoreError> {
        let mut conn = self.inner.connection().await?;
        node::bury_expired(&mut conn).await?;
        let share = Self::share(&mut conn).await?;
        drop(conn);
        self.let_go(tenure).await?;
        loop {
            let room = share - i64::try_from(self.inner.running()).unwrap_or(i64::MAX);
            let limit = room.min(BATCH);
            if limit <= 0 || self.claim(tenure, limit).await? < limit {
                return Ok(());
            }
        }
    }

    /// How many instances this node should run at most: an even part of all of them, and a little more.
    async fn share(conn: &mut sqlx::PgConnection) -> Result<i64, StoreError> {
        let nodes = node::count_serving(conn).await?.max(1);
        let instances = lease::count_runnable(conn).await?;
        Ok(instances / nodes + 1 + SLACK)
    }

    /// Releases leases that are ours by name only: their actor broke off without releasing them.
    async fn let_go(&self, tenure: &Tenure) -> Result<(), StoreError> {
        let _claims = self.inner.claims.lock().await;
        let mut conn = self.inner.connection().await?;
        let held = lease::count_held(&mut conn, tenure.node_id).await?;
        if usize::try_from(held).unwrap_or(usize::MAX) <= self.inner.deps.registry.len() {
            return Ok(());
        }
        for (id, fence) in lease::held(&mut conn, tenure.node_id).await? {
            if !self.inner.deps.registry.contains(id) {
                warn!(instance.id = %id, "a lease without an actor is released");
                lease::release(&mut conn, id, fence).await?;
            }
        }
        Ok(())
    }

    async fn claim(&self, tenure: &Tenure, limit: i64) -> Result<i64, StoreError> {
        let _claims = self.inner.claims.lock().await;
        if self.inner.serving().is_none() {
            return Ok(0);
        }
        let mut tx = self.inner.deps.store.begin().await?;
        let claimed = lease::claim_runnable(&mut tx, tenure.node_id, limit).await?;
        let ids: Vec<_> = claimed.iter().map(|(id, _)| *id).collect();
        let rows = session::read_many(&mut tx, &ids).await?;
        let mut sessions = Vec::with_capacity(rows.len());
        for row in &rows {
            let fence = claimed.iter().find(|(id, _)| *id == row.instance_id).map(|(_, fence)| *fence);
            if let Some(fence) = fence {
                sessions.push((row.instance_id, fence, persist::saved(&self.inner.deps, &mut tx, row).await));
            }
        }
        tx.commit().await.map_err(StoreError::while_("commit claims"))?;
        let count = i64::try_from(sessions.len()).unwrap_or(i64::MAX);
        if count > 0 {
            debug!(count, "instances taken on");
        }
        for (id, fence, saved) in sessions {
            self.inner.spawn(id, fence, saved, tenure);
        }
        Ok(count)
    }
}
