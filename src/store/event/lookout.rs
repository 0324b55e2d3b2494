//! Ringing for the events that other nodes write.

use std::sync::Arc;

use chrono::TimeDelta;
use sqlx::PgConnection;
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::domain::instance::InstanceId;
use crate::store::{Store, StoreError, lease};

/// An event of another node is heard at most this much later than one of this node.
const INTERVAL: TimeDelta = TimeDelta::seconds(1);

/// Instances asked for in one statement.
const BATCH: usize = 1_000;

/// Looks where the logs stand that somebody on this node waits for, and rings the store's bell for those that have grown.
///
/// One statement a second for all listeners of the node together, whatever they listen to: `NOTIFY` in every transaction
/// that logs would cost the writers far more.
pub struct Lookout {
    /// Whose logs.
    pub store: Store,
    /// The time it goes by.
    pub clock: Arc<dyn Clock>,
}

impl Lookout {
    /// Runs until it is cancelled.
    pub async fn run(self, token: CancellationToken) {
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = self.clock.sleep_until(self.clock.now() + INTERVAL) => {}
            }
            let turn = tokio::select! {
                () = token.cancelled() => return,
                turn = self.turn() => turn,
            };
            if let Err(error) = turn {
                tracing::debug!(error = &error as &dyn std::error::Error, "where the event logs stand was not read");
            }
        }
    }

    async fn turn(&self) -> Result<(), StoreError> {
        let awaited = self.store.bell().awaited();
        for ids in awaited.chunks(BATCH) {
            let mut conn = self.store.acquire().await?;
            for (id, last) in ends(&mut conn, ids).await? {
                self.store.bell().ring(id, last);
            }
        }
        Ok(())
    }
}

async fn ends(conn: &mut PgConnection, ids: &[InstanceId]) -> Result<Vec<(InstanceId, i64)>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!("SELECT instance_id, event_seq FROM instance_lease WHERE instance_id = ANY($1)", &ids)
        .fetch_all(conn)
        .await
        .map_err(StoreError::while_("read where the event logs end"))?;
    Ok(rows.into_iter().map(|row| (lease::stored_id(&row.instance_id), row.event_seq)).collect())
}
