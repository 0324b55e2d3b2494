//! Answers that go on: Server-Sent Events.
//!
//! A stream is a body that its connection's task polls: no task of its own, no channel, no buffer that fills while its
//! client is slow, and dropped with it. What it needs besides its events is here: a place among those that may be open
//! ([`Streams`]), the end of its credential or the node, and a heartbeat ([`Vigil`]), and how events are written
//! ([`Frames`]).

mod frames;
mod vigil;

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::config;
use crate::domain::account::AccountId;

use super::error::ApiError;

pub(super) use frames::Frames;
pub(super) use vigil::{Vigil, Woken};

/// The streams of this node.
#[derive(Debug)]
pub(super) struct Streams {
    open: Mutex<HashMap<AccountId, usize>>,
    max: usize,
    max_per_account: usize,
    ending: CancellationToken,
}

/// The place of one stream; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    streams: Arc<Streams>,
    account: AccountId,
}

impl Streams {
    pub(super) fn new(config: &config::Events) -> Self {
        Self {
            open: Mutex::default(),
            max: config.max_streams,
            max_per_account: config.max_streams_per_account,
            ending: CancellationToken::new(),
        }
    }

    /// A place for another stream of an account.
    pub(super) fn open(self: &Arc<Self>, account: AccountId) -> Result<Place, ApiError> {
        let mut open = self.open.lock();
        if open.values().sum::<usize>() >= self.max {
            return Err(ApiError::TooManyStreams { whose: "this node" });
        }
        let of_account = open.entry(account).or_default();
        if *of_account >= self.max_per_account {
            return Err(ApiError::TooManyStreams { whose: "an account" });
        }
        *of_account += 1;
        Ok(Place { streams: Arc::clone(self), account })
    }

    /// How many are open.
    pub(super) fn len(&self) -> usize {
        self.open.lock().values().sum()
    }

    /// Ends all of them, and any that is opened from now on: a node that stops waits for the answers under way, and a
    /// stream would never be one that is done.
    pub(super) fn end(&self) {
        self.ending.cancel();
    }

    /// Fires when they are to end.
    pub(super) fn ending(&self) -> CancellationToken {
        self.ending.clone()
    }
}

impl Place {
    /// Completes when the stream is to end.
    async fn ended(&self) {
        self.streams.ending.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.streams.open.lock();
        if let Some(of_account) = open.get_mut(&self.account) {
            *of_account -= 1;
            if *of_account == 0 {
                open.remove(&self.account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use uuid::Uuid;

    use super::*;

    #[test]
    fn places_are_counted_by_account_and_in_all_and_come_back() {
        let config = config::Events { retention: Duration::ZERO, max_streams: 3, max_streams_per_account: 2 };
        let streams = Arc::new(Streams::new(&config));
        let [ours, theirs, others] = [1, 2, 3].map(|number| AccountId(Uuid::from_u128(number)));
        let _first = streams.open(ours).unwrap();
        let second = streams.open(ours).unwrap();
        assert!(matches!(streams.open(ours), Err(ApiError::TooManyStreams { whose: "an account" })));
        let _third = streams.open(theirs).unwrap();
        assert!(matches!(streams.open(others), Err(ApiError::TooManyStreams { whose: "this node" })));
        drop(second);
        assert_eq!(streams.len(), 2);
        assert!(streams.open(others).is_ok());
        assert_eq!(streams.open.lock().len(), 2, "an account without streams is forgotten");
    }
}
