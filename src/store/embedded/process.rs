//! Starting PostgreSQL's programs so that none of them outlives us.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use super::os_user::OsUser;

/// A command that runs as `user`, with nothing of our environment (it holds secrets), in a process group of its own, and
/// that the kernel sends `on_our_death` when the thread that spawned it ends. So that thread must stay for as long as
/// the program shall: see [`super::keeper`].
pub(super) fn command(program: &Path, user: &OsUser, on_our_death: Signal) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("LC_ALL", "C").env("TZ", "UTC").current_dir("/").stdin(Stdio::null()).process_group(0);
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    if user.switch {
        command.uid(user.uid).gid(user.gid);
    }
    die_with_us(&mut command, on_our_death);
    command
}

/// The standard library runs this after it has changed the user, which matters: a change of user clears the request.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe interface sets a parent-death signal between fork and exec")]
fn die_with_us(command: &mut Command, signal: Signal) {
    let parent = nix::unistd::getpid();
    // SAFETY: the closure runs in the forked child, where only async-signal-safe calls are allowed: prctl(2) and
    // getppid(2) are, and nothing here allocates or locks.
    unsafe {
        command.pre_exec(move || {
            nix::sys::prctl::set_pdeathsig(signal)?;
            // We may have died between the fork and the request; then no signal will ever come.
            if nix::unistd::getppid() == parent { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
        });
    }
}

/// Other systems have no such signal: an orphan must be stopped by hand there, as the server's log then says.
#[cfg(not(target_os = "linux"))]
fn die_with_us(_: &mut Command, _: Signal) {}

/// `-c name=value` for each setting.
pub(super) fn settings<V: AsRef<OsStr>>(command: &mut Command, settings: impl IntoIterator<Item = (&'static str, V)>) {
    for (name, value) in settings {
        let mut setting = std::ffi::OsString::from(name);
        setting.push("=");
        setting.push(value);
        command.arg("-c").arg(setting);
    }
}
