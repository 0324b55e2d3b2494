//! Deliveries to accounts' own servers.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::domain::webhook::{DisabledReason, Outcome};

use super::Labels;

/// Upper bounds in seconds; a delivery takes 15 s at most unless configured.
const BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0];

/// Counts deliveries; clones count together.
#[derive(Debug, Clone)]
pub struct WebhookMeter(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    deliveries: Family<Labels<1>, Counter>,
    durations: Histogram,
    under_way: Gauge,
    lag: Gauge<f64, AtomicU64>,
    parked: Counter,
    disabled: Family<Labels<1>, Counter>,
}

impl Default for WebhookMeter {
    fn default() -> Self {
        let counts = Counts {
            deliveries: Family::default(),
            durations: Histogram::new(BUCKETS),
            under_way: Gauge::default(),
            lag: Gauge::default(),
            parked: Counter::default(),
            disabled: Family::default(),
        };
        for outcome in Outcome::ALL {
            drop(counts.deliveries.get_or_create(&[("outcome", outcome.as_str())]));
        }
        for reason in [DisabledReason::Gone, DisabledReason::Failing] {
            drop(counts.disabled.get_or_create(&[("reason", reason.as_str())]));
        }
        Self(Arc::new(counts))
    }
}

/// A delivery under way, until it is dropped.
#[derive(Debug)]
pub struct UnderWay(WebhookMeter);

impl WebhookMeter {
    /// A delivery begins.
    pub fn begin(&self) -> UnderWay {
        self.0.under_way.inc();
        UnderWay(self.clone())
    }

    /// For how long the oldest event waits that is still to be told, anywhere.
    pub fn waits_for(&self, lag: Duration) {
        self.0.lag.set(lag.as_secs_f64());
    }

    /// An event was given up.
    pub fn parked(&self) {
        self.0.parked.inc();
    }

    /// A webhook gets nothing more.
    pub fn disabled(&self, reason: DisabledReason) {
        self.0.disabled.get_or_create(&[("reason", reason.as_str())]).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_webhook_deliveries",
            "Attempts at deliveries to webhooks, by what came of them",
            self.0.deliveries.clone(),
        );
        registry.register(
            "wagate_webhook_delivery_seconds",
            "Time that an attempt at a delivery took",
            self.0.durations.clone(),
        );
        registry.register(
            "wagate_webhook_deliveries_under_way",
            "Deliveries under way at this moment",
            self.0.under_way.clone(),
        );
        registry.register(
            "wagate_webhook_lag_seconds",
            "For how long the oldest event waits that an enabled webhook was not told yet, on whichever node",
            self.0.lag.clone(),
        );
        registry.register(
            "wagate_webhook_dead_letters",
            "Events that were given up after all attempts",
            self.0.parked.clone(),
        );
        registry.register(
            "wagate_webhooks_disabled",
            "Webhooks that the gateway disabled, by the reason",
            self.0.disabled.clone(),
        );
    }
}

impl UnderWay {
    /// It has ended.
    pub fn ended(self, outcome: Outcome, took: Duration) {
        self.0.0.deliveries.get_or_create(&[("outcome", outcome.as_str())]).inc();
        self.0.0.durations.observe(took.as_secs_f64());
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.0.under_way.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delivery_that_is_given_up_is_no_longer_under_way_and_not_counted() {
        let meter = WebhookMeter::default();
        let (aborted, made) = (meter.begin(), meter.begin());
        assert_eq!(meter.0.under_way.get(), 2);
        drop(aborted);
        made.ended(Outcome::Delivered, Duration::from_millis(3));
        assert_eq!(meter.0.under_way.get(), 0);
        let counted: u64 =
            Outcome::ALL.iter().map(|o| meter.0.deliveries.get_or_create(&[("outcome", o.as_str())]).get()).sum();
        assert_eq!(counted, 1);
    }
}
