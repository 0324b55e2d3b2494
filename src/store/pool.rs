//! Connecting: the pool's settings, the patience while PostgreSQL starts, and the schema.
//!
//! The pool's ceiling is its checkout, so nothing is sent on one: a connection is tested only after it has been idle for
//! a while, or while another was found broken, or dropped unasked when the private server has started anew since it was
//! made.

use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use secrecy::{ExposeSecret, SecretString};
use sqlx::migrate::{MigrateError, Migrator};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{Connection, PgConnection};

use super::Store;
use super::embedded::{Embedded, EmbeddedConfig, EmbeddedError, Liveness};
use crate::config;

/// The schema this binary was built for.
pub static MIGRATOR: Migrator = sqlx::migrate!();

/// Beyond this idle time a connection may have been cut by something between us and the server.
const TRUSTED_IDLE: Duration = Duration::from_secs(10);
/// How long a server that is not there yet is waited for.
const PATIENCE: Duration = Duration::from_mins(1);
const RETRY_MIN: Duration = Duration::from_millis(100);
const RETRY_MAX: Duration = Duration::from_secs(2);

/// The database could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL does not read. The URL itself is never repeated: it holds a password.
    #[error(
        "the database URL (DATABASE_URL or database.url) is not valid: {reason}. It must look like \
         postgres://user:password@host:5432/database, with characters such as @ : / # ? in the password percent-encoded"
    )]
    BadUrl {
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answered in time.
    #[error("no PostgreSQL answered at {target} within {} s", waited.as_secs())]
    Unreachable {
        /// Host and port, or the socket; no credentials.
        target: String,
        /// How long we tried.
        waited: Duration,
        /// What the last attempt met.
        #[source]
        source: sqlx::Error,
    },
    /// It answered, and refused.
    #[error("PostgreSQL at {target} refused the connection")]
    Refused {
        /// Host and port, or the socket; no credentials.
        target: String,
        /// Why: a wrong password, an unknown database, …
        #[source]
        source: sqlx::Error,
    },
    /// The schema is that of a newer release. Nothing was changed.
    #[error(
        "the database has migration {version}, which this version of wagate ({}) does not know: it was used by a newer one. \
         Run that version or a later one",
        env!("CARGO_PKG_VERSION")
    )]
    NewerSchema {
        /// The first unknown migration.
        version: i64,
    },
    /// The schema could not be brought up to date; the migration that failed left nothing behind.
    #[error("the database schema could not be brought up to date")]
    Migrate(#[source] MigrateError),
    /// The private server could not be used.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
}

impl Store {
    /// Opens what the configuration names: the server at `database.url`, or without one the private server in
    /// `data_dir/postgres`, which runs for as long as the returned [`Embedded`] lives. The schema is brought up to date.
    pub async fn open(database: &config::Database, data_dir: &Path) -> Result<(Self, Option<Embedded>), ConnectError> {
        if !database.url.expose_secret().is_empty() {
            let options = parse_url(&database.url)?;
            return Ok((Self::connect(options, database, None).await?, None));
        }
        let bin_dir = Some(&database.bin_dir).filter(|dir| !dir.is_empty()).map(Into::into);
        let embedded =
            Embedded::start(EmbeddedConfig { bin_dir, ..EmbeddedConfig::new(data_dir.join("postgres")) }).await?;
        let store = Self::connect(embedded.connect_options(), database, Some(embedded.liveness())).await?;
        Ok((store, Some(embedded)))
    }

    /// Connects to one server, waiting while it starts, and brings the schema up to date.
    pub async fn connect(
        options: PgConnectOptions,
        database: &config::Database,
        liveness: Option<Liveness>,
    ) -> Result<Self, ConnectError> {
        let options = options.application_name("wagate");
        let mut connection = await_answer(&options, database.acquire_timeout).await?;
        migrate(&mut connection).await?;
        // Whether it says goodbye in time changes nothing for us.
        let _ = connection.close().await;
        let doubts = Doubts::default();
        let pool = pool_options(database, liveness, doubts.clone()).connect_lazy_with(options);
        Ok(Self { doubts, ..Self::new(pool) })
    }
}

/// Reads a database URL.
pub fn parse_url(url: &SecretString) -> Result<PgConnectOptions, ConnectError> {
    let bad = |reason: &str| ConnectError::BadUrl { reason: reason.to_owned() };
    let parsed = url::Url::parse(url.expose_secret()).map_err(|error| bad(&error.to_string()))?;
    if !matches!(parsed.scheme(), "postgres" | "postgresql") {
        return Err(bad("its scheme is not postgres://"));
    }
    // The driver's own words could repeat a parameter's value; they concern only parameters by now.
    PgConnectOptions::from_str(url.expose_secret())
        .map_err(|_| bad("a parameter after the ? has a value that PostgreSQL's client does not know"))
}

/// When a connection was last found broken. What broke it may have broken those that were idle then; the pool tests each
/// that comes back, so those are sound that came back since.
#[derive(Debug, Clone, Default)]
pub(super) struct Doubts(Arc<Mutex<Option<Instant>>>);

impl Doubts {
    /// One was found broken.
    pub(super) fn raise(&self) {
        *self.0.lock() = Some(Instant::now());
    }

    /// Whether they concern a connection that has been idle for so long.
    fn concern(&self, idle_for: Duration) -> bool {
        self.0.lock().is_some_and(|raised| raised.elapsed() <= idle_for)
    }
}

fn pool_options(database: &config::Database, liveness: Option<Liveness>, doubts: Doubts) -> PgPoolOptions {
    PgPoolOptions::new()
        .max_connections(database.max_connections)
        .acquire_timeout(database.acquire_timeout)
        .test_before_acquire(false)
        .before_acquire(move |connection, meta| {
            let outlived = liveness.as_ref().is_some_and(|liveness| !liveness.outlived(meta.age));
            let is_trusted = meta.idle_for < TRUSTED_IDLE && !doubts.concern(meta.idle_for);
            Box::pin(async move {
                if outlived {
                    return Ok(false);
                }
                if is_trusted {
                    return Ok(true);
                }
                Ok(connection.ping().await.is_ok())
            })
        })
}

/// Waits until the server takes connections. Not through the pool, which would hide what an attempt met behind its own
/// time limit.
async fn await_answer(options: &PgConnectOptions, attempt: Duration) -> Result<PgConnection, ConnectError> {
    let target = target_of(options);
    let started = Instant::now();
    let mut pause = RETRY_MIN;
    loop {
        let source = match tokio::time::timeout(attempt, PgConnection::connect_with(options)).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(source)) => source,
            Err(elapsed) => sqlx::Error::Io(elapsed.into()),
        };
        if !may_pass(&source) {
            return Err(ConnectError::Refused { target, source });
        }
        if started.elapsed() + pause > PATIENCE {
            return Err(ConnectError::Unreachable { target, waited: started.elapsed(), source });
        }
        tracing::info!(error = %source, database.target = target, "waiting for PostgreSQL");
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Whether trying again can help.
fn may_pass(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) => true,
        // cannot_connect_now (it starts or stops), too_many_connections
        sqlx::Error::Database(error) => error.code().is_some_and(|code| matches!(&*code, "57P03" | "53300")),
        _ => false,
    }
}

/// Under PostgreSQL's advisory lock, so that nodes that start together do it once.
async fn migrate(connection: &mut PgConnection) -> Result<(), ConnectError> {
    MIGRATOR.run(connection).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) => ConnectError::NewerSchema { version },
        error => ConnectError::Migrate(error),
    })
}

fn target_of(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(folder) => format!("the socket in {}", folder.display()),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn complaint(url: &str) -> String {
        parse_url(&url.into()).expect_err("it is not valid").to_string()
    }

    #[test]
    fn a_bad_url_is_explained_without_the_password() {
        for url in [
            "postgres://me:hunter2@host:port/db",
            "postgres://me:hunter2#x@host/db",
            "mysql://me:hunter2@host/db",
            "postgres://me:hunter2@host/db?sslmode=hunter2",
            "hunter2",
        ] {
            let complaint = complaint(url);
            assert!(!complaint.contains("hunter2"), "{complaint}");
            assert!(complaint.contains("postgres://user:password@host"), "{complaint}");
        }
    }

    #[test]
    fn urls_of_tcp_and_socket_servers_read() {
        let over_tcp = parse_url(&"postgresql://me:secret@db.example:6432/wagate?sslmode=verify-full".into()).unwrap();
        assert_eq!(target_of(&over_tcp), "db.example:6432");
        let over_socket = parse_url(&"postgres://me@localhost/wagate?host=/run/postgresql".into()).unwrap();
        assert_eq!(target_of(&over_socket), "the socket in /run/postgresql");
    }

    #[test]
    fn the_compiled_in_schema_is_the_folder() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
        let mut files: Vec<i64> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter_map(|name| name.split_once('_')?.0.parse().ok())
            .collect();
        files.sort_unstable();
        let compiled: Vec<i64> = MIGRATOR.iter().map(|migration| migration.version).collect();
        assert_eq!(compiled, files, "touch src/store/pool.rs: cargo does not see that a migration was added");
    }
}
