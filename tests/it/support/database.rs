//! A database for each test, cloned from a template, on one server for the whole run.
//!
//! The server is the product's own private PostgreSQL with fsync off. Test runners give each test a process, so no test can own the
//! server: whoever needs it first starts this test binary again as a *keeper* ([`keep_the_server`]), which is
//! nobody's child and serves until no test has needed it for [`IDLE_LIMIT`]; then it stops and removes everything.
//!
//! Each process holds `users` locked (shared) for its life, so the kernel tells the keeper who is left, even of the
//! processes that were killed. The keeper also drops the databases of processes that have ended.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use nix::unistd::Pid;
use sha2::{Digest, Sha256};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection, PgConnection, PgPool};
use uuid::Uuid;
use wagate::store::embedded::{Embedded, EmbeddedConfig};
use wagate::store::{MIGRATOR, Store};

/// Long enough for the pause between two runs of somebody who is programming.
const IDLE_LIMIT: Duration = Duration::from_mins(1);
/// A first start makes a cluster, which a busy machine takes seconds for.
const START_LIMIT: Duration = Duration::from_secs(90);
const POLL: Duration = Duration::from_millis(10);
/// Tells the keeper from a run with `--ignored`.
const KEEPER: &str = "WAGATE_TEST_DATABASE_KEEPER";

/// An empty database with the schema, for one test.
#[derive(Debug)]
pub(crate) struct TestDatabase {
    store: Store,
    url: String,
}

impl TestDatabase {
    /// Makes one. It goes away some time after this process has ended.
    pub(crate) async fn fresh() -> Self {
        let server = Server::at_hand();
        let name = database_name();
        let mut connection = server.connect("postgres").await;
        let template = ensure_template(server, &mut connection).await;
        // Copying files takes a third of what writing them through the log does (10 ms against 30 ms, in memory).
        // Before 15 there was nothing else, and no word for it.
        let strategy = if connection.server_version_num() >= Some(150_000) { "STRATEGY file_copy" } else { "" };
        execute(&mut connection, format!("CREATE DATABASE {name} TEMPLATE {template} {strategy}")).await;
        let options = server.options(&name);
        let pool = PgPoolOptions::new().max_connections(8).test_before_acquire(false).connect_lazy_with(options);
        Self { store: Store::new(pool), url: server.url(&name) }
    }

    /// The store on it.
    pub(crate) fn store(&self) -> &Store {
        &self.store
    }

    /// The pool of that store.
    pub(crate) fn pool(&self) -> &PgPool {
        self.store.pool()
    }

    /// For `database.url`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// How to connect.
    pub(crate) fn options(&self) -> PgConnectOptions {
        self.url.parse().expect("we made it")
    }
}

/// `test_<process>_<random>`: the keeper drops it when that process has ended.
fn database_name() -> String {
    format!("test_{}_{}", std::process::id(), Uuid::new_v4().simple())
}

/// The template with today's migrations, made by whichever test comes first.
async fn ensure_template(server: &Server, connection: &mut PgConnection) -> String {
    let mut checksum = Sha256::new();
    for migration in MIGRATOR.iter() {
        checksum.update(&migration.checksum);
    }
    let template: String =
        "template_".chars().chain(checksum.finalize().iter().take(8).flat_map(|byte| hex(*byte))).collect();
    if exists(connection, &template).await {
        return template;
    }
    execute(connection, "SELECT pg_advisory_lock(1)".into()).await;
    if !exists(connection, &template).await {
        let unfinished = format!("unfinished_{template}");
        execute(connection, format!("DROP DATABASE IF EXISTS {unfinished}")).await;
        execute(connection, format!("CREATE DATABASE {unfinished}")).await;
        let mut inside = server.connect(&unfinished).await;
        MIGRATOR.run(&mut inside).await.expect("the migrations apply to an empty database");
        inside.close().await.expect("the connection closes");
        execute(connection, format!("ALTER DATABASE {unfinished} RENAME TO {template}")).await;
    }
    execute(connection, "SELECT pg_advisory_unlock(1)".into()).await;
    template
}

async fn exists(connection: &mut PgConnection, database: &str) -> bool {
    let names = databases(connection).await;
    names.iter().any(|name| name == database)
}

async fn databases(connection: &mut PgConnection) -> Vec<String> {
    sqlx::query_scalar("SELECT datname::text FROM pg_database").fetch_all(connection).await.expect("it lists databases")
}

async fn execute(connection: &mut PgConnection, statement: String) {
    if let Err(error) = sqlx::raw_sql(AssertSqlSafe(statement.as_str())).execute(connection).await {
        panic!("{statement}: {error}");
    }
}

fn hex(byte: u8) -> [char; 2] {
    [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).expect("four bits are a digit"))
}

/// The server of this run, as a test sees it.
#[derive(Debug)]
struct Server {
    options: PgConnectOptions,
    socket_dir: PathBuf,
    /// Locked, shared, until this process ends.
    _user: File,
}

impl Server {
    /// Starts it if nobody has; blocks a first caller for as long as that takes.
    fn at_hand() -> &'static Self {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| {
            let folder = make_folder();
            // First of all: a keeper that is about to stop holds it exclusively until it has gone.
            let user = open(&folder.join("users"));
            user.lock_shared().expect("it locks");
            let starting = open(&folder.join("starting"));
            starting.lock().expect("it locks");
            let socket_dir = folder.join("postgres/run");
            if !is_up(&folder) {
                start_keeper(&folder);
            }
            let options = PgConnectOptions::new_without_pgpass().socket(&socket_dir).port(5432).username("wagate");
            Self { options, socket_dir, _user: user }
        })
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        self.options.clone().database(database)
    }

    fn url(&self, database: &str) -> String {
        wagate::store::embedded::url_of(&self.socket_dir, database)
    }

    async fn connect(&self, database: &str) -> PgConnection {
        PgConnection::connect_with(&self.options(database)).await.expect("the test server answers")
    }
}

/// Not in the target folder: as root the server runs as another user, who may not enter `/root`. One for each user and
/// checkout.
fn make_folder() -> PathBuf {
    let checkout: String =
        Sha256::digest(env!("CARGO_MANIFEST_DIR")).iter().take(6).flat_map(|byte| hex(*byte)).collect();
    let uid = nix::unistd::geteuid();
    let folder = scratch().join(format!("wagate-tests-{uid}-{checkout}"));
    match DirBuilder::new().mode(0o711).create(&folder) {
        Ok(()) => {}
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists, "{}: {error}", folder.display()),
    }
    let metadata = fs::symlink_metadata(&folder).expect("it is there");
    assert!(metadata.is_dir() && metadata.uid() == uid.as_raw(), "{} is not ours: remove it", folder.display());
    folder
}

/// Where tests keep clusters. A database is 8 MB in 300 files: copying them takes 10 ms in memory and 50 to 200 ms on a
/// disk, even without fsync. Containers tend to have 64 MB of such memory, which is too little.
pub(crate) fn scratch() -> PathBuf {
    const ROOMY: u64 = 2 << 30;
    let memory = Path::new("/dev/shm");
    // By the whole and not by what is free, so that every test of a run comes to the same answer.
    match nix::sys::statvfs::statvfs(memory) {
        Ok(there) if there.blocks() * there.fragment_size() > ROOMY => memory.to_owned(),
        Ok(_) | Err(_) => std::env::temp_dir(),
    }
}

fn open(path: &Path) -> File {
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Written by a keeper once its server can be used, removed by it before it stops; it counts only while the keeper
/// lives, which its lock on the file tells.
fn is_up(folder: &Path) -> bool {
    File::open(folder.join("keeper")).is_ok_and(|keeper| keeper.try_lock_shared().is_err())
        && std::os::unix::net::UnixStream::connect(folder.join("postgres/run/.s.PGSQL.5432")).is_ok()
}

#[expect(clippy::zombie_processes, reason = "it outlives this process, and then it is init's child")]
fn start_keeper(folder: &Path) {
    let said = folder.join("keeper.log");
    let log = File::create(&said).expect("it opens");
    let mut keeper = Command::new(std::env::current_exe().expect("a test has a binary"))
        .args(["support::database::keep_the_server", "--exact", "--ignored", "--nocapture"])
        .env(KEEPER, folder)
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("it opens"))
        .stderr(log)
        .process_group(0)
        .spawn()
        .expect("the test binary starts again");
    let deadline = Instant::now() + START_LIMIT;
    while !is_up(folder) {
        let ended = keeper.try_wait().expect("it is our child");
        assert!(
            ended.is_none() && Instant::now() < deadline,
            "the test database did not start ({ended:?}): {}",
            fs::read_to_string(&said).unwrap_or_default()
        );
        std::thread::sleep(POLL);
    }
}

/// Not a test: the server's keeper, a process of its own.
#[tokio::test]
#[ignore = "serves the other tests: they start it"]
async fn keep_the_server() {
    let Some(folder) = std::env::var_os(KEEPER).map(PathBuf::from) else { return };
    let users = open(&folder.join("users"));
    let config = EmbeddedConfig { fsync: false, max_connections: 300, ..EmbeddedConfig::new(folder.join("postgres")) };
    let embedded = Embedded::start(config).await.expect("the private PostgreSQL starts");
    let up = open(&folder.join("keeper"));
    up.lock().expect("only one keeper runs");

    let mut last_used = Instant::now();
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop_databases_of_the_dead(&embedded).await;
        if users.try_lock().is_err() {
            last_used = Instant::now();
        } else if last_used.elapsed() > IDLE_LIMIT {
            // Locked until this process has gone: a test that comes now waits, and then finds an empty folder.
            break;
        } else {
            users.unlock().expect("it unlocks");
        }
    }
    embedded.stop().await;
    fs::remove_dir_all(folder.join("postgres")).expect("it is ours");
    fs::remove_file(folder.join("keeper")).expect("it is ours");
}

/// Also of those that were killed.
async fn drop_databases_of_the_dead(embedded: &Embedded) {
    let Ok(mut connection) = PgConnection::connect_with(&embedded.options_for("postgres")).await else { return };
    for name in databases(&mut connection).await {
        let process = name.strip_prefix("test_").and_then(|rest| rest.split('_').next()?.parse().ok());
        let dead = process.is_some_and(|pid| nix::sys::signal::kill(Pid::from_raw(pid), None).is_err());
        if dead {
            execute(&mut connection, format!("DROP DATABASE IF EXISTS {name} WITH (FORCE)")).await;
        }
    }
}

mod tests {
    use super::*;

    #[tokio::test]
    async fn each_database_is_empty_migrated_and_alone() {
        let (one, other) = (TestDatabase::fresh().await, TestDatabase::fresh().await);
        assert_ne!(one.url(), other.url());
        sqlx::raw_sql("INSERT INTO account (id, name, created_at) VALUES (gen_random_uuid(), 'a', now())")
            .execute(one.pool())
            .await
            .unwrap();
        let count = "SELECT count(*) FROM account";
        let in_one: i64 = sqlx::query_scalar(count).fetch_one(one.store().pool()).await.unwrap();
        let in_other: i64 = sqlx::query_scalar(count).fetch_one(other.pool()).await.unwrap();
        assert_eq!((in_one, in_other), (1, 0));
        let mut by_url = PgConnection::connect_with(&one.options()).await.unwrap();
        let by_url: i64 = sqlx::query_scalar(count).fetch_one(&mut by_url).await.unwrap();
        assert_eq!(by_url, 1);
    }
}
