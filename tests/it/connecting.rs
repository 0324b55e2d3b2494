//! From a configuration to a database with today's schema.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

use sqlx::postgres::PgConnectOptions;
use wagate::config::{Config, Database};
use wagate::store::embedded::{Embedded, EmbeddedConfig, url_of};
use wagate::store::{ConnectError, MIGRATOR, Store};

use crate::support::database::{TestDatabase, scratch};

fn configured(url: &str) -> Database {
    Database { url: url.into(), ..Config::defaults().database }
}

async fn applied(store: &Store) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM _sqlx_migrations WHERE success").fetch_one(store.pool()).await.unwrap()
}

#[tokio::test]
async fn without_a_url_the_private_server_in_the_data_folder_is_used() {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let (store, embedded) = Store::open(&configured(""), folder.path()).await.unwrap();
    assert_eq!(applied(&store).await, i64::try_from(MIGRATOR.iter().count()).unwrap());
    assert!(folder.path().join("postgres/cluster/PG_VERSION").is_file());
    store.pool().close().await;
    embedded.expect("it is ours").stop().await;
}

#[tokio::test]
async fn a_url_is_used_and_nothing_is_written_to_the_data_folder() {
    let database = TestDatabase::fresh().await;
    let folder = tempfile::tempdir().unwrap();
    let (store, embedded) = Store::open(&configured(database.url()), folder.path()).await.unwrap();
    assert!(embedded.is_none());
    assert!(applied(&store).await > 0);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn nodes_that_start_together_migrate_once() {
    let database = TestDatabase::fresh().await;
    sqlx::raw_sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public").execute(database.pool()).await.unwrap();
    let settings = configured(database.url());
    let connect = || Store::connect(database.options(), &settings, None);
    let (one, two, three, four) = tokio::join!(connect(), connect(), connect(), connect());
    for store in [one, two, three, four] {
        assert_eq!(applied(&store.unwrap()).await, i64::try_from(MIGRATOR.iter().count()).unwrap());
    }
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_refused_unchanged() {
    let database = TestDatabase::fresh().await;
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (99990101, 'from the future', true, '', 0)",
    )
    .execute(database.pool())
    .await
    .unwrap();
    let before = applied(database.store()).await;
    let error = Store::connect(database.options(), &configured(database.url()), None).await.unwrap_err();
    assert!(matches!(error, ConnectError::NewerSchema { version: 99_990_101 }), "{error:?}");
    assert!(error.to_string().contains("used by a newer one"), "{error}");
    assert_eq!(applied(database.store()).await, before);
}

#[tokio::test]
async fn what_time_cannot_mend_is_reported_at_once() {
    let database = TestDatabase::fresh().await;
    let started = Instant::now();
    let options = database.options().database("no_such_database");
    let error = Store::connect(options, &configured(""), None).await.unwrap_err();
    assert!(matches!(error, ConnectError::Refused { .. }), "{error:?}");
    assert!(started.elapsed() < Duration::from_secs(20), "it waited");
}

#[tokio::test]
async fn a_server_that_is_not_there_yet_is_waited_for() {
    let folder = tempfile::tempdir_in(scratch()).unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o711)).unwrap();
    let config = EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder.path().join("postgres")) };
    let options: PgConnectOptions = url_of(&config.data_dir.join("run"), "postgres").parse().unwrap();
    let settings = configured("");
    let (store, embedded) = tokio::join!(Store::connect(options, &settings, None), Embedded::start(config));
    let (store, embedded) = (store.unwrap(), embedded.unwrap());
    assert!(applied(&store).await > 0);
    store.pool().close().await;
    embedded.stop().await;
}
