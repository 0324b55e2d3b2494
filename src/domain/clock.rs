//! Time, passed in. The product runs on [`SystemClock`]; tests move a [`ManualClock`] by hours.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::watch;

/// A source of the current time that can also be waited on.
pub trait Clock: Send + Sync + 'static {
    /// The current time.
    fn now(&self) -> DateTime<Utc>;

    /// Completes once [`Clock::now`] has reached `deadline`.
    fn sleep_until(&self, deadline: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }

    fn sleep_until(&self, deadline: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            // Slept in slices, so that a step of the machine's clock delays nobody for longer than one of them.
            while let Ok(left) = (deadline - self.now()).to_std() {
                if left.is_zero() {
                    break;
                }
                tokio::time::sleep(left.min(std::time::Duration::from_secs(30))).await;
            }
        })
    }
}

/// A clock that stands still until it is moved: hours of outage pass in a test within milliseconds.
#[derive(Debug, Clone)]
pub struct ManualClock {
    now: Arc<watch::Sender<DateTime<Utc>>>,
    sleepers: Arc<Mutex<Vec<DateTime<Utc>>>>,
}

impl ManualClock {
    /// A clock that stands at `now`.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self { now: Arc::new(watch::Sender::new(now)), sleepers: Arc::default() }
    }

    /// Moves the clock forward and wakes whoever waited for a moment up to then.
    pub fn advance(&self, by: TimeDelta) {
        self.now.send_modify(|now| *now += by);
    }

    /// The earliest moment somebody is waiting for.
    pub fn next_deadline(&self) -> Option<DateTime<Utc>> {
        self.sleepers.lock().iter().min().copied()
    }
}

struct Sleeper<'a> {
    clock: &'a ManualClock,
    deadline: DateTime<Utc>,
}

impl Drop for Sleeper<'_> {
    fn drop(&mut self) {
        let mut sleepers = self.clock.sleepers.lock();
        if let Some(index) = sleepers.iter().position(|deadline| *deadline == self.deadline) {
            sleepers.swap_remove(index);
        }
    }
}

impl Clock for ManualClock {
    fn now(&self) -> DateTime<Utc> {
        *self.now.borrow()
    }

    fn sleep_until(&self, deadline: DateTime<Utc>) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(async move {
            let mut now = self.now.subscribe();
            self.sleepers.lock().push(deadline);
            let _registered = Sleeper { clock: self, deadline };
            // The sender lives in `self`, so the wait cannot fail.
            let _ = now.wait_for(|now| *now >= deadline).await;
        })
    }
}
