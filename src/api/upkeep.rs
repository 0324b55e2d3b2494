//! The API's one task: dropping revoked tokens in time, reading the listed origins again, giving back the memory of
//! idle limiters, and deleting what was kept for a time that is over.

use std::time::Duration;

use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use crate::store::{StoreError, idempotency, kept_secret, link, token};

use super::state::ApiState;

/// A revocation is looked for this far back each time: nodes' clocks differ, and a transaction commits after the time it
/// wrote.
const OVERLAP: TimeDelta = TimeDelta::seconds(60);

/// Limiters are pruned this often.
const PRUNE_INTERVAL: TimeDelta = TimeDelta::seconds(60);

/// Keeps an [`ApiState`] in shape.
#[derive(Debug)]
pub struct Upkeep {
    /// Whose state.
    pub state: Data<ApiState>,
    /// `limits.revocation_interval`.
    pub revocation_interval: Duration,
}

impl Upkeep {
    /// Runs until it is cancelled.
    pub async fn run(self, token: CancellationToken) {
        let interval = TimeDelta::from_std(self.revocation_interval).unwrap_or(TimeDelta::MAX);
        let clock = std::sync::Arc::clone(&self.state.clock);
        let mut read_up_to = clock.now();
        let mut pruned_at = read_up_to;
        self.read_origins().await;
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = clock.sleep_until(clock.now() + interval) => {}
            }
            let now = clock.now();
            match self.drop_revoked(read_up_to - OVERLAP).await {
                Ok(()) => read_up_to = now,
                // The next turn looks as far back as this one had to.
                Err(error) => tracing::warn!(error = %error.source, "revoked tokens could not be read"),
            }
            self.read_origins().await;
            if now - pruned_at >= PRUNE_INTERVAL {
                self.state.prune();
                if let Err(error) = self.forget_expired(now).await {
                    tracing::warn!(error = %error.source, "what has expired could not be deleted");
                }
                pruned_at = now;
            }
        }
    }

    async fn read_origins(&self) {
        if let Err(error) = self.state.origins.refresh(&self.state.store).await {
            tracing::warn!(error = %error.source, "the listed origins could not be read; those known stay");
        }
    }

    async fn forget_expired(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut conn = self.state.store.acquire().await?;
        kept_secret::forget_expired(&mut conn, now).await?;
        idempotency::forget_expired(&mut conn, now).await?;
        link::forget_expired(&mut conn, now).await?;
        Ok(())
    }

    async fn drop_revoked(&self, since: DateTime<Utc>) -> Result<(), StoreError> {
        let mut conn = self.state.store.acquire().await?;
        let revoked = token::revoked_since(&mut conn, since).await?;
        self.state.tokens.drop_revoked(&revoked);
        Ok(())
    }
}
