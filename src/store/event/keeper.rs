//! The task that makes the log's days ahead, and drops those that are too old with what was kept of their messages.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::store::{Store, StoreError, message_reference};

use super::partitions;

/// Days are made this often: each turn makes three ahead, so that many in a row may fail.
const INTERVAL: TimeDelta = TimeDelta::hours(1);

/// A turn that failed is made up for after this long.
const RETRY: TimeDelta = TimeDelta::minutes(1);

/// Keeps the event log within its days. Every node does it, and none disturbs another.
pub struct Keeper {
    /// Whose log.
    pub store: Store,
    /// The time it goes by.
    pub clock: Arc<dyn Clock>,
    /// How long an event is kept at least: days go as a whole.
    pub retention: Duration,
}

impl Keeper {
    /// Makes and drops days once. To be called before anything is logged: what comes to a day that nobody made lands in
    /// the partition for all others, and is late to go.
    pub async fn turn(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut conn = self.store.acquire().await?;
        partitions::make(&mut conn, now).await?;
        let keep_from = now.checked_sub_signed(TimeDelta::from_std(self.retention).unwrap_or(TimeDelta::MAX));
        let dropped = match keep_from {
            Some(keep_from) => {
                message_reference::prune(&mut conn, keep_from).await?;
                partitions::prune(&mut conn, keep_from).await?
            }
            // Longer than time itself.
            None => 0,
        };
        if dropped > 0 {
            tracing::info!(days = dropped, "old days of the event log were dropped");
        }
        Ok(())
    }

    /// [`Self::turn`] every hour until it is cancelled.
    pub async fn run(self, token: CancellationToken) {
        let mut pause = INTERVAL;
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = self.clock.sleep_until(self.clock.now() + pause) => {}
            }
            let turn = tokio::select! {
                () = token.cancelled() => return,
                turn = self.turn() => turn,
            };
            pause = match turn {
                Ok(()) => INTERVAL,
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "the days of the event log were not kept");
                    RETRY
                }
            };
        }
    }
}
