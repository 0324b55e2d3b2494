//! Forgetting deliveries and dead letters that were kept for long enough, and looking how long events wait.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use crate::config;
use crate::domain::clock::Clock;
use crate::store::webhook::{dead_letter, delivery, stream};
use crate::store::{Store, StoreError};
use crate::telemetry::metrics::WebhookMeter;

const MEASURE_INTERVAL: TimeDelta = TimeDelta::seconds(15);
const PRUNE_INTERVAL: TimeDelta = TimeDelta::hours(1);

/// Keeps the tables of webhooks in shape. Nodes that do it at once do not disturb each other.
pub struct Upkeep {
    /// The database.
    pub store: Store,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// `[webhook]`
    pub config: config::Webhook,
    /// Tells how long events wait.
    pub meter: WebhookMeter,
}

impl Upkeep {
    /// Runs until it is cancelled.
    pub async fn run(self, token: CancellationToken) {
        let mut prune_at = self.clock.now();
        loop {
            let now = self.clock.now();
            if let Err(error) = self.measure(now).await {
                warn!(error = &error as &dyn std::error::Error, "it could not be read for how long webhooks wait");
            }
            if now >= prune_at {
                prune_at = now + PRUNE_INTERVAL;
                if let Err(error) = self.prune(now).await {
                    warn!(error = &error as &dyn std::error::Error, "old deliveries could not be forgotten");
                }
            }
            tokio::select! {
                () = token.cancelled() => return,
                () = self.clock.sleep_until(now + MEASURE_INTERVAL) => {}
            }
        }
    }

    async fn measure(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut conn = self.store.acquire().await?;
        let oldest = stream::oldest_waiting(&mut conn).await?;
        self.meter.waits_for(oldest.and_then(|oldest| (now - oldest).to_std().ok()).unwrap_or(Duration::ZERO));
        Ok(())
    }

    async fn prune(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let before = |kept: Duration| now - TimeDelta::from_std(kept).unwrap_or(TimeDelta::days(36_500));
        let mut conn = self.store.acquire().await?;
        delivery::prune(&mut conn, before(self.config.delivery_retention)).await?;
        dead_letter::prune(&mut conn, before(self.config.dead_letter_retention)).await?;
        Ok(())
    }
}

impl std::fmt::Debug for Upkeep {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upkeep").finish_non_exhaustive()
    }
}
