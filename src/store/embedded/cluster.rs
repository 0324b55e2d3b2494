//! The cluster's files: made whole or not at all, and never made anew beside data that is there.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use nix::sys::signal::Signal;

use super::binaries::{self, Binaries};
use super::os_user::OsUser;
use super::{EmbeddedConfig, EmbeddedError, NAME, process};

/// Where things are inside the data folder.
#[derive(Debug, Clone)]
pub(super) struct Layout {
    pub(super) data_dir: PathBuf,
    pub(super) cluster: PathBuf,
    pub(super) log: PathBuf,
    pub(super) lock: PathBuf,
}

impl Layout {
    pub(super) fn of(data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            cluster: data_dir.join("cluster"),
            log: data_dir.join("postgres.log"),
            lock: data_dir.join("lock"),
        }
    }
}

/// Makes the data folder, private to the server's user, and what is missing above it.
pub(super) fn make_folder(data_dir: &Path, user: &OsUser) -> Result<(), EmbeddedError> {
    let data_dir = std::path::absolute(data_dir).map_err(EmbeddedError::io("find", data_dir))?;
    if let Some(parent) = data_dir.parent() {
        fs::create_dir_all(parent).map_err(EmbeddedError::io("make the folder", parent))?;
    }
    user.check_path_to(&data_dir)?;
    user.make_private(&data_dir)
}

/// Finds the programs for the cluster, and makes the cluster if there is none. Only the holder of the lock calls this.
pub(super) fn prepare(config: &EmbeddedConfig, layout: &Layout, user: &OsUser) -> Result<Binaries, EmbeddedError> {
    let found = data_major(&layout.cluster)?;
    let binaries = binaries::find(config.bin_dir.as_deref(), found)?;
    match found {
        Some(found) if found != binaries.major => Err(EmbeddedError::OtherMajor {
            cluster: layout.cluster.clone(),
            found,
            installed: binaries.major,
            upgrade: upgrade_command(&layout.cluster, found, &binaries, user),
        }),
        Some(_) => Ok(binaries),
        None => {
            init(config, layout, user, &binaries)?;
            Ok(binaries)
        }
    }
}

/// The major version that wrote the cluster; `None` if there is no cluster.
fn data_major(cluster: &Path) -> Result<Option<u32>, EmbeddedError> {
    match fs::read_to_string(cluster.join("PG_VERSION")) {
        Ok(version) => {
            version.trim().parse().map(Some).map_err(|_| EmbeddedError::NotACluster { cluster: cluster.to_owned() })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if is_populated(cluster)? {
                return Err(EmbeddedError::NotACluster { cluster: cluster.to_owned() });
            }
            Ok(None)
        }
        Err(error) => Err(EmbeddedError::io("read the version of", cluster)(error)),
    }
}

fn is_populated(folder: &Path) -> Result<bool, EmbeddedError> {
    match fs::read_dir(folder) {
        Ok(mut entries) => Ok(entries.next().is_some()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(EmbeddedError::io("read", folder)(error)),
    }
}

fn init(config: &EmbeddedConfig, layout: &Layout, user: &OsUser, binaries: &Binaries) -> Result<(), EmbeddedError> {
    remove_unfinished(&layout.data_dir)?;
    let unfinished = layout.data_dir.join(format!("{UNFINISHED}{}", std::process::id()));
    tracing::info!(postgres.major = binaries.major, "making a private PostgreSQL cluster; this happens once");
    let started = Instant::now();
    let mut command = process::command(&binaries.initdb(), user, Signal::SIGKILL);
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .args(["--username", NAME, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--data-checksums"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if !config.fsync {
        command.arg("--no-sync");
    }
    let output = command.output().map_err(EmbeddedError::io("run", &binaries.initdb()))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(EmbeddedError::Initdb { status: output.status.to_string(), output: last_lines(&said) });
    }
    // An empty folder may be in the way, made by hand or by a mount point's preparation; rename replaces it.
    fs::rename(&unfinished, &layout.cluster).map_err(EmbeddedError::io("name", &layout.cluster))?;
    if config.fsync {
        File::open(&layout.data_dir)
            .and_then(|folder| folder.sync_all())
            .map_err(EmbeddedError::io("write to disk", &layout.data_dir))?;
    }
    tracing::info!(elapsed_ms = started.elapsed().as_millis(), "the private PostgreSQL cluster is made");
    Ok(())
}

const UNFINISHED: &str = "cluster.new-";

/// What an `initdb` left that did not come to its end.
fn remove_unfinished(data_dir: &Path) -> Result<(), EmbeddedError> {
    for entry in fs::read_dir(data_dir).map_err(EmbeddedError::io("read", data_dir))?.flatten() {
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            fs::remove_dir_all(entry.path()).map_err(EmbeddedError::io("remove", &entry.path()))?;
        }
    }
    Ok(())
}

/// One command line that upgrades the data in place, keeping the old folder.
fn upgrade_command(cluster: &Path, found: u32, binaries: &Binaries, user: &OsUser) -> String {
    let (old, new) = (cluster.display(), binaries.dir.display());
    let folder = cluster.parent().unwrap_or(cluster).display();
    let steps = format!(
        "cd {folder} && {new}/initdb -D {old}.{major} -U {NAME} -A trust -E UTF8 --locale=C --data-checksums && \
         {new}/pg_upgrade -U {NAME} -b /usr/lib/postgresql/{found}/bin -B {new} -d {old} -D {old}.{major} && \
         mv {old} {old}.{found} && mv {old}.{major} {old}",
        major = binaries.major,
    );
    if user.switch { format!("runuser -u {} -- sh -c '{steps}'", user.name) } else { steps }
}

/// The end of what a program said, short enough for an error.
pub(super) fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines[lines.len().saturating_sub(5)..].join(" / ")
}
