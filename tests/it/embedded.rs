//! The private PostgreSQL: it is private, it dies with us, it comes back, and it never puts data at risk.
//!
//! Processes that must be killed are this test binary started again ([`use_the_server`]).

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, getpgid};
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;
use wagate::config::Config;
use wagate::store::Store;
use wagate::store::embedded::{Embedded, EmbeddedConfig, EmbeddedError};

use crate::support::database::scratch;

const DEADLINE: Duration = Duration::from_secs(30);

/// A folder that the server's user may enter when the tests run as root.
fn folder() -> TempDir {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    folder
}

/// The product's settings, but quick: what a kill leaves is in the kernel's memory either way.
fn quick(folder: &TempDir) -> EmbeddedConfig {
    EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder.path().join("postgres")) }
}

async fn connect(embedded: &Embedded) -> PgConnection {
    PgConnection::connect_with(&embedded.connect_options()).await.unwrap()
}

async fn setting(connection: &mut PgConnection, name: &str) -> String {
    sqlx::query_scalar("SELECT current_setting($1)").bind(name).fetch_one(connection).await.unwrap()
}

async fn keep_a_note(embedded: &Embedded) {
    let mut connection = connect(embedded).await;
    sqlx::raw_sql("CREATE TABLE note (text text); INSERT INTO note VALUES ('kept')")
        .execute(&mut connection)
        .await
        .unwrap();
}

async fn read_the_note(embedded: &Embedded) -> String {
    sqlx::query_scalar("SELECT text FROM note").fetch_one(&mut connect(embedded).await).await.unwrap()
}

/// Waits on a condition, with a deadline.
async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition().await {
            return value;
        }
        assert!(Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn signal(pid: u32, signal: Signal) {
    kill(Pid::from_raw(pid.try_into().unwrap()), signal).unwrap();
}

/// A zombie has ended: its parent alone has not looked yet.
fn has_ended(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

async fn end_of(pid: u32) {
    eventually("the end of the process", async || has_ended(pid).then_some(())).await;
}

fn user_of(pid: u32) -> u32 {
    fs::metadata(format!("/proc/{pid}")).unwrap().uid()
}

/// A process of its own that uses the server in a folder.
struct Neighbour {
    process: Child,
    /// It ends when this closes.
    _stdin: ChildStdin,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Neighbour {
    fn start(config: &EmbeddedConfig, user: Option<&User>) -> Self {
        // Through /proc: another user may not be allowed into the folder of the binary.
        let mut command = Command::new("/proc/self/exe");
        command
            .args(["embedded::use_the_server", "--exact", "--ignored", "--nocapture"])
            .env(DATA_DIR, &config.data_dir)
            .env(BIN_DIR, config.bin_dir.as_deref().unwrap_or(Path::new("")))
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        if let Some(user) = user {
            command.uid(user.uid.as_raw()).gid(user.gid.as_raw());
        }
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { _stdin: process.stdin.take().unwrap(), process, lines }
    }

    /// The server's process, once the neighbour can use it.
    fn server(&mut self) -> u32 {
        let line = self.lines.by_ref().map(Result::unwrap).find(|line| line.starts_with(READY)).expect("it gets ready");
        line[READY.len()..].parse().unwrap()
    }

    fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Neighbour {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

const DATA_DIR: &str = "WAGATE_TEST_EMBEDDED_DATA_DIR";
const BIN_DIR: &str = "WAGATE_TEST_EMBEDDED_BIN_DIR";
const READY: &str = "server process: ";

/// Not a test: what a [`Neighbour`] does.
#[tokio::test]
#[ignore = "a process that other tests start"]
async fn use_the_server() {
    let Some(data_dir) = std::env::var_os(DATA_DIR) else { return };
    let bin_dir = std::env::var_os(BIN_DIR).filter(|dir| !dir.is_empty()).map(PathBuf::from);
    let config = EmbeddedConfig { fsync: false, bin_dir, ..EmbeddedConfig::new(data_dir) };
    let embedded = Embedded::start(config).await.unwrap();
    let server = embedded.pid().unwrap();
    // On a line of its own: the test harness has begun one.
    writeln!(std::io::stdout(), "\n{READY}{server}").unwrap();
    tokio::task::spawn_blocking(|| std::io::stdin().lines().count()).await.unwrap();
    embedded.stop().await;
}

#[tokio::test]
async fn only_its_owner_reaches_it_and_commits_reach_the_disk() {
    let folder = folder();
    let embedded = Embedded::start(EmbeddedConfig::new(folder.path().join("postgres"))).await.unwrap();
    let mut connection = connect(&embedded).await;
    for (name, value) in [
        ("listen_addresses", ""),
        ("unix_socket_permissions", "0700"),
        ("fsync", "on"),
        ("full_page_writes", "on"),
        ("synchronous_commit", "on"),
        ("server_encoding", "UTF8"),
        ("data_checksums", "on"),
        ("TimeZone", "UTC"),
    ] {
        assert_eq!(setting(&mut connection, name).await, value, "{name}");
    }
    let collation: String = sqlx::query_scalar("SELECT datcollate::text FROM pg_database WHERE datname = 'wagate'")
        .fetch_one(&mut connection)
        .await
        .unwrap();
    assert_eq!(collation, "C");
    for inside in ["postgres", "postgres/run", "postgres/cluster"] {
        assert_eq!(fs::metadata(folder.path().join(inside)).unwrap().mode() & 0o777, 0o700, "{inside}");
    }
    let by_url: i32 = sqlx::query_scalar("SELECT 1")
        .fetch_one(&mut PgConnection::connect(&embedded.url()).await.unwrap())
        .await
        .unwrap();
    assert_eq!(by_url, 1);

    let server = embedded.pid().unwrap();
    let group = getpgid(Some(Pid::from_raw(server.try_into().unwrap()))).unwrap();
    assert_eq!(group.as_raw().unsigned_abs(), server, "Ctrl-C in a terminal must not reach it before us");
    let environment = fs::read_to_string(format!("/proc/{server}/environ")).unwrap_or_default();
    assert!(!environment.contains("CARGO"), "it has our environment: {environment}");
    embedded.stop().await;
    assert!(has_ended(server));
}

#[tokio::test]
async fn letting_go_of_it_stops_it_and_its_data_stays() {
    let folder = folder();
    let embedded = Embedded::start(quick(&folder)).await.unwrap();
    keep_a_note(&embedded).await;
    let server = embedded.pid().unwrap();
    drop(embedded);
    end_of(server).await;
    let again = Embedded::start(quick(&folder)).await.unwrap();
    assert_eq!(read_the_note(&again).await, "kept");
    again.stop().await;
}

#[tokio::test]
async fn a_long_path_gets_a_short_socket_that_is_private_too() {
    let folder = folder();
    let config = EmbeddedConfig { data_dir: folder.path().join("long".repeat(30)), ..quick(&folder) };
    let embedded = Embedded::start(config).await.unwrap();
    let socket_dir = embedded.connect_options().get_socket().unwrap().clone();
    assert!(!socket_dir.starts_with(folder.path()), "{}", socket_dir.display());
    assert_eq!(fs::metadata(&socket_dir).unwrap().mode() & 0o777, 0o700);
    connect(&embedded).await.ping().await.unwrap();
    embedded.stop().await;
    fs::remove_dir_all(socket_dir).unwrap();
}

#[tokio::test]
async fn it_dies_with_a_killed_gateway_and_the_next_one_finds_everything() {
    let folder = folder();
    let mut gateway = Neighbour::start(&quick(&folder), None);
    let server = gateway.server();
    let note = Embedded::start(quick(&folder)).await.unwrap();
    keep_a_note(&note).await;
    note.stop().await;
    assert!(!has_ended(server), "a process that only joined must not stop it");
    gateway.kill();
    end_of(server).await;
    let next = Embedded::start(quick(&folder)).await.unwrap();
    assert_eq!(read_the_note(&next).await, "kept");
    next.stop().await;
}

#[tokio::test]
async fn a_gateway_started_at_once_after_a_kill_waits_for_the_old_server() {
    let folder = folder();
    let mut gateway = Neighbour::start(&quick(&folder), None);
    let server = gateway.server();
    gateway.kill();
    let next = Embedded::start(quick(&folder)).await.unwrap();
    assert!(has_ended(server));
    assert_ne!(next.pid(), Some(server));
    next.stop().await;
}

#[tokio::test]
async fn a_killed_server_is_started_again_and_the_pool_recovers() {
    let folder = folder();
    let embedded = Embedded::start(quick(&folder)).await.unwrap();
    let database = Config::defaults().database;
    let store = Store::connect(embedded.connect_options(), &database, Some(embedded.liveness())).await.unwrap();
    keep_a_note(&embedded).await;
    // As many connections as the pool holds, so that every one of them is stale afterwards.
    let mut held = Vec::new();
    for _ in 0..database.max_connections {
        held.push(store.pool().acquire().await.unwrap());
    }
    drop(held);

    let first = embedded.pid().unwrap();
    signal(first, Signal::SIGKILL);
    let second = eventually("another server", async || embedded.pid().filter(|&pid| pid != first)).await;
    for query in 0..database.max_connections * 2 {
        let note: String = sqlx::query_scalar("SELECT text FROM note")
            .fetch_one(store.pool())
            .await
            .unwrap_or_else(|error| panic!("query {query} met a stale connection: {error}"));
        assert_eq!(note, "kept");
    }
    assert!(!has_ended(second));
    store.pool().close().await;
    embedded.stop().await;
}

#[tokio::test]
async fn two_processes_share_one_server_and_the_second_takes_over() {
    let folder = folder();
    let mut owner = Neighbour::start(&quick(&folder), None);
    let server = owner.server();
    let second = Embedded::start(quick(&folder)).await.unwrap();
    assert_eq!(second.pid(), Some(server));
    let database = Config::defaults().database;
    let store = Store::connect(second.connect_options(), &database, Some(second.liveness())).await.unwrap();
    keep_a_note(&second).await;

    owner.kill();
    let own = eventually("a server of its own", async || second.pid().filter(|&pid| pid != server)).await;
    let note: String = eventually("the pool's recovery", async || {
        sqlx::query_scalar("SELECT text FROM note").fetch_one(store.pool()).await.ok()
    })
    .await;
    assert_eq!(note, "kept");
    store.pool().close().await;
    second.stop().await;
    assert!(has_ended(own));
}

#[tokio::test]
async fn processes_that_start_at_the_same_moment_make_one_cluster() {
    let folder = folder();
    let mut neighbours: Vec<_> = (0..4).map(|_| Neighbour::start(&quick(&folder), None)).collect();
    let servers: Vec<u32> = neighbours.iter_mut().map(Neighbour::server).collect();
    assert!(servers.iter().all(|&server| server == servers[0]), "{servers:?}");
}

#[tokio::test]
async fn a_stale_pid_file_does_not_stop_it() {
    let folder = folder();
    Embedded::start(quick(&folder)).await.unwrap().stop().await;
    let cluster = folder.path().join("postgres/cluster");
    let server_user = fs::metadata(&cluster).unwrap().uid();
    let mut ended = Command::new("true").spawn().unwrap();
    ended.wait().unwrap();
    // One of the same user, not the server's parent: PostgreSQL itself sees through the others.
    let mut stranger = Command::new("sleep").arg("600").uid(server_user).spawn().unwrap();
    // A number nobody has; and after a reboot, one that another program got.
    for pid in [ended.id(), stranger.id()] {
        let stale =
            format!("{pid}\n{}\n1700000000\n5432\n/nowhere\n\n  5432001    98304\nready   \n", cluster.display());
        fs::write(cluster.join("postmaster.pid"), &stale).unwrap();
        fs::write(folder.path().join("postgres/run/.s.PGSQL.5432.lock"), &stale).unwrap();
        let embedded = Embedded::start(quick(&folder)).await.unwrap();
        assert_ne!(embedded.pid(), Some(pid));
        connect(&embedded).await.ping().await.unwrap();
        embedded.stop().await;
    }
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}

#[tokio::test]
async fn it_never_runs_as_root() {
    let folder = folder();
    let embedded = Embedded::start(quick(&folder)).await.unwrap();
    let user = user_of(embedded.pid().unwrap());
    assert_ne!(user, 0);
    if !Uid::effective().is_root() {
        assert_eq!(user, Uid::effective().as_raw());
    }
    assert_eq!(fs::metadata(folder.path().join("postgres/cluster")).unwrap().uid(), user);
    embedded.stop().await;
}

#[tokio::test]
async fn without_root_it_runs_as_whoever_runs_the_gateway() {
    let folder = folder();
    let nobody = User::from_name("nobody").unwrap().unwrap();
    let switch = Uid::effective().is_root();
    if switch {
        std::os::unix::fs::chown(folder.path(), Some(nobody.uid.as_raw()), Some(nobody.gid.as_raw())).unwrap();
    }
    let mut gateway = Neighbour::start(&quick(&folder), switch.then_some(&nobody));
    let server = gateway.server();
    let expected = if switch { nobody.uid } else { Uid::effective() };
    assert_eq!(user_of(server), expected.as_raw());
    gateway.kill();
    end_of(server).await;
}

#[tokio::test]
async fn a_folder_that_the_servers_user_may_not_enter_is_named() {
    if !Uid::effective().is_root() {
        return; // Only root switches users.
    }
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let error = Embedded::start(quick(&closed)).await.unwrap_err();
    let EmbeddedError::NotTraversable { dir, .. } = &error else { panic!("{error:?}") };
    assert_eq!(dir, closed.path());
}

#[tokio::test]
async fn a_folder_without_the_programs_is_named() {
    let folder = folder();
    let bin_dir = folder.path().join("bin");
    fs::create_dir(&bin_dir).unwrap();
    let error = Embedded::start(EmbeddedConfig { bin_dir: Some(bin_dir.clone()), ..quick(&folder) }).await.unwrap_err();
    assert!(matches!(&error, EmbeddedError::NotInBinDir { dir } if *dir == bin_dir), "{error:?}");
}

#[tokio::test]
async fn data_of_another_major_version_is_refused_untouched_with_the_upgrade_named() {
    let folder = folder();
    Embedded::start(quick(&folder)).await.unwrap().stop().await;
    let version = folder.path().join("postgres/cluster/PG_VERSION");
    fs::write(&version, "9\n").unwrap();
    let entries = |inside: &str| {
        let mut names: Vec<_> =
            fs::read_dir(folder.path().join(inside)).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        names
    };
    let before = (entries("postgres"), entries("postgres/cluster"));
    let error = Embedded::start(quick(&folder)).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::OtherMajor { found: 9, .. }), "{error:?}");
    assert!(error.to_string().contains("bin/pg_upgrade -U wagate -b /usr/lib/postgresql/9/bin -B "), "{error}");
    assert_eq!((entries("postgres"), entries("postgres/cluster")), before);
    assert_eq!(fs::read_to_string(version).unwrap(), "9\n");
}

#[tokio::test]
async fn a_folder_with_other_things_in_it_is_refused_untouched() {
    let folder = folder();
    Embedded::start(quick(&folder)).await.unwrap().stop().await;
    let cluster = folder.path().join("postgres/cluster");
    fs::remove_file(cluster.join("PG_VERSION")).unwrap();
    let error = Embedded::start(quick(&folder)).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::NotACluster { .. }), "{error:?}");
    assert!(cluster.join("base").is_dir());
}

#[tokio::test]
async fn a_crash_while_the_cluster_is_made_leaves_nothing_in_the_way() {
    let folder = folder();
    let bin_dir = folder.path().join("bin");
    fs::create_dir(&bin_dir).unwrap();
    let postgres = programs().join("postgres");
    std::os::unix::fs::symlink(postgres, bin_dir.join("postgres")).unwrap();
    // Gets as far as the folder ($2 is the value of --pgdata), and no further.
    let initdb = bin_dir.join("initdb");
    fs::write(&initdb, "#!/bin/sh\nmkdir \"$2\" && echo $$ > \"$2/process\" && exec sleep 600\n").unwrap();
    fs::set_permissions(&initdb, fs::Permissions::from_mode(0o755)).unwrap();

    let gateway = Neighbour::start(&EmbeddedConfig { bin_dir: Some(bin_dir), ..quick(&folder) }, None);
    let data_dir = folder.path().join("postgres");
    let unfinished = data_dir.join(format!("cluster.new-{}", gateway.process.id()));
    let process = eventually("initdb under way", async || {
        fs::read_to_string(unfinished.join("process")).ok()?.trim().parse::<u32>().ok()
    })
    .await;
    gateway.kill();
    end_of(process).await;
    assert!(unfinished.is_dir() && !data_dir.join("cluster").exists());

    let embedded = Embedded::start(quick(&folder)).await.unwrap();
    connect(&embedded).await.ping().await.unwrap();
    embedded.stop().await;
    assert!(!unfinished.exists());
}

/// Where the installed programs are.
fn programs() -> PathBuf {
    let debian =
        fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten().map(|entry| entry.path().join("bin"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut dirs = debian.chain(std::env::split_paths(&path));
    dirs.find(|dir| dir.join("postgres").is_file()).expect("PostgreSQL is installed")
}

#[tokio::test]
async fn a_server_that_cannot_start_is_reported_with_its_own_words() {
    let folder = folder();
    Embedded::start(quick(&folder)).await.unwrap().stop().await;
    fs::write(folder.path().join("postgres/cluster/postgresql.conf"), "no_such_setting = 1\n").unwrap();
    let error = Embedded::start(quick(&folder)).await.unwrap_err();
    assert!(matches!(error, EmbeddedError::Ended { .. }), "{error:?}");
    assert!(error.to_string().contains("no_such_setting"), "{error}");
}
