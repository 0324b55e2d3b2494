//! The program in a process of its own, so that what is measured is that alone.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

/// A `wagate` that runs; it ends with this.
pub(crate) struct Process {
    child: Child,
    ready: Value,
}

impl Process {
    /// Starts `wagate` with arguments and settings, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str], settings: &[(&str, &str)]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_wagate"))
            .args(arguments)
            .env_remove("DATABASE_URL")
            .env("WAGATE_LOG__FILTER", "warn")
            .envs(settings.iter().copied())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, ready: serde_json::from_str(&line).unwrap() }
    }

    /// A gateway that keeps its files in a folder and talks to a sandbox.
    pub(crate) fn gateway(folder: &str, sandbox: &str, settings: &[(&str, &str)]) -> Self {
        let [listen, operator_listen] = ["--listen", "--operator-listen"].map(|flag| [flag, "127.0.0.1:0"]);
        let rest = ["--data-dir", folder, "--sandbox-at", sandbox];
        Self::start(&[&["serve", "--ready-json"][..], &listen, &operator_listen, &rest].concat(), settings)
    }

    /// A field of the line that it said when it was ready.
    pub(crate) fn told(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap()
    }

    /// Resident memory in KiB.
    pub(crate) fn resident(&self) -> u64 {
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

/// As root the private PostgreSQL runs as another user, who must be able to pass through.
pub(crate) fn open_to_the_server(folder: &Path) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o711)).unwrap();
}
