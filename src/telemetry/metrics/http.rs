//! Requests, by the route they matched, and whom they were refused to.
//!
//! A request looks its series up in a table that no longer changes once the node serves, so counting it costs one
//! uncontended lock of the histogram and no allocation.

use std::collections::HashMap;
use std::sync::OnceLock;
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::Labels;

/// Upper bounds in seconds: answers from memory lie below a millisecond, those that wait for a code below 30 s.
const BUCKETS: [f64; 15] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Methods with a label of their own; any other, which a client may make up, is the last.
const METHODS: [&str; 6] = ["GET", "HEAD", "POST", "DELETE", "OPTIONS", "other"];

const CLASSES: [&str; 5] = ["1xx", "2xx", "3xx", "4xx", "5xx"];

/// The route of requests that match none.
const UNMATCHED: &str = "unmatched";

/// Counts what the HTTP listeners do.
#[derive(Debug)]
pub struct HttpMeter {
    requests: Family<Labels<3>, Histogram, Durations>,
    routes: HashMap<&'static str, Series>,
    unmatched: Series,
    auth_failures: Counter,
    rate_limited: Family<Labels<1>, Counter>,
    forwarded: Counter,
    sign_ins_refused: Family<Labels<1>, Counter>,
}

/// What became of the key that a browser could not sign in to the dashboard with.
pub mod sign_in {
    /// It is nobody's.
    pub const UNKNOWN: &str = "unknown";
    /// It was revoked.
    pub const REVOKED: &str = "revoked";
    /// It has expired.
    pub const EXPIRED: &str = "expired";
}

#[derive(Debug, Clone)]
struct Durations;

impl MetricConstructor<Histogram> for Durations {
    fn new_metric(&self) -> Histogram {
        Histogram::new(BUCKETS)
    }
}

/// The histograms of one route, each made when it is first needed.
type Series = [[OnceLock<Histogram>; CLASSES.len()]; METHODS.len()];

impl HttpMeter {
    /// For these routes and these policies of rate limits.
    pub fn new(
        routes: impl IntoIterator<Item = &'static str>,
        policies: impl IntoIterator<Item = &'static str>,
    ) -> Self {
        let rate_limited = Family::<Labels<1>, Counter>::default();
        for policy in policies {
            drop(rate_limited.get_or_create(&[("policy", policy)]));
        }
        let sign_ins_refused = Family::<Labels<1>, Counter>::default();
        for key in [sign_in::UNKNOWN, sign_in::REVOKED, sign_in::EXPIRED] {
            drop(sign_ins_refused.get_or_create(&[("key", key)]));
        }
        Self {
            requests: Family::new_with_constructor(Durations),
            routes: routes.into_iter().map(|route| (route, Series::default())).collect(),
            unmatched: Series::default(),
            auth_failures: Counter::default(),
            rate_limited,
            forwarded: Counter::default(),
            sign_ins_refused,
        }
    }

    /// Requests of these routes are counted by themselves too; before the node serves.
    pub fn count_too(&mut self, routes: impl IntoIterator<Item = &'static str>) {
        self.routes.extend(routes.into_iter().map(|route| (route, Series::default())));
    }

    /// A request was answered. `route` is a pattern, never a URI.
    pub fn answered(&self, route: Option<&'static str>, method: &str, status: u16, took: Duration) {
        let known = route.and_then(|route| self.routes.get(route).map(|series| (route, series)));
        let (route, series) = known.unwrap_or((UNMATCHED, &self.unmatched));
        let method = METHODS.iter().position(|known| *known == method).unwrap_or(METHODS.len() - 1);
        let class = usize::from(status / 100).clamp(1, CLASSES.len()) - 1;
        let histogram = series[method][class].get_or_init(|| {
            let labels = [("route", route), ("method", METHODS[method]), ("status", CLASSES[class])];
            self.requests.get_or_create(&labels).clone()
        });
        histogram.observe(took.as_secs_f64());
    }

    /// A credential was refused.
    pub fn authentication_failed(&self) {
        self.auth_failures.inc();
    }

    /// A rate limit refused a request.
    pub fn rate_limited(&self, policy: &'static str) {
        self.rate_limited.get_or_create(&[("policy", policy)]).inc();
    }

    /// Nobody was signed in to the dashboard, because their key is one of [`sign_in`].
    pub fn sign_in_refused(&self, key: &'static str) {
        self.sign_ins_refused.get_or_create(&[("key", key)]).inc();
    }

    /// A request was carried to another node.
    pub fn forwarded(&self) {
        self.forwarded.inc();
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "wagate_http_request_duration_seconds",
            "Time from a request's head to its answer, by matched route, method and class of status",
            self.requests.clone(),
        );
        registry.register(
            "wagate_http_authentication_failures",
            "Requests without a valid credential",
            self.auth_failures.clone(),
        );
        registry.register(
            "wagate_http_rate_limited",
            "Requests that a rate limit refused, by policy",
            self.rate_limited.clone(),
        );
        registry.register(
            "wagate_forwarded_requests",
            "Requests carried to the node that owns the instance",
            self.forwarded.clone(),
        );
        registry.register(
            "wagate_dashboard_sign_ins_refused",
            "Keys that signed nobody in to the dashboard, by what became of them",
            self.sign_ins_refused.clone(),
        );
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::prometheus_text;

    use super::*;

    fn counted(requests: &[(Option<&'static str>, &str, u16)]) -> String {
        let meter = HttpMeter::new(["/v2/session/info"], ["api"]);
        for (route, method, status) in requests {
            meter.answered(*route, method, *status, Duration::from_millis(3));
        }
        let mut registry = Registry::default();
        meter.register(&mut registry);
        let mut text = String::new();
        prometheus_text::encode(&mut text, &registry).unwrap();
        text
    }

    #[test]
    fn a_request_is_counted_under_its_route_method_and_class() {
        let text = counted(&[(Some("/v2/session/info"), "GET", 200), (Some("/v2/session/info"), "GET", 204)]);
        let labels = r#"route="/v2/session/info",method="GET",status="2xx""#;
        assert!(text.contains(&format!("wagate_http_request_duration_seconds_count{{{labels}}} 2")), "{text}");
    }

    #[test]
    fn what_clients_make_up_adds_no_labels() {
        let text = counted(&[
            (None, "PROPFIND", 404),
            (None, "BREW", 404),
            (Some("/not/in/the/table"), "GET", 999),
            (None, "GET", 0),
        ]);
        assert!(!text.contains("PROPFIND") && !text.contains("/not/in/the/table"), "{text}");
        assert!(text.contains(r#"_count{route="unmatched",method="other",status="4xx"} 2"#), "{text}");
        let series = text.lines().filter(|line| line.contains("_count{")).count();
        assert_eq!(series, 3, "{text}");
    }
}
