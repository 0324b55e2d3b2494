//! What a linked instance costs: resident memory of the gateway's process, and the time from create to its first code.
//!
//! The gateway and the sandbox network run in processes of their own, so that what is measured is the gateway alone.
//! `cargo bench --features sandbox --bench fleet`; `WAGATE_BENCH_FLEET` sets the number of instances (200).

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its result and gives up on any failure")]

mod process;

use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use process::{Process, open_to_the_server};

/// Instances that are created and scanned at the same time.
const AT_ONCE: usize = 8;

struct Gateway {
    http: reqwest::Client,
    url: String,
    key: String,
    sandbox: String,
}

impl Gateway {
    async fn post(&self, path: &str, body: Value) -> Value {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.key).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    async fn phone(&self, path: &str, body: Value) -> Value {
        self.http.post(format!("{}{path}", self.sandbox)).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Creates, scans, waits for WORKING; the time from the create to the first code.
    async fn link(&self, number: usize) -> Duration {
        let begun = Instant::now();
        let created = self.post("/v2/session/create", json!({ "name": format!("bench-{number}") })).await;
        let instance = created["instance_id"].as_str().unwrap();
        let envelope = self.post("/v2/auth/qr", json!({ "instance_id": instance, "wait": 25 })).await;
        let until_code = begun.elapsed();
        let code: Value =
            serde_json::from_slice(&STANDARD.decode(envelope["data"].as_str().unwrap()).unwrap()).unwrap();
        let phone = self.phone("/phones", json!({})).await;
        let scan = format!("/phones/{}/scan", phone["number"].as_str().unwrap());
        let device = self.phone(&scan, json!({ "value": code["value"] })).await;
        assert!(device["device"].is_string() || device["device"].is_number(), "{device}");
        loop {
            let info = self.post("/v2/session/info", json!({ "instance_id": instance })).await;
            if info["status"] == "WORKING" {
                return until_code;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

fn main() {
    wagate::app::install_crypto_provider();
    let fleet = std::env::var("WAGATE_BENCH_FLEET").map_or(200, |number| number.parse().unwrap());
    tokio::runtime::Runtime::new().unwrap().block_on(measure(fleet));
}

async fn measure(fleet: usize) {
    let data = tempfile::tempdir().unwrap();
    open_to_the_server(data.path());
    let sandbox = Process::start(&["sandbox", "--listen", "127.0.0.1:0", "--ready-json"], &[]);
    let folder = data.path().join("gateway").display().to_string();
    let at = sandbox.told("sandbox_url");
    let limits = [("WAGATE_LIMITS__QR_BURST", "1000"), ("WAGATE_LIMITS__API_BURST", "100000")];
    let gateway = Process::gateway(&folder, at, &limits);
    let api = Gateway {
        http: reqwest::Client::new(),
        url: gateway.told("url").to_owned(),
        key: gateway.told("account_key").to_owned(),
        sandbox: at.to_owned(),
    };
    // The first few fill caches, pools and the allocator; they belong to the process, not to an instance.
    let warm: Vec<Duration> = stream::iter(0..20).map(|n| api.link(n)).buffer_unordered(AT_ONCE).collect().await;
    let before = gateway.resident();
    let begun = Instant::now();
    let mut first_codes: Vec<Duration> =
        stream::iter(0..fleet).map(|n| api.link(n)).buffer_unordered(AT_ONCE).collect().await;
    let took = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let after = gateway.resident();
    first_codes.sort();
    println!("instances linked: {fleet} (after {} to warm up), {AT_ONCE} at a time, in {took:.1?}", warm.len());
    println!("resident memory of the gateway: {before} KiB before, {after} KiB after");
    println!("  per linked instance: {} KiB (aim: 250)", after.saturating_sub(before) / fleet as u64);
    println!(
        "create to first code: median {:.0?} (aim: 500ms), p90 {:.0?}",
        first_codes[fleet / 2],
        first_codes[fleet * 9 / 10]
    );
}
