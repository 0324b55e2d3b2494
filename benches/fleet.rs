//! What a linked instance costs: resident memory of the gateway's process, and the time from create to its first code.
//!
//! The gateway and the sandbox network run in processes of their own, so that what is measured is the gateway alone.
//! `cargo bench --features sandbox --bench fleet`; `WAGATE_BENCH_FLEET` sets the number of instances (200).

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints its result and gives up on any failure")]

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

/// Instances that are created and scanned at the same time.
const AT_ONCE: usize = 8;

struct Process {
    child: Child,
    ready: Value,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wagate"))
            .args(arguments)
            .env_remove("DATABASE_URL")
            .env("WAGATE_LOG__FILTER", "warn")
            .env("WAGATE_LIMITS__QR_BURST", "1000")
            .env("WAGATE_LIMITS__API_BURST", "100000")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    fn told(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    /// Resident memory in KiB.
    fn resident(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse().unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        nix::sys::signal::kill(
            nix::unistd::Pid::from_raw(i32::try_from(self.child.id()).unwrap()),
            nix::sys::signal::Signal::SIGTERM,
        )
        .unwrap();
        self.child.wait().unwrap();
    }
}

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
    let sandbox = Process::start(&["sandbox", "--listen", "127.0.0.1:0", "--ready-json"]);
    let folder = data.path().join("gateway").display().to_string();
    let at = sandbox.told("sandbox_url");
    let gateway = Process::start(&[
        "serve",
        "--ready-json",
        "--listen",
        "127.0.0.1:0",
        "--operator-listen",
        "127.0.0.1:0",
        "--data-dir",
        &folder,
        "--sandbox-at",
        at,
    ]);
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

/// As root the private PostgreSQL runs as another user, who must be able to pass through.
fn open_to_the_server(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).unwrap();
}
