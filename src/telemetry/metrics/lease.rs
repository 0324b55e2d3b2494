//! The node's own lease.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

/// Counts how the lease fares; clones count together.
#[derive(Debug, Clone, Default)]
pub struct LeaseMeter {
    renewal_failures: Counter,
    losses: Counter,
}

impl LeaseMeter {
    /// A renewal failed or came too late.
    pub fn renewal_failed(&self) {
        self.renewal_failures.inc();
    }

    /// The node no longer trusts its lease and drops every session.
    pub fn lost(&self) {
        self.losses.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_lease_renewal_failures",
            "Renewals of the node's lease that failed or came too late",
            self.renewal_failures.clone(),
        );
        registry.register(
            "wagate_lease_losses",
            "Times that the node lost its lease and dropped every session",
            self.losses.clone(),
        );
    }
}
