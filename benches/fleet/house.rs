//! The gateway and the sandbox network in processes of their own, so that what is measured is the
//! gateway alone, and a customer of its API.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

/// A running `wagate`, ended when dropped.
pub(super) struct Process {
    child: Child,
    ready: Value,
}

impl Process {
    pub(super) fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wagate"))
            .args(arguments)
            .args(["--ready-json", "--listen", "127.0.0.1:0"])
            .env_remove("DATABASE_URL")
            .env("WAGATE_LOG__FILTER", "warn")
            .env("WAGATE_LIMITS__QR_BURST", "1000")
            .env("WAGATE_LIMITS__API_BURST", "100000")
            .envs(variables.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    pub(super) fn told(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        kill(Pid::from_raw(i32::try_from(self.child.id()).unwrap()), Signal::SIGTERM).unwrap();
        self.child.wait().unwrap();
    }
}

/// A sandbox network and a gateway on a private PostgreSQL, gone with this value.
pub(super) struct House {
    pub(super) gateway: Process,
    pub(super) sandbox: Process,
    http: reqwest::Client,
    folder: tempfile::TempDir,
}

impl House {
    pub(super) fn start(variables: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        // As root the private PostgreSQL runs as another user, who must be able to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let sandbox = Process::start(&["sandbox"], &[]);
        let data = folder.path().join("gateway").display().to_string();
        let at = sandbox.told("sandbox_url").to_owned();
        let gateway = Process::start(
            &["serve", "--operator-listen", "127.0.0.1:0", "--data-dir", &data, "--sandbox-at", &at],
            variables,
        );
        Self { gateway, sandbox, http: reqwest::Client::new(), folder }
    }

    /// The process id of the private PostgreSQL.
    pub(super) fn postmaster(&self) -> u32 {
        let file = self.folder.path().join("gateway/postgres/cluster/postmaster.pid");
        std::fs::read_to_string(file).unwrap().lines().next().unwrap().parse().unwrap()
    }

    /// Sends JSON to the API.
    pub(super) async fn post(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.gateway.told("url"));
        let request = self.http.post(url).bearer_auth(self.gateway.told("account_key")).json(&body);
        request.send().await.unwrap().json().await.unwrap()
    }

    /// Sends JSON to the sandbox's control API.
    pub(super) async fn phone(&self, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", self.sandbox.told("sandbox_url"));
        self.http.post(url).json(&body).send().await.unwrap().json().await.unwrap()
    }

    /// Creates, scans, waits for WORKING.
    pub(super) async fn link(&self, number: usize) -> Linked {
        let begun = Instant::now();
        let created = self.post("/v2/session/create", json!({ "name": format!("bench-{number}") })).await;
        let instance = created["instance_id"].as_str().unwrap();
        let envelope = self.post("/v2/auth/qr", json!({ "instance_id": instance, "wait": 25 })).await;
        let until_code = begun.elapsed();
        let code: Value =
            serde_json::from_slice(&STANDARD.decode(envelope["data"].as_str().unwrap()).unwrap()).unwrap();
        let phone = self.phone("/phones", json!({})).await;
        let number = phone["number"].as_str().unwrap().to_owned();
        let device = self.phone(&format!("/phones/{number}/scan"), json!({ "value": code["value"] })).await;
        assert!(device["device"].is_string() || device["device"].is_number(), "{device}");
        let wish = json!({ "instance_id": instance, "wait_for": "WORKING", "timeout": 25 });
        let info = self.post("/v2/session/info", wish).await;
        assert_eq!(info["status"], "WORKING", "{info}");
        Linked { instance: instance.to_owned(), number, until_code }
    }
}

/// An instance, the phone it is linked to, and the time from its creation to its first code.
pub(super) struct Linked {
    pub(super) instance: String,
    pub(super) number: String,
    pub(super) until_code: Duration,
}

/// Resident memory of a process in KiB.
pub(super) fn resident(process: &Process) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", process.pid())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}
