//! Messages that are sent from here.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::domain::outgoing::Failure;

use super::Labels;

/// Upper bounds in seconds; WhatsApp is given ten unless configured.
const BUCKETS: [f64; 9] = [0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

const SENT: &str = "sent";
const UNKNOWN: &str = "unknown";
const FAILED: &str = "failed";

/// Counts messages; clones count together.
#[derive(Debug, Clone)]
pub struct MessageMeter(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    accepted: Counter,
    settled: Family<Labels<1>, Counter>,
    failures: Family<Labels<1>, Counter>,
    durations: Histogram,
}

impl Default for MessageMeter {
    fn default() -> Self {
        let counts = Counts {
            accepted: Counter::default(),
            settled: Family::default(),
            failures: Family::default(),
            durations: Histogram::new(BUCKETS),
        };
        for outcome in [SENT, UNKNOWN, FAILED] {
            drop(counts.settled.get_or_create(&[("outcome", outcome)]));
        }
        for failure in Failure::ALL {
            drop(counts.failures.get_or_create(&[("reason", failure.as_str())]));
        }
        Self(Arc::new(counts))
    }
}

impl MessageMeter {
    /// A message was accepted.
    pub fn accepted(&self) {
        self.0.accepted.inc();
    }

    /// WhatsApp acknowledged one, so long after it was handed over.
    pub fn sent(&self, took: Duration) {
        self.settled(SENT);
        self.0.durations.observe(took.as_secs_f64());
    }

    /// Nobody knows what became of one.
    pub fn unknown(&self) {
        self.settled(UNKNOWN);
    }

    /// One was given up.
    pub fn failed(&self, failure: Failure) {
        self.settled(FAILED);
        self.0.failures.get_or_create(&[("reason", failure.as_str())]).inc();
    }

    fn settled(&self, outcome: &'static str) {
        self.0.settled.get_or_create(&[("outcome", outcome)]).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("wagate_messages_accepted", "Messages accepted to be sent", self.0.accepted.clone());
        registry.register(
            "wagate_messages_settled",
            "Messages by what their sending came to; one that is unknown may be settled by a receipt later",
            self.0.settled.clone(),
        );
        registry.register("wagate_messages_failed", "Messages that were given up, by reason", self.0.failures.clone());
        registry.register(
            "wagate_message_send_seconds",
            "Time from handing a message to the client to WhatsApp's acknowledgement",
            self.0.durations.clone(),
        );
    }
}
