//! Waiting for a connection of the database's pool.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Upper bounds in seconds; whoever waits longer than `database.acquire_timeout`, 5 s, gives up.
const BUCKETS: [f64; 11] = [0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0];

/// Counts who waits for a connection and how long; clones count together.
#[derive(Debug, Clone)]
pub struct PoolMeter {
    waiting: Gauge,
    acquire: Histogram,
    failures: Counter,
}

impl Default for PoolMeter {
    fn default() -> Self {
        Self { waiting: Gauge::default(), acquire: Histogram::new(BUCKETS), failures: Counter::default() }
    }
}

/// Somebody who waits, until it is dropped.
#[derive(Debug)]
pub struct Waiting<'a>(&'a PoolMeter);

impl PoolMeter {
    /// Somebody begins to wait.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.inc();
        Waiting(self)
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_db_pool_waiting",
            "Who waits for a connection to the database at this moment",
            self.waiting.clone(),
        );
        registry.register(
            "wagate_db_pool_acquire_seconds",
            "Time until a connection to the database was had",
            self.acquire.clone(),
        );
        registry.register(
            "wagate_db_pool_acquire_failures",
            "Times that no connection to the database was had",
            self.failures.clone(),
        );
    }
}

impl Waiting<'_> {
    /// It has ended, well or badly.
    pub fn ended(self, well: bool, took: Duration) {
        if well {
            self.0.acquire.observe(took.as_secs_f64());
        } else {
            self.0.failures.inc();
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.waiting.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_gives_up_waits_no_longer() {
        let meter = PoolMeter::default();
        let (given_up, served) = (meter.wait(), meter.wait());
        assert_eq!(meter.waiting.get(), 2);
        drop(given_up);
        served.ended(true, Duration::from_millis(1));
        assert_eq!(meter.waiting.get(), 0);
        assert_eq!(meter.failures.get(), 0);
        meter.wait().ended(false, Duration::ZERO);
        assert_eq!((meter.waiting.get(), meter.failures.get()), (0, 1));
    }
}
