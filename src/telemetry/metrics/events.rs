//! What is added to the event logs.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use crate::domain::event::EventKind;

use super::Labels;

/// Counts the events that this node logs; clones count together.
#[derive(Debug, Clone)]
pub struct EventMeter {
    logged: Family<Labels<1>, Counter>,
}

impl Default for EventMeter {
    fn default() -> Self {
        let meter = Self { logged: Family::default() };
        // A series that is there from the first scrape on has a rate from its first event on.
        for kind in EventKind::ALL {
            drop(meter.logged.get_or_create(&[("kind", kind.as_str())]));
        }
        meter
    }
}

impl EventMeter {
    /// An event was committed.
    pub fn logged(&self, kind: EventKind) {
        self.logged.get_or_create(&[("kind", kind.as_str())]).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("wagate_events_logged", "Events added to the logs, by kind", self.logged.clone());
    }
}
