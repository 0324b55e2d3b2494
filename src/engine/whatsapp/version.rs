//! The WhatsApp web version the clients present.
//!
//! WhatsApp refuses versions that are too old. Left to itself the library asks for the newest one when it connects, and
//! cannot connect where that fails; so the version is learned here, once for all runs, and a failure to learn costs
//! nothing but age.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::Mutex;
use tracing::{info, warn};

use crate::domain::clock::Clock;

use super::http::Http;

/// A version as the client wants it: 2, 3000 and WhatsApp's revision.
pub(super) type Version = (u32, u32, u32);

/// Accepted by WhatsApp in November 2026; used until a newer one is learned.
const COMPILED_IN: Version = (2, 3000, 1_042_742_319);

const PAGE: &str = "https://web.whatsapp.com/sw.js";

/// How long a start may wait for the page.
const PATIENCE: Duration = Duration::from_secs(5);

/// After a failure, the page is left alone for this long.
const RETRY: TimeDelta = TimeDelta::minutes(5);

/// Reads `2.3000.1023456789`.
pub(super) fn parse(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| part.parse().ok());
    let version = (parts.next()??, parts.next()??, parts.next()??);
    parts.next().is_none().then_some(version)
}

/// What is known about the version.
pub(super) struct Versions {
    configured: Option<Version>,
    refresh: TimeDelta,
    http: Http,
    clock: Arc<dyn Clock>,
    learned: Mutex<Learned>,
}

struct Learned {
    version: Version,
    /// When to ask again; `None` is now.
    next: Option<DateTime<Utc>>,
}

impl Versions {
    pub(super) fn new(configured: Option<Version>, refresh: Duration, http: Http, clock: Arc<dyn Clock>) -> Self {
        let refresh = TimeDelta::from_std(refresh).unwrap_or(TimeDelta::MAX);
        let learned = Mutex::new(Learned { version: COMPILED_IN, next: None });
        Self { configured, refresh, http, clock, learned }
    }

    /// Nobody to ask.
    #[cfg(test)]
    pub(super) fn offline(clock: Arc<dyn Clock>) -> Self {
        Self::new(None, Duration::from_secs(1), Http::none(), clock)
    }

    /// The version to present. Asks WhatsApp when the learned one is old; of many that start at once, one asks and the
    /// others wait for it.
    pub(super) async fn current(&self) -> Version {
        if let Some(version) = self.configured {
            return version;
        }
        // The sandbox takes any version, and there is nobody else to ask.
        if cfg!(feature = "sandbox") {
            return COMPILED_IN;
        }
        let mut learned = self.learned.lock().await;
        let now = self.clock.now();
        if learned.next.is_none_or(|next| next <= now) {
            if let Some(version) = self.learn().await {
                if version != learned.version {
                    info!(engine.revision = version.2, "learned the WhatsApp version");
                }
                *learned = Learned { version, next: now.checked_add_signed(self.refresh) };
            } else {
                warn!(engine.revision = learned.version.2, "the WhatsApp version could not be learned");
                learned.next = now.checked_add_signed(RETRY.min(self.refresh));
            }
        }
        learned.version
    }

    /// WhatsApp called the version outdated: the next run asks again.
    pub(super) async fn expire(&self) {
        self.learned.lock().await.next = None;
    }

    async fn learn(&self) -> Option<Version> {
        let page = tokio::time::timeout(PATIENCE, self.http.text(PAGE)).await.ok()??;
        wacore::version::parse_sw_js(&page).filter(|version| version.2 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_has_three_numbers() {
        assert_eq!(parse("2.3000.1023456789"), Some((2, 3000, 1_023_456_789)));
        for text in ["", "2", "2.3000", "2.3000.x", "2.3000.1.1", "2..1", "-2.3000.1"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
