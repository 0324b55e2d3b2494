//! `postmaster.pid`, the server's own lock file: its process id, its state, and whether it tells the truth.

use std::fs;
use std::path::Path;

use nix::sys::signal::kill;
use nix::unistd::Pid;

/// What the file says (`src/include/utils/pidfile.h`: line 1 is the process id, line 8 the state, as pg_ctl reads them).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PidFile {
    pub(super) pid: i32,
    pub(super) ready: bool,
}

/// Reads the file of a cluster; `None` if it is absent or half written.
pub(super) fn read(cluster: &Path) -> Option<PidFile> {
    parse(&fs::read_to_string(cluster.join("postmaster.pid")).ok()?)
}

fn parse(text: &str) -> Option<PidFile> {
    let mut lines = text.lines();
    let pid = lines.next()?.trim().parse().ok().filter(|&pid| pid > 1)?;
    let ready = lines.nth(6).is_some_and(|state| state.trim() == "ready");
    Some(PidFile { pid, ready })
}

/// Who has the process id that the file names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Holder {
    /// Nobody: PostgreSQL sees that itself and carries on.
    Gone,
    /// A server of this very cluster.
    Server,
    /// Some other process that got the number later, after a reboot for example. PostgreSQL cannot tell and would
    /// refuse to start for ever.
    Stranger,
}

/// Looks the process up. `/proc/*/cmdline` is readable for everybody, whoever runs the server.
pub(super) fn holder(pid: i32, cluster: &Path) -> Holder {
    if kill(Pid::from_raw(pid), None) == Err(nix::errno::Errno::ESRCH) {
        return Holder::Gone;
    }
    match fs::read(format!("/proc/{pid}/cmdline")) {
        Ok(command_line) if serves(&command_line, cluster) => Holder::Server,
        Ok(_) => Holder::Stranger,
        Err(_) => Holder::Gone,
    }
}

fn serves(command_line: &[u8], cluster: &Path) -> bool {
    let mut arguments = command_line.split(|&byte| byte == 0);
    let program = arguments.next().unwrap_or_default();
    let is_postgres = program.rsplit(|&byte| byte == b'/').next().is_some_and(|name| name == b"postgres");
    is_postgres && arguments.any(|argument| argument == cluster.as_os_str().as_encoded_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_a_running_server_reads_and_a_half_written_one_is_not_ready() {
        let whole = "4711\n/data/cluster\n1700000000\n5432\n/data/run\n\n  5432001    98304\nready   \n";
        assert_eq!(parse(whole), Some(PidFile { pid: 4711, ready: true }));
        assert_eq!(parse("4711\n/data/cluster\n17"), Some(PidFile { pid: 4711, ready: false }));
        assert_eq!(parse(&whole.replace("ready   ", "starting")), Some(PidFile { pid: 4711, ready: false }));
        for nonsense in ["", "\n", "abc\n", "-1\n", "0\n", "1\n"] {
            assert_eq!(parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn only_a_postgres_of_the_same_cluster_counts_as_its_server() {
        let cluster = Path::new("/data/cluster");
        assert!(serves(b"/usr/lib/postgresql/15/bin/postgres\0-D\0/data/cluster\0-c\0fsync=on\0", cluster));
        assert!(!serves(b"/usr/lib/postgresql/15/bin/postgres\0-D\0/data/other\0", cluster));
        assert!(!serves(b"/usr/bin/less\0/data/cluster\0", cluster));
        assert!(!serves(b"", cluster));
    }

    #[test]
    fn a_process_that_is_no_server_is_a_stranger() {
        let own = i32::try_from(std::process::id()).expect("process ids are small");
        assert_eq!(holder(own, Path::new("/data/cluster")), Holder::Stranger);
    }
}
