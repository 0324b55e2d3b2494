//! Why the private PostgreSQL could not be used; every variant says what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// The private PostgreSQL could not be started or joined.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EmbeddedError {
    /// No installed PostgreSQL was found.
    #[error("PostgreSQL is not installed: run `{advice}`, or set DATABASE_URL to a server of your own")]
    NotInstalled {
        /// One line to type.
        advice: &'static str,
    },
    /// The configured folder does not hold the programs.
    #[error("database.bin_dir names {}, where there is no usable `postgres` and `initdb`", dir.display())]
    NotInBinDir {
        /// The configured folder.
        dir: PathBuf,
    },
    /// The data was written by another major version. Nothing was touched.
    #[error(
        "the data in {} was written by PostgreSQL {found}, but only PostgreSQL {installed} is installed. Install \
         PostgreSQL {found} again, or upgrade the data: {upgrade}",
        cluster.display()
    )]
    OtherMajor {
        /// The cluster's folder.
        cluster: PathBuf,
        /// The major version that wrote it.
        found: u32,
        /// The major version there is.
        installed: u32,
        /// What to type.
        upgrade: String,
    },
    /// The cluster's folder holds something else. Nothing was touched.
    #[error("{} is not empty and not a PostgreSQL cluster; move it away, or choose another data folder", cluster.display())]
    NotACluster {
        /// The folder.
        cluster: PathBuf,
    },
    /// PostgreSQL refuses to run as root and there is no user to switch to.
    #[error("PostgreSQL does not run as root, and there is no user `postgres` or `nobody` to run it as: create one")]
    NoUser,
    /// The server's user cannot get to the data folder.
    #[error(
        "the user `{user}`, which PostgreSQL runs as, may not pass through {}: choose a data folder such as \
         /var/lib/wagate, or `chmod o+x {}`",
        dir.display(), dir.display()
    )]
    NotTraversable {
        /// The first folder that is closed.
        dir: PathBuf,
        /// The server's user.
        user: String,
    },
    /// A folder that must be private belongs to somebody else.
    #[error("{} must belong to the user `{user}` and be a folder, not a link: remove it", dir.display())]
    ForeignFolder {
        /// The folder.
        dir: PathBuf,
        /// Who should own it.
        user: String,
    },
    /// `initdb` failed.
    #[error("initdb could not make the cluster ({status}): {output}")]
    Initdb {
        /// How it ended.
        status: String,
        /// The last it said.
        output: String,
    },
    /// The server ended before it was ready.
    #[error("PostgreSQL ended before it was ready ({status}); its log {} says: {output}", log.display())]
    Ended {
        /// How it ended.
        status: String,
        /// Its log.
        log: PathBuf,
        /// The last it said.
        output: String,
    },
    /// The server did not become ready in time.
    #[error("PostgreSQL was not ready after {seconds} s; its log is {}", log.display())]
    NotReady {
        /// How long we waited.
        seconds: u64,
        /// Its log.
        log: PathBuf,
    },
    /// A server that no process owns does not end.
    #[error("process {pid} still serves {} and does not end; stop it", cluster.display())]
    Orphan {
        /// The server's process.
        pid: i32,
        /// The cluster's folder.
        cluster: PathBuf,
    },
    /// It was stopped while it started.
    #[error("the private PostgreSQL was stopped while it started")]
    Stopped,
    /// The database in the fresh cluster could not be made or reached.
    #[error("the private PostgreSQL runs, but its database could not be opened")]
    Database(#[source] sqlx::Error),
    /// A file operation failed.
    #[error("could not {action} {}", path.display())]
    Io {
        /// An infinitive.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl EmbeddedError {
    /// For `map_err`.
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}
