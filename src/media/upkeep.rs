//! Removing files whose time is over, and those to which no message refers: their instance or their chat was erased.
//!
//! The shelf itself is asked what is on it, so that a file is found whatever became of the process that put it there. The
//! key of a file that is erased is gone at once, with its reference: what waits for its removal here is noise.

use std::sync::Arc;

use chrono::TimeDelta;
use futures_util::TryStreamExt as _;
use tokio_util::sync::CancellationToken;

use crate::domain::clock::Clock;
use crate::store::message_reference;

use super::library::{Library, LibraryError};

/// How often it is looked what can be removed.
const INTERVAL: TimeDelta = TimeDelta::minutes(10);

/// A file that is to be sent is removed this long after it was left: no message waits longer than a day.
const LEFT: TimeDelta = TimeDelta::hours(25);

/// Files that are looked up at one time.
const BATCH: usize = 500;

/// Keeps a library in shape.
pub struct Upkeep {
    /// Which one.
    pub library: Arc<Library>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// `media.retention`.
    pub retention: TimeDelta,
}

impl Upkeep {
    /// Runs until it is cancelled.
    pub async fn run(self, token: CancellationToken) {
        loop {
            match self.remove().await {
                Ok(0) => {}
                Ok(removed) => tracing::info!(media.removed = removed, "removed files whose time is over"),
                Err(error) => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "old files could not be removed");
                }
            }
            tokio::select! {
                () = token.cancelled() => return,
                () = self.clock.sleep_until(self.clock.now() + INTERVAL) => {}
            }
        }
    }

    /// Removes what is to be removed now; how many.
    pub async fn remove(&self) -> Result<usize, LibraryError> {
        let now = self.clock.now();
        let mut removed = 0;
        let mut batches = self.library.shelf().files().try_chunks(BATCH);
        while let Some(files) = batches.try_next().await.map_err(|error| error.1)? {
            let names: Vec<_> = files.iter().map(|file| (file.name.instance_id, file.name.digest)).collect();
            let mut conn = self.library.store().acquire().await?;
            let unreferred = message_reference::unreferred(&mut conn, &names).await?;
            drop(conn);
            let over = |place: &usize| now - files[*place].since >= self.retention;
            for place in (0..files.len()).filter(|place| over(place) || unreferred.contains(place)) {
                self.library.shelf().remove(files[place].name).await?;
                removed += 1;
            }
        }
        let mut left = self.library.outgoing().files();
        while let Some(file) = left.try_next().await? {
            if now - file.since >= LEFT {
                self.library.outgoing().remove(file.name).await?;
                removed += 1;
            }
        }
        Ok(removed)
    }
}
