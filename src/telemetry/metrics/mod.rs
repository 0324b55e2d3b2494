//! What Prometheus sees of this node. Every metric's name stands in this folder; `docs/grafana` and `docs/prometheus` use
//! them, and a test holds the three together.
//!
//! Whoever counts something owns a *meter* and is the only one to write to it; nothing is global. The composition root
//! hands all meters to an [`Exposition`], with a function that reads what is cheaper counted when it is asked for
//! ([`Readings`]). No label ever names a tenant, an instance, an address or a URI: labels come from tables of ours, so
//! that their number is bounded whatever clients send.

mod events;
mod http;
mod lease;
mod messages;
mod pool;
mod readings;
mod sessions;
mod webhooks;

use std::fmt;

use prometheus_client::encoding::prometheus_text;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;

pub use events::EventMeter;
pub use http::{HttpMeter, sign_in};
pub use lease::LeaseMeter;
pub use messages::MessageMeter;
pub use pool::{PoolMeter, Waiting};
pub use readings::{PoolReading, Readings};
pub use sessions::{HealCause, SessionMeter};
pub use webhooks::{UnderWay, WebhookMeter};

use readings::ReadOnDemand;

/// Labels whose names and values are all ours.
type Labels<const N: usize> = [(&'static str, &'static str); N];

/// The content type of [`Exposition::text`].
pub const CONTENT_TYPE: &str = prometheus_text::CONTENT_TYPE;

/// The meters of a node.
#[derive(Debug, Clone, Copy)]
pub struct Meters<'a> {
    /// Requests and refusals.
    pub http: &'a HttpMeter,
    /// Codes, links, heals.
    pub sessions: &'a SessionMeter,
    /// Waiting for the database.
    pub pool: &'a PoolMeter,
    /// The node's own lease.
    pub lease: &'a LeaseMeter,
    /// Messages that are sent.
    pub messages: &'a MessageMeter,
    /// What is added to the event logs.
    pub events: &'a EventMeter,
    /// Deliveries to webhooks.
    pub webhooks: &'a WebhookMeter,
}

/// All metrics of a node, ready to be written. By default there are none.
#[derive(Default)]
pub struct Exposition {
    registry: Registry,
}

impl Exposition {
    /// Of these meters, and of what `read` tells at each scrape.
    pub fn new(meters: Meters<'_>, read: impl Fn() -> Readings + Send + Sync + 'static) -> Self {
        let mut registry = Registry::default();
        let build: Labels<2> = [
            ("version", env!("CARGO_PKG_VERSION")),
            ("flavour", if cfg!(feature = "sandbox") { "sandbox" } else { "live" }),
        ];
        registry.register("wagate_build", "What runs here", Info::new(build));
        meters.http.register(&mut registry);
        meters.sessions.register(&mut registry);
        meters.pool.register(&mut registry);
        meters.lease.register(&mut registry);
        meters.messages.register(&mut registry);
        meters.events.register(&mut registry);
        meters.webhooks.register(&mut registry);
        registry.register_collector(Box::new(ReadOnDemand::new(read)));
        Self { registry }
    }

    /// The text a scrape is answered with.
    pub fn text(&self) -> String {
        let mut text = String::new();
        prometheus_text::encode(&mut text, &self.registry).expect("a string takes whatever is written");
        text
    }
}

impl fmt::Debug for Exposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exposition").finish_non_exhaustive()
    }
}
