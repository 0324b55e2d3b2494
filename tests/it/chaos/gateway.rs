//! A gateway on its own PostgreSQL, which keeps its address and its key over its deaths.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::support::process::Process;

pub(super) struct Gateway {
    process: Process,
    folder: PathBuf,
    listen: String,
    sandbox: String,
    key: String,
}

impl Gateway {
    pub(super) async fn start(folder: &Path, sandbox: &str) -> Self {
        // Somebody else may take the port in between; then the start fails, and says so.
        let listen = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let process = serve(folder.to_owned(), listen.clone(), sandbox.to_owned()).await;
        let key = process.told("account_key").to_owned();
        Self { process, folder: folder.to_owned(), listen, sandbox: sandbox.to_owned(), key }
    }

    pub(super) fn url(&self) -> &str {
        self.process.told("url")
    }

    pub(super) fn key(&self) -> &str {
        &self.key
    }

    /// `kill -9`, and its PostgreSQL goes with it; then both are started again.
    pub(super) async fn kill_and_start(self) -> Self {
        let Self { process, folder, listen, sandbox, key } = self;
        process.kill();
        let process = serve(folder.clone(), listen.clone(), sandbox.clone()).await;
        Self { process, folder, listen, sandbox, key }
    }

    /// `kill -9` of the server under a living gateway, which has to start it again.
    pub(super) fn kill_database(&self) {
        let file = self.folder.join("data/postgres/cluster/postmaster.pid");
        let content = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let pid = content.lines().next().unwrap().trim().parse().unwrap();
        // It may be just starting or ending.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

/// The start blocks until the process is ready: off the runtime's threads, which carry the traffic.
async fn serve(folder: PathBuf, listen: String, sandbox: String) -> Process {
    let started = tokio::task::spawn_blocking(move || {
        let data = folder.join("data").display().to_string();
        let arguments = ["serve", "--ready-json", "--listen", &listen, "--operator-listen", "127.0.0.1:0"];
        let arguments = [&arguments[..], &["--data-dir", &data, "--sandbox-at", &sandbox]].concat();
        let variables = [
            ("WAGATE_LOG__FILTER", "info"),
            ("WAGATE_ENGINE__PREKEYS", "50"),
            ("WAGATE_NODE__RECONCILE_INTERVAL", "500ms"),
            ("WAGATE_SESSION__BACKOFF_MAX", "1s"),
            ("WAGATE_WEBHOOK__ALLOW_PRIVATE", "[\"127.0.0.0/8\"]"),
            ("WAGATE_LIMITS__API_PER_SECOND", "100000"),
            ("WAGATE_LIMITS__MESSAGES_PER_MINUTE", "6000"),
            ("WAGATE_LIMITS__MESSAGES_PER_DAY", "1000000"),
        ];
        Process::start(&folder, &arguments, &variables)
    });
    started.await.unwrap()
}
