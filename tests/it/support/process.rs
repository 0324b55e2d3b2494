//! The real binary as a child process: what `kill -9` and logs are tested on.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// A running `wagate` that printed its `--ready-json` line. Killed when dropped.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    /// What it printed once it was ready.
    pub(crate) ready: Value,
    log: PathBuf,
}

impl Process {
    /// Starts `wagate` with these arguments and waits for its ready line. Its log goes to a file in `folder`.
    pub(crate) fn start(folder: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let log = folder.join(format!("wagate-{}.log", std::fs::read_dir(folder).expect("it is there").count()));
        let mut child = Command::new(env!("CARGO_BIN_EXE_wagate"))
            .args(arguments)
            .env_remove("DATABASE_URL")
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(&log).expect("the log opens"))
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("it is piped"));
        stdout.read_line(&mut line).expect("standard output reads");
        let ready = serde_json::from_str(&line).unwrap_or_else(|_| {
            let outcome = child.wait();
            panic!("no ready line but {line:?} ({outcome:?}): {}", std::fs::read_to_string(&log).unwrap_or_default())
        });
        // Nothing else may follow on standard output; an end of the pipe must not end the child.
        std::thread::spawn(move || stdout.read_to_end(&mut Vec::new()));
        Self { child, ready, log }
    }

    /// A field of the ready line.
    pub(crate) fn told(&self, field: &str) -> &str {
        self.ready[field].as_str().unwrap_or_else(|| panic!("no {field} in {}", self.ready))
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it is our child");
        self.child.wait().expect("it is our child");
    }

    /// SIGTERM; panics unless it exits with 0.
    pub(crate) fn terminate(mut self) {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid fits"));
        kill(pid, Signal::SIGTERM).expect("it is our child");
        let status = self.child.wait().expect("it is our child");
        assert!(status.success(), "{status}: {}", self.log());
    }

    /// What it logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).expect("the log reads")
    }

    /// Where it logs to.
    pub(crate) fn log_file(&self) -> &Path {
        &self.log
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Already waited for if it was killed or terminated; then these do nothing.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
