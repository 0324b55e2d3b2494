//! Stopping: the first SIGTERM or SIGINT drains, the second ends the process at once.

use std::io;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{info, warn};

/// Listens for stop signals.
#[derive(Debug)]
pub struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    /// Takes the signals over from their default of killing the process.
    pub fn install() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    /// Completes at the next signal.
    pub async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// The tasks of the process and the token that tells them to end.
#[derive(Debug, Clone, Default)]
pub struct Lifecycle {
    /// Cancelled when the process should drain.
    pub stop: CancellationToken,
    /// Every long-lived task is spawned here.
    pub tasks: TaskTracker,
}

impl Lifecycle {
    /// Tells every task to end and waits for them, at most `within`. Tells whether all of them ended.
    pub async fn drain(&self, within: Duration) -> bool {
        info!(tasks = self.tasks.len(), "draining");
        self.stop.cancel();
        self.tasks.close();
        let drained = tokio::time::timeout(within, self.tasks.wait()).await.is_ok();
        if drained {
            info!("drained");
        } else {
            warn!(tasks = self.tasks.len(), "some tasks did not end in time and are abandoned");
        }
        drained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_never_ends_is_abandoned_and_said_so() {
        let lifecycle = Lifecycle::default();
        lifecycle.tasks.spawn(std::future::pending::<()>());
        assert!(!lifecycle.drain(Duration::from_secs(20)).await);
    }

    #[tokio::test(start_paused = true)]
    async fn tasks_that_heed_the_token_are_waited_for() {
        let lifecycle = Lifecycle::default();
        let stop = lifecycle.stop.clone();
        lifecycle.tasks.spawn(async move { stop.cancelled().await });
        assert!(lifecycle.drain(Duration::from_secs(20)).await);
    }
}
