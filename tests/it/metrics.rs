//! What `/metrics` tells, and that dashboard and alerts speak of nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::wait::until;

/// A scrape: samples by name and labels, as they are written.
struct Scrape {
    text: String,
    samples: BTreeMap<String, f64>,
}

impl Scrape {
    async fn of(gateway: &Gateway) -> Self {
        let response = reqwest::get(format!("{}/metrics", gateway.operator_url())).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/plain; version=0.0.4; charset=utf-8");
        let text = response.text().await.unwrap();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        let samples = lines.map(|line| line.rsplit_once(' ').unwrap()).map(|(name, value)| {
            (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{name} is {value}, which is no number")))
        });
        Self { samples: samples.collect(), text }
    }

    fn value(&self, sample: &str) -> f64 {
        *self.samples.get(sample).unwrap_or_else(|| panic!("{sample} is missing in\n{}", self.text))
    }

    #[track_caller]
    fn is(&self, sample: &str, value: f64) {
        assert!((self.value(sample) - value).abs() < f64::EPSILON, "{sample} is {}", self.value(sample));
    }

    #[track_caller]
    fn is_positive(&self, sample: &str) {
        assert!(self.value(sample) > 0.0, "{sample} is {}", self.value(sample));
    }

    /// The names of all samples, without their labels.
    fn names(&self) -> BTreeSet<String> {
        self.samples.keys().map(|sample| sample.split('{').next().unwrap_or_default().to_owned()).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_happened_to_a_session_can_be_read() {
    let gateway = Gateway::with(|config| {
        config.session.backoff_min = Duration::from_millis(20);
        config.session.backoff_max = Duration::from_millis(200);
    })
    .await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let stranger = gateway.client.with_key("nonsense");
    let (status, _) = stranger.post("/v2/session/info", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let scrape = Scrape::of(&gateway).await;
    scrape.is(r#"wagate_sessions{status="WORKING"}"#, 1.0);
    scrape.is(r#"wagate_sessions{status="FAILED"}"#, 0.0);
    scrape.is("wagate_sessions_desired", 1.0);
    scrape.is("wagate_session_first_code_seconds_count", 1.0);
    scrape.is("wagate_qr_rounds_begun_total", 1.0);
    scrape.is("wagate_qr_rounds_exhausted_total", 0.0);
    scrape.is("wagate_links_completed_total", 1.0);
    scrape.is(r#"wagate_session_heals_total{cause="dropped"}"#, 0.0);
    scrape.is_positive(r#"wagate_engine_starts_total{outcome="started"}"#);
    scrape.is_positive(r#"wagate_upstream_attempts_total{outcome="reached"}"#);
    scrape.is("wagate_upstream_breaker_open", 0.0);
    scrape.is("wagate_logins_waiting", 0.0);
    scrape.is("wagate_http_authentication_failures_total", 1.0);
    scrape.is(r#"wagate_http_rate_limited_total{policy="qr"}"#, 0.0);
    scrape.is("wagate_forwarded_requests_total", 0.0);
    let request = |route: &str, status: &str| {
        format!("wagate_http_request_duration_seconds_count{{route=\"{route}\",method=\"POST\",status=\"{status}\"}}")
    };
    scrape.is(&request("/v2/session/create", "2xx"), 1.0);
    scrape.is(&request("/v2/session/info", "4xx"), 1.0);
    scrape.is_positive(&request("/v2/auth/qr", "2xx"));
    scrape.is("wagate_messages_accepted_total", 0.0);
    scrape.is(r#"wagate_messages_failed_total{reason="expired"}"#, 0.0);
    scrape.is("wagate_lease_held", 1.0);
    scrape.is_positive("wagate_lease_trust_seconds");
    scrape.is("wagate_lease_losses_total", 0.0);
    scrape.is("wagate_db_pool_max_connections", 8.0);
    scrape.is_positive("wagate_db_pool_acquire_seconds_count");
    scrape.is("wagate_tokens_cached", 1.0);
    scrape.is_positive("process_resident_memory_bytes");
    let version = env!("CARGO_PKG_VERSION");
    scrape.is(&format!("wagate_build_info{{version=\"{version}\",flavour=\"sandbox\"}}"), 1.0);

    gateway.network.fault(&json!({ "kind": "drop" })).await;
    until("the heal is counted", || async {
        let scrape = Scrape::of(&gateway).await;
        (scrape.value(r#"wagate_session_heals_total{cause="dropped"}"#) > 0.0).then_some(())
    })
    .await;
    gateway.client.reaches(&instance, "WORKING").await;

    let text = Scrape::of(&gateway).await.text;
    for secret in [instance.as_str(), &number, gateway.client.key(), "127.0.0.1", "nonsense"] {
        assert!(!text.contains(secret), "{secret} is in\n{text}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_counted_by_their_patterns() {
    let gateway = Gateway::start().await;
    let browser = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let link = "/link/wgl_nonsense";
    for path in ["/dashboard/sign-in", "/dashboard/keys", "/dashboard/instances/7K2M9QX4T0AB", link, "/dashboard/no"] {
        browser.get(format!("{}{path}", gateway.url)).send().await.unwrap();
    }
    browser.get(format!("{}{link}/events", gateway.url)).send().await.unwrap();
    browser.post(format!("{}{link}/code", gateway.url)).send().await.unwrap();
    browser.post(format!("{}/dashboard/keys", gateway.url)).send().await.unwrap();
    let scrape = Scrape::of(&gateway).await;
    for (route, method, status) in [
        ("/dashboard/sign-in", "GET", "2xx"),
        ("/dashboard/keys", "GET", "3xx"),
        ("/dashboard/keys", "POST", "4xx"),
        ("/dashboard/instances/{instance_id}", "GET", "3xx"),
        ("/link/{token}", "GET", "4xx"),
        ("/link/{token}/events", "GET", "4xx"),
        ("/link/{token}/code", "POST", "4xx"),
        ("unmatched", "GET", "4xx"),
    ] {
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        scrape.is(&format!("wagate_http_request_duration_seconds_count{{{labels}}}"), 1.0);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_signs_nobody_in_is_counted_by_what_became_of_it() {
    let gateway = Gateway::start().await;
    let browser = reqwest::Client::builder().redirect(Policy::none()).build().unwrap();
    let (status, minted) = gateway.client.post("/v2/account/keys", &json!({})).await;
    assert_eq!(status, StatusCode::CREATED, "{minted}");
    let revoked = json!({ "token_id": minted["token_id"] });
    let (status, _) = gateway.client.call(Method::DELETE, "/v2/account/keys", &revoked).await;
    assert_eq!(status, StatusCode::OK);
    for key in ["nonsense", minted["access_token"].as_str().unwrap()] {
        let form = browser.post(format!("{}/dashboard/sign-in", gateway.url)).header("origin", &gateway.url);
        let form = form.header("content-type", "application/x-www-form-urlencoded").body(format!("access_token={key}"));
        assert_eq!(form.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{key}");
    }
    let scrape = Scrape::of(&gateway).await;
    for (key, count) in [("unknown", 1.0), ("revoked", 1.0), ("expired", 0.0)] {
        scrape.is(&format!("wagate_dashboard_sign_ins_refused_total{{key=\"{key}\"}}"), count);
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_public_listener_has_no_metrics() {
    let gateway = Gateway::start().await;
    let response = reqwest::get(format!("{}/metrics", gateway.url)).await.unwrap();
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn dashboard_and_alerts_name_only_metrics_that_there_are() {
    let gateway = Gateway::start().await;
    // The first scrape is the first request that is counted.
    Scrape::of(&gateway).await;
    let exported = Scrape::of(&gateway).await.names();
    gateway.stop().await;
    let dashboard = dashboard();
    let shown: Vec<String> = expressions(&dashboard);
    let watched: Vec<String> = rules().iter().map(|rule| rule["expr"].as_str().unwrap().to_owned()).collect();
    assert!(shown.len() >= 20 && watched.len() >= 8, "{} and {} expressions", shown.len(), watched.len());
    let used: BTreeSet<String> = shown.iter().chain(&watched).flat_map(|expression| names_in(expression)).collect();
    let unknown: Vec<_> = used.difference(&exported).collect();
    assert!(unknown.is_empty(), "not exported: {unknown:?}; exported are {exported:?}");
    // The other way: whatever is exported is shown. Of a histogram the buckets suffice.
    let parts = |name: &String| name.ends_with("_sum") || name.ends_with("_count");
    let hidden: Vec<_> = exported.difference(&used).filter(|name| !parts(name)).collect();
    assert!(hidden.is_empty(), "neither shown nor watched: {hidden:?}");
}

#[test]
fn every_panel_has_a_unit_and_asks_the_chosen_data_source() {
    let dashboard = dashboard();
    let source = &dashboard["templating"]["list"][0];
    assert_eq!((&source["type"], &source["query"]), (&json!("datasource"), &json!("prometheus")));
    let panels: Vec<&Value> = panels(&dashboard).collect();
    let mut ids = BTreeSet::new();
    for panel in panels {
        let title = panel["title"].as_str().unwrap();
        assert!(panel["fieldConfig"]["defaults"]["unit"].is_string(), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title} has the id of another");
    }
}

#[test]
fn every_alert_says_how_bad_it_is_and_what_it_means() {
    for rule in rules() {
        let name = rule["alert"].as_str().unwrap();
        assert!(matches!(rule["labels"]["severity"].as_str(), Some("critical" | "warning")), "{name}");
        for text in ["summary", "description"] {
            assert!(rule["annotations"][text].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {text}");
        }
    }
}

fn file(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
}

fn dashboard() -> Value {
    serde_json::from_str(&file("docs/grafana/wagate.json")).expect("the dashboard is JSON")
}

fn panels(dashboard: &Value) -> impl Iterator<Item = &Value> {
    dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row")
}

fn expressions(dashboard: &Value) -> Vec<String> {
    let targets = panels(dashboard).flat_map(|panel| panel["targets"].as_array().unwrap());
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

fn rules() -> Vec<Value> {
    let file: Value = serde_yaml_ng::from_str(&file("docs/prometheus/alerts.yml")).expect("the rules are YAML");
    let groups = file["groups"].as_array().expect("there are groups");
    groups.iter().flat_map(|group| group["rules"].as_array().expect("a group has rules")).cloned().collect()
}

/// The metrics an expression names: all of ours, and the process's.
fn names_in(expression: &str) -> Vec<String> {
    let words = expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
    words.filter(|word| word.starts_with("wagate_") || word.starts_with("process_")).map(ToOwned::to_owned).collect()
}
