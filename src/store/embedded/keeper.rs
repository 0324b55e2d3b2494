//! The thread that keeps the server running.
//!
//! It is a thread and not a task because the kernel ties the parent-death signal to the *thread* that spawned the child:
//! on a worker of a runtime the server could die while the process lives on. So this one spawns the server and then
//! stays in `waitid`; when it ends, which is when the process ends, the server is told to shut down.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use super::binaries::Binaries;
use super::cluster::{self, Layout};
use super::os_user::OsUser;
use super::pid_file::{self, Holder};
use super::{EmbeddedConfig, EmbeddedError, process, socket};

/// How often a process that does not own the server asks for the lock.
const FOLLOW_INTERVAL: Duration = Duration::from_millis(250);
/// How often a starting server is looked at.
const READY_INTERVAL: Duration = Duration::from_millis(5);
/// Crash recovery of much unfinished work takes its time; there is a line in the log every few seconds of it.
const READY_DEADLINE: Duration = Duration::from_mins(10);
const READY_NEWS: Duration = Duration::from_secs(5);
/// A first start is tried this often before the reason is reported: the processes of a server that was killed may need a
/// moment to leave their shared memory.
const FIRST_ATTEMPTS: u32 = 5;
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// A server that ran this long ended for a new reason.
const PROVEN: Duration = Duration::from_secs(30);
/// What an ownerless server may take to leave before it is told again, more firmly.
const ORPHAN_PATIENCE: Duration = Duration::from_secs(10);
/// The log is started anew at a start that finds it longer.
const LOG_LIMIT: u64 = 10 * 1024 * 1024;

/// What the keeper last knew.
#[derive(Debug, Clone, Copy)]
pub(super) enum Phase {
    /// Not usable yet.
    Starting,
    /// The server answers.
    Ready { pid: u32, since: Instant },
    /// It answered before and is being started again.
    Down,
    /// The keeper has ended; the failure, if any, is beside it.
    Ended,
}

/// What the keeper and its handle both see.
#[derive(Debug)]
pub(super) struct Shared {
    phase: watch::Sender<Phase>,
    failure: Mutex<Option<EmbeddedError>>,
    control: Mutex<Control>,
    stop_requested: Condvar,
}

/// The child's number is here exactly while it is safe to signal: it is cleared before the child is reaped.
#[derive(Debug, Default)]
struct Control {
    stop: bool,
    child: Option<Pid>,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            phase: watch::Sender::new(Phase::Starting),
            failure: Mutex::new(None),
            control: Mutex::default(),
            stop_requested: Condvar::new(),
        }
    }

    pub(super) fn watch(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(super) fn take_failure(&self) -> Option<EmbeddedError> {
        self.failure.lock().take()
    }

    /// Asks the keeper to stop the server, if it is its child, and to end.
    pub(super) fn request_stop(&self) {
        let mut control = self.control.lock();
        if !control.stop {
            control.stop = true;
            control.signal(Signal::SIGINT);
        }
        self.stop_requested.notify_all();
    }

    /// Tells a server that does not stop to leave without a checkpoint.
    pub(super) fn quit_now(&self) {
        self.control.lock().signal(Signal::SIGQUIT);
    }

    /// Waits; `true` if a stop was requested meanwhile.
    fn pause(&self, duration: Duration) -> bool {
        let deadline = Instant::now() + duration;
        let mut control = self.control.lock();
        while !control.stop {
            if self.stop_requested.wait_until(&mut control, deadline).timed_out() {
                break;
            }
        }
        control.stop
    }
}

impl Control {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.child {
            // It fails only if the child is a zombie by now, and then there is nothing to stop.
            let _ = kill(pid, signal);
        }
    }
}

pub(super) struct Keeper {
    config: EmbeddedConfig,
    layout: Layout,
    user: OsUser,
    socket_dir: PathBuf,
    shared: Arc<Shared>,
}

impl Keeper {
    pub(super) fn new(config: EmbeddedConfig, user: OsUser, socket_dir: PathBuf, shared: Arc<Shared>) -> Self {
        let layout = Layout::of(&config.data_dir);
        Self { config, layout, user, socket_dir, shared }
    }

    pub(super) fn spawn(self) -> Result<(), EmbeddedError> {
        let data_dir = self.layout.data_dir.clone();
        thread::Builder::new()
            .name("postgres-keeper".into())
            .spawn(move || {
                let shared = Arc::clone(&self.shared);
                if let Err(error) = self.run() {
                    *shared.failure.lock() = Some(error);
                }
                shared.phase.send_replace(Phase::Ended);
            })
            .map(drop)
            .map_err(EmbeddedError::io("start the keeper thread for", &data_dir))
    }

    fn run(self) -> Result<(), EmbeddedError> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(&self.layout.lock)
            .map_err(EmbeddedError::io("open", &self.layout.lock))?;
        self.user.own(&self.layout.lock)?;
        if self.follow(&lock)? {
            self.keep()?;
        }
        // The lock is let go here, with the file, after the server has ended.
        Ok(())
    }

    /// Uses another process's server until the lock is ours: `true`; or until a stop is requested: `false`.
    fn follow(&self, lock: &File) -> Result<bool, EmbeddedError> {
        let started = Instant::now();
        loop {
            match lock.try_lock() {
                Ok(()) => return Ok(true),
                Err(std::fs::TryLockError::WouldBlock) => self.observe(),
                Err(std::fs::TryLockError::Error(error)) => {
                    return Err(EmbeddedError::io("lock", &self.layout.lock)(error));
                }
            }
            let starting = matches!(self.shared.phase(), Phase::Starting);
            if starting && started.elapsed() > READY_DEADLINE {
                return Err(self.not_ready());
            }
            if self.shared.pause(if starting { READY_INTERVAL * 4 } else { FOLLOW_INTERVAL }) {
                return Ok(false);
            }
        }
    }

    /// What a process that does not own the server can know of it.
    fn observe(&self) {
        let running = pid_file::read(&self.layout.cluster).filter(|file| file.ready && self.answers());
        match (running.map(|file| file.pid.unsigned_abs()), self.shared.phase()) {
            (Some(pid), Phase::Ready { pid: known, .. }) if pid == known => {}
            (Some(pid), _) => self.publish_ready(pid),
            (None, Phase::Ready { .. }) => drop(self.shared.phase.send_replace(Phase::Down)),
            (None, Phase::Starting | Phase::Down | Phase::Ended) => {}
        }
    }

    /// Runs the server, and runs it again whenever it ends unasked.
    fn keep(&self) -> Result<(), EmbeddedError> {
        let mut failures = 0;
        loop {
            let error = match self.serve() {
                Ok(Outcome::Stopped) => return Ok(()),
                Ok(Outcome::Ended { status, lived }) => {
                    if lived > PROVEN {
                        failures = 0;
                    }
                    tracing::warn!(%status, "the private PostgreSQL ended unasked; starting it again");
                    None
                }
                Err(error) => Some(error),
            };
            failures += 1;
            if let Some(error) = error {
                let never_ran = matches!(self.shared.phase(), Phase::Starting);
                let may_pass = matches!(error, EmbeddedError::Ended { .. });
                if never_ran && !(may_pass && failures < FIRST_ATTEMPTS) {
                    return Err(error);
                }
                tracing::warn!(
                    error = &error as &dyn std::error::Error,
                    failures,
                    "the private PostgreSQL did not start"
                );
            }
            if self.shared.pause(backoff(failures)) {
                return Ok(());
            }
        }
    }

    /// One life of the server, from its start to its end.
    fn serve(&self) -> Result<Outcome, EmbeddedError> {
        self.clear_the_way()?;
        let binaries = cluster::prepare(&self.config, &self.layout, &self.user)?;
        let mut child = {
            let mut control = self.shared.control.lock();
            if control.stop {
                return Ok(Outcome::Stopped);
            }
            let child = self.spawn_server(&binaries)?;
            control.child = Some(pid_of(&child));
            child
        };
        let started = Instant::now();
        let ready = self.await_ready(&child, started);
        if ready.is_err() {
            self.shared.control.lock().signal(Signal::SIGQUIT);
        }
        if matches!(ready, Ok(true)) {
            tracing::debug!(elapsed_ms = started.elapsed().as_millis(), "the private PostgreSQL is ready");
            self.publish_ready(child.id());
        }
        let status = self.reap(&mut child)?;
        if matches!(self.shared.phase(), Phase::Ready { .. }) {
            self.shared.phase.send_replace(Phase::Down);
        }
        let stopped = self.shared.control.lock().stop;
        match ready? {
            _ if stopped => Ok(Outcome::Stopped),
            true => Ok(Outcome::Ended { status, lived: started.elapsed() }),
            false => Err(EmbeddedError::Ended {
                status: status.to_string(),
                log: self.layout.log.clone(),
                output: cluster::last_lines(&std::fs::read_to_string(&self.layout.log).unwrap_or_default()),
            }),
        }
    }

    /// Deals with a `postmaster.pid` that somebody left. We hold the lock, so whoever it names has no owner.
    fn clear_the_way(&self) -> Result<(), EmbeddedError> {
        let cluster = &self.layout.cluster;
        let started = Instant::now();
        let mut signals = [Signal::SIGINT, Signal::SIGQUIT].into_iter();
        let mut patience = ORPHAN_PATIENCE;
        while let Some(file) = pid_file::read(cluster) {
            match pid_file::holder(file.pid, cluster) {
                Holder::Gone => break,
                Holder::Stranger => {
                    tracing::info!("removing a stale postmaster.pid: its process id now belongs to another program");
                    let path = cluster.join("postmaster.pid");
                    match std::fs::remove_file(&path) {
                        // A server that was just ending looks like a stranger too, and takes its file along itself.
                        Err(error) if error.kind() != io::ErrorKind::NotFound => {
                            return Err(EmbeddedError::io("remove", &path)(error));
                        }
                        Ok(()) | Err(_) => break,
                    }
                }
                // Its owner has just died, and it is on its way out.
                Holder::Server if started.elapsed() < patience => {}
                Holder::Server => {
                    let Some(signal) = signals.next() else {
                        return Err(EmbeddedError::Orphan { pid: file.pid, cluster: cluster.clone() });
                    };
                    tracing::warn!(%signal, "a PostgreSQL without an owner serves our data; it is told to stop");
                    let _ = kill(Pid::from_raw(file.pid), signal);
                    patience += ORPHAN_PATIENCE;
                }
            }
            if self.shared.pause(READY_INTERVAL) {
                return Ok(());
            }
        }
        socket::clear(&self.socket_dir)
    }

    fn spawn_server(&self, binaries: &Binaries) -> Result<Child, EmbeddedError> {
        let log = self.open_log()?;
        let again = log.try_clone().map_err(EmbeddedError::io("open", &self.layout.log))?;
        let mut command = process::command(&binaries.postgres(), &self.user, Signal::SIGINT);
        command.arg("-D").arg(&self.layout.cluster).arg("-p").arg(socket::PORT.to_string()).stdout(log).stderr(again);
        process::settings(&mut command, [("unix_socket_directories", &self.socket_dir)]);
        let on_disk = if self.config.fsync { "on" } else { "off" };
        process::settings(
            &mut command,
            [
                ("listen_addresses", ""),
                ("unix_socket_permissions", "0700"),
                ("cluster_name", super::NAME),
                ("fsync", on_disk),
                ("full_page_writes", on_disk),
                // Also without fsync: a commit that was answered must survive the death of the server's processes.
                ("synchronous_commit", "on"),
                // Small: one gateway's data fits the kernel's cache, and 32 MB is what an idle server then takes.
                ("shared_buffers", "16MB"),
                ("max_connections", &self.config.max_connections.to_string()),
                ("max_worker_processes", "2"),
                ("max_parallel_workers_per_gather", "0"),
                ("max_logical_replication_workers", "0"),
                ("max_wal_senders", "0"),
                ("wal_level", "minimal"),
                ("max_wal_size", "256MB"),
                ("jit", "off"),
                ("logging_collector", "off"),
                ("log_line_prefix", "%m [%p] "),
                ("log_timezone", "UTC"),
                ("timezone", "UTC"),
            ],
        );
        command.spawn().map_err(EmbeddedError::io("run", &binaries.postgres()))
    }

    fn open_log(&self) -> Result<File, EmbeddedError> {
        let path = &self.layout.log;
        let long = path.metadata().is_ok_and(|metadata| metadata.len() > LOG_LIMIT);
        let mut options = OpenOptions::new();
        // Appending also after a truncation: every process of the server writes through its own copy.
        options.create(true).append(true).mode(0o600);
        let log = options.open(path).map_err(EmbeddedError::io("open", path))?;
        if long {
            log.set_len(0).map_err(EmbeddedError::io("shorten", path))?;
        }
        self.user.own(path)?;
        Ok(log)
    }

    /// Waits until the child serves (`true`) or has ended (`false`).
    fn await_ready(&self, child: &Child, started: Instant) -> Result<bool, EmbeddedError> {
        let mut news = started + READY_NEWS;
        loop {
            let file = pid_file::read(&self.layout.cluster);
            if file.is_some_and(|file| file.ready && file.pid == pid_of(child).as_raw()) && self.answers() {
                return Ok(true);
            }
            if has_ended(child)? {
                return Ok(false);
            }
            let now = Instant::now();
            if now > started + READY_DEADLINE {
                return Err(self.not_ready());
            }
            if now > news {
                tracing::info!(seconds = started.elapsed().as_secs(), "the private PostgreSQL is still starting");
                news = now + READY_NEWS;
            }
            thread::sleep(READY_INTERVAL);
        }
    }

    /// Waits for the child's end without reaping it, then forgets its number, and only then gives the number back.
    fn reap(&self, child: &mut Child) -> Result<ExitStatus, EmbeddedError> {
        while !matches!(
            waitid(Id::Pid(pid_of(child)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT),
            Ok(WaitStatus::Exited(..) | WaitStatus::Signaled(..)) | Err(nix::errno::Errno::ECHILD)
        ) {}
        let mut control = self.shared.control.lock();
        control.child = None;
        child.wait().map_err(EmbeddedError::io("wait for the server of", &self.layout.cluster))
    }

    fn publish_ready(&self, pid: u32) {
        self.shared.phase.send_replace(Phase::Ready { pid, since: Instant::now() });
    }

    fn answers(&self) -> bool {
        UnixStream::connect(socket::path_in(&self.socket_dir)).is_ok()
    }

    fn not_ready(&self) -> EmbeddedError {
        EmbeddedError::NotReady { seconds: READY_DEADLINE.as_secs(), log: self.layout.log.clone() }
    }
}

enum Outcome {
    /// We asked for it.
    Stopped,
    /// We did not.
    Ended { status: ExitStatus, lived: Duration },
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("the kernel's process ids fit i32"))
}

fn has_ended(child: &Child) -> Result<bool, EmbeddedError> {
    let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT | WaitPidFlag::WNOHANG;
    match waitid(Id::Pid(pid_of(child)), flags) {
        Ok(status) => Ok(!matches!(status, WaitStatus::StillAlive)),
        Err(errno) => Err(EmbeddedError::io("wait for", Path::new("postgres"))(errno.into())),
    }
}

/// 100 ms, doubled by each failure, up to 10 s.
fn backoff(failures: u32) -> Duration {
    BACKOFF_MIN.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(BACKOFF_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_between_starts_grow_and_stay_bounded() {
        let waits: Vec<u128> = [1, 2, 3, 7, 8, 1000].map(|failures| backoff(failures).as_millis()).into();
        assert_eq!(waits, [100, 200, 400, 6400, 10_000, 10_000]);
    }
}
