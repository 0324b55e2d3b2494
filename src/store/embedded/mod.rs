//! The private PostgreSQL of the default: a cluster in the data folder, served by the PostgreSQL that is installed.
//!
//! Nobody has to set up a database to try the gateway, and the SQL is the same that a big deployment runs. The server is
//! ours alone: it listens on a Unix socket in a 0700 folder and nowhere else, it has a process group of its own (Ctrl-C
//! in a terminal reaches us first, and we stop it in order), and it ends when we end, however we end.
//!
//! # Two processes, one server
//!
//! Any number of processes may [`Embedded::start`] on one folder: `wagate serve` and a `wagate account create` beside it.
//! A `flock` on `lock` in that folder says whose child the server is. The others use it and keep asking for the lock: when
//! the owner ends, however it ends, its server ends too, the next process gets the lock within a quarter of a second and
//! starts a server of its own on the same data, and every pool connects again. Data that was committed is there: the
//! handover is an ordinary shutdown or, at worst, crash recovery.
//!
//! # The folder
//!
//! | entry | what it is |
//! |---|---|
//! | `lock` | the `flock` |
//! | `cluster` | PostgreSQL's data; made as `cluster.new-…` and renamed, so it is whole or absent |
//! | `run` | the socket, unless its path would be longer than the kernel's 107 bytes |
//! | `postgres.log` | what the server says |

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

mod binaries;
mod cluster;
mod error;
mod keeper;
mod os_user;
mod pid_file;
mod process;
mod socket;

pub use error::EmbeddedError;

use keeper::{Keeper, Phase, Shared};
use os_user::OsUser;

/// The database and the role inside the cluster.
const NAME: &str = "wagate";
/// After a request to stop, the server gets this long before it is told to leave at once; it then recovers at its next start.
const STOP_PATIENCE: Duration = Duration::from_secs(10);

/// How the private server is run.
#[derive(Debug, Clone)]
pub struct EmbeddedConfig {
    /// The folder described above; made if absent.
    pub data_dir: PathBuf,
    /// Where `postgres` and `initdb` are; `None`: they are looked for.
    pub bin_dir: Option<PathBuf>,
    /// Whether commits reach the disk. Only tests say no.
    pub fsync: bool,
    /// Connections the server accepts, of all processes together.
    pub max_connections: u16,
}

impl EmbeddedConfig {
    /// The product's settings.
    pub fn new(data_dir: impl Into<PathBuf>) -> Self {
        Self { data_dir: data_dir.into(), bin_dir: None, fsync: true, max_connections: 40 }
    }
}

/// The private server in use by this process. Dropping it lets go: the server stops if it is this process's child.
#[derive(Debug)]
pub struct Embedded {
    shared: Arc<Shared>,
    socket_dir: PathBuf,
}

impl Embedded {
    /// Starts the server, or joins the one that another process started on the same folder; returns when it answers and
    /// has our database.
    pub async fn start(config: EmbeddedConfig) -> Result<Self, EmbeddedError> {
        let user = OsUser::for_server()?;
        cluster::make_folder(&config.data_dir, &user)?;
        let data_dir = std::path::absolute(&config.data_dir)
            .and_then(|dir| dir.canonicalize())
            .map_err(EmbeddedError::io("find", &config.data_dir))?;
        let socket_dir = socket::folder(&data_dir, &user)?;
        let config = EmbeddedConfig { data_dir, ..config };

        let shared = Arc::new(Shared::new());
        let mut phase = shared.watch();
        Keeper::new(config, user, socket_dir.clone(), Arc::clone(&shared)).spawn()?;
        let embedded = Self { shared, socket_dir };
        // The keeper outlives this future only if `embedded` does: leaving early drops it, and that stops the keeper.
        let settled = phase.wait_for(|phase| !matches!(phase, Phase::Starting)).await.map(|phase| *phase);
        match settled {
            Ok(Phase::Ready { .. }) => {}
            Ok(Phase::Starting | Phase::Down | Phase::Ended) | Err(_) => {
                return Err(embedded.shared.take_failure().unwrap_or(EmbeddedError::Stopped));
            }
        }
        embedded.ensure_database().await?;
        Ok(embedded)
    }

    /// How to connect, for [`super::pool`].
    pub fn connect_options(&self) -> PgConnectOptions {
        self.options_for(NAME)
    }

    /// How to connect to another database of the cluster; tests have one each.
    pub fn options_for(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_dir)
            .port(socket::PORT)
            .username(NAME)
            .database(database)
    }

    /// The same as a URL, for `psql` and other programs.
    pub fn url(&self) -> String {
        url_of(&self.socket_dir, NAME)
    }

    /// The server's process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        match self.shared.phase() {
            Phase::Ready { pid, .. } => Some(pid),
            Phase::Starting | Phase::Down | Phase::Ended => None,
        }
    }

    /// Tells connections made before the server's last start from usable ones.
    pub fn liveness(&self) -> Liveness {
        Liveness { shared: Arc::clone(&self.shared) }
    }

    /// Stops the server if it is ours, and returns when it is gone.
    pub async fn stop(self) {
        let mut phase = self.shared.watch();
        self.shared.request_stop();
        let ended = phase.wait_for(|phase| matches!(phase, Phase::Ended));
        if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
            tracing::warn!("the private PostgreSQL does not stop in order; it is told to leave at once");
            self.shared.quit_now();
            let ended = phase.wait_for(|phase| matches!(phase, Phase::Ended));
            if tokio::time::timeout(STOP_PATIENCE, ended).await.is_err() {
                tracing::warn!("the private PostgreSQL is still running; it will be waited for at the next start");
            }
        }
    }

    /// The database is made here and not by `initdb`, which makes only its own three.
    async fn ensure_database(&self) -> Result<(), EmbeddedError> {
        match PgConnection::connect_with(&self.connect_options()).await {
            Ok(connection) => connection.close().await.map_err(EmbeddedError::Database),
            Err(error) if code_of(&error).as_deref() == Some(code::NO_SUCH_DATABASE) => {
                let mut connection =
                    PgConnection::connect_with(&self.options_for("postgres")).await.map_err(EmbeddedError::Database)?;
                match sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {NAME}"))).execute(&mut connection).await {
                    Ok(_) => {}
                    // Another process came first; seen as either of two errors, by how close the race was.
                    Err(error)
                        if matches!(
                            code_of(&error).as_deref(),
                            Some(code::DATABASE_EXISTS | code::UNIQUE_VIOLATION)
                        ) => {}
                    Err(error) => return Err(EmbeddedError::Database(error)),
                }
                connection.close().await.map_err(EmbeddedError::Database)
            }
            Err(error) => Err(EmbeddedError::Database(error)),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.shared.request_stop();
    }
}

/// Knows when the server last started; cheap to clone.
#[derive(Debug, Clone)]
pub struct Liveness {
    shared: Arc<Shared>,
}

impl Liveness {
    /// Whether a connection of this age was made to the server that runs now.
    pub fn outlived(&self, age: Duration) -> bool {
        match self.shared.phase() {
            Phase::Ready { since, .. } => since.elapsed() >= age,
            Phase::Starting | Phase::Down | Phase::Ended => false,
        }
    }
}

/// A URL that names a socket folder.
pub fn url_of(socket_dir: &Path, database: &str) -> String {
    let host: String = form_urlencoded::byte_serialize(socket_dir.as_os_str().as_encoded_bytes()).collect();
    format!("postgres://{NAME}@localhost:{}/{database}?host={host}", socket::PORT)
}

/// SQLSTATEs we act on (PostgreSQL manual, appendix A).
pub(super) mod code {
    pub(crate) const NO_SUCH_DATABASE: &str = "3D000";
    pub(crate) const DATABASE_EXISTS: &str = "42P04";
    pub(crate) const UNIQUE_VIOLATION: &str = "23505";
}

fn code_of(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(sqlx::error::DatabaseError::code).map(std::borrow::Cow::into_owned)
}
