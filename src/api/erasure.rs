//! Erasing the instances of deleted accounts.
//!
//! The task takes no orders: every turn it reads which instances belong to a deleted account and deletes those that this
//! node may. Those of another node are that node's to delete. A node that dies in between leaves nothing behind but work
//! that the next turn of any node finds.

use std::time::Duration;

use actix_web::web::Data;
use chrono::TimeDelta;
use futures_util::StreamExt;
use futures_util::stream;
use tokio_util::sync::CancellationToken;

use crate::domain::instance::InstanceId;
use crate::store::{StoreError, account};
use crate::supervisor::SupervisorError;

use super::state::ApiState;

/// Instances read in one turn.
const TURN: u32 = 500;

/// Instances erased at once: each may wait for WhatsApp to confirm.
const AT_ONCE: usize = 8;

/// Erases what deleted accounts leave behind.
#[derive(Debug)]
pub struct Erasure {
    /// Whose sessions.
    pub state: Data<ApiState>,
    /// How often it looks.
    pub interval: Duration,
}

impl Erasure {
    /// Runs until it is cancelled.
    pub async fn run(self, token: CancellationToken) {
        let interval = TimeDelta::from_std(self.interval).unwrap_or(TimeDelta::MAX);
        let clock = std::sync::Arc::clone(&self.state.clock);
        loop {
            tokio::select! {
                () = token.cancelled() => return,
                () = clock.sleep_until(clock.now() + interval) => {}
            }
            tokio::select! {
                () = token.cancelled() => return,
                outcome = self.turn() => if let Err(error) = outcome {
                    tracing::warn!(error = %error.source, "instances of deleted accounts could not be read");
                }
            }
        }
    }

    async fn turn(&self) -> Result<(), StoreError> {
        let mut conn = self.state.store.acquire().await?;
        let orphans = account::orphans(&mut conn, TURN).await?;
        drop(conn);
        stream::iter(orphans).for_each_concurrent(AT_ONCE, |id| self.erase(id)).await;
        Ok(())
    }

    /// Unlinks the device if WhatsApp can be told, and erases the instance either way.
    async fn erase(&self, id: InstanceId) {
        match self.state.sessions.delete(id, true).await {
            Ok(outcome) => {
                self.state.forget(id);
                tracing::info!(
                    instance.id = %id, unlinked = outcome.unlinked_at_whatsapp,
                    "an instance of a deleted account was erased",
                );
            }
            Err(SupervisorError::NotFound | SupervisorError::Elsewhere { .. } | SupervisorError::NotServing) => {}
            Err(
                error @ (SupervisorError::Unreachable
                | SupervisorError::NotStored
                | SupervisorError::Store(_)
                | SupervisorError::Engine(_)),
            ) => {
                tracing::warn!(instance.id = %id, error = %error, "an instance of a deleted account is still there");
            }
        }
    }
}
