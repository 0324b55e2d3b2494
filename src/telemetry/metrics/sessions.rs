//! Codes, links and heals.

use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Labels;

/// Upper bounds in seconds; a first code must be there within 30.
const FIRST_CODE_BUCKETS: [f64; 12] = [0.25, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 20.0, 30.0, 60.0, 300.0];

/// Why the healer started a session again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HealCause {
    /// WhatsApp was there and brought no code.
    Stalled,
    /// The connection was lost.
    Dropped,
    /// WhatsApp could not be reached, or refused for now.
    Unreachable,
    /// Nothing came from WhatsApp any more, a probe's answer included.
    Silent,
    /// A linked session was not logged in within its time.
    LoginTimeout,
    /// A scanned session was not connected within its time.
    PairingTimeout,
    /// The client could not go on, for a reason on our side.
    Broken,
    /// A failure that is tried once more after a time.
    Failure,
}

impl HealCause {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Stalled,
        Self::Dropped,
        Self::Unreachable,
        Self::Silent,
        Self::LoginTimeout,
        Self::PairingTimeout,
        Self::Broken,
        Self::Failure,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Stalled => "stalled",
            Self::Dropped => "dropped",
            Self::Unreachable => "unreachable",
            Self::Silent => "silent",
            Self::LoginTimeout => "login_timeout",
            Self::PairingTimeout => "pairing_timeout",
            Self::Broken => "broken",
            Self::Failure => "failure",
        }
    }
}

/// Counts what happens to the sessions of a node; clones count together.
#[derive(Debug, Clone)]
pub struct SessionMeter {
    first_code: Histogram,
    rounds_begun: Counter,
    rounds_exhausted: Counter,
    links: Counter,
    heals: Family<Labels<1>, Counter>,
    engine_starts: Family<Labels<1>, Counter>,
    upstream_attempts: Family<Labels<1>, Counter>,
}

impl Default for SessionMeter {
    fn default() -> Self {
        let meter = Self {
            first_code: Histogram::new(FIRST_CODE_BUCKETS),
            rounds_begun: Counter::default(),
            rounds_exhausted: Counter::default(),
            links: Counter::default(),
            heals: Family::default(),
            engine_starts: Family::default(),
            upstream_attempts: Family::default(),
        };
        // A series that is there from the first scrape on has a rate from its first event on.
        for cause in HealCause::ALL {
            drop(meter.heals.get_or_create(&[("cause", cause.as_str())]));
        }
        for done in [true, false] {
            drop(meter.engine_starts.get_or_create(&started(done)));
            drop(meter.upstream_attempts.get_or_create(&reached(done)));
        }
        meter
    }
}

impl SessionMeter {
    /// A session that set out for a code shows one.
    pub fn first_code(&self, after: Duration) {
        self.first_code.observe(after.as_secs_f64());
    }

    /// The first code of a round is shown.
    pub fn round_begun(&self) {
        self.rounds_begun.inc();
    }

    /// A round ended without a scan.
    pub fn round_exhausted(&self) {
        self.rounds_exhausted.inc();
    }

    /// A phone linked a device.
    pub fn linked(&self) {
        self.links.inc();
    }

    /// A session is started again by itself.
    pub fn healed(&self, cause: HealCause) {
        self.heals.get_or_create(&[("cause", cause.as_str())]).inc();
    }

    /// The engine was asked for a client.
    pub fn engine_started(&self, done: bool) {
        self.engine_starts.get_or_create(&started(done)).inc();
    }

    /// An attempt to reach WhatsApp ended.
    pub fn upstream_attempted(&self, done: bool) {
        self.upstream_attempts.get_or_create(&reached(done)).inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_session_first_code_seconds",
            "Time from a session's start to its first code",
            self.first_code.clone(),
        );
        registry.register("wagate_qr_rounds_begun", "Rounds of codes that began", self.rounds_begun.clone());
        registry.register(
            "wagate_qr_rounds_exhausted",
            "Rounds of codes that ended without a scan",
            self.rounds_exhausted.clone(),
        );
        registry.register("wagate_links_completed", "Devices that a phone linked", self.links.clone());
        registry.register(
            "wagate_session_heals",
            "Sessions that the healer started again, by cause",
            self.heals.clone(),
        );
        registry.register(
            "wagate_engine_starts",
            "Clients asked of the engine, by outcome",
            self.engine_starts.clone(),
        );
        registry.register(
            "wagate_upstream_attempts",
            "Attempts to reach WhatsApp, by outcome",
            self.upstream_attempts.clone(),
        );
    }
}

const fn started(done: bool) -> Labels<1> {
    [("outcome", if done { "started" } else { "failed" })]
}

const fn reached(done: bool) -> Labels<1> {
    [("outcome", if done { "reached" } else { "failed" })]
}
