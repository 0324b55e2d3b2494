//! One node of a gateway on a test's database: its cluster lease, its supervisor, no HTTP.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;
use wagate::cluster::{Cluster, NodeSettings};
use wagate::config::{self, Config};
use wagate::domain::clock::{Clock, ManualClock, SystemClock};
use wagate::domain::instance::InstanceId;
use wagate::domain::session::Desired;
use wagate::engine::Engine;
use wagate::media::library::Library;
use wagate::store::vault::Vault;
use wagate::store::{Store, lease, session};
use wagate::supervisor::{Supervisor, SupervisorDeps};

/// How long a test waits for anything in real time.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) fn midnight() -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000)
}

/// The vault of every node of a test: they share a key, as nodes of one database do.
async fn vault(store: &Store) -> Vault {
    let folder = tempfile::tempdir().expect("a folder is made");
    let file = folder.path().join("vault.key");
    std::fs::write(&file, STANDARD.encode([7; 32])).expect("the key is written");
    let keys = config::Vault { keys: [("tests".to_owned(), file)].into(), active: String::new() };
    Vault::open(&keys, folder.path(), store.pool()).await.expect("the vault opens")
}

pub(crate) struct TestNode {
    pub(crate) supervisor: Supervisor,
    pub(crate) cluster: Cluster,
    pub(crate) token: CancellationToken,
    pub(crate) tracker: TaskTracker,
}

impl TestNode {
    /// Starts one. Sessions go by `clock`; the node's own lease goes by `node_clock`.
    pub(crate) async fn start(
        store: &Store,
        engine: Arc<dyn Engine>,
        clock: &ManualClock,
        node_clock: Arc<dyn Clock>,
        seed: u64,
    ) -> Self {
        let config = Config::defaults();
        let settings = NodeSettings::from_config(&config.node, format!("node-{seed}"), format!("127.0.0.1:{seed}"));
        Self::start_with(store, engine, clock, node_clock, seed, settings, config).await
    }

    pub(crate) async fn start_with(
        store: &Store,
        engine: Arc<dyn Engine>,
        clock: &ManualClock,
        node_clock: Arc<dyn Clock>,
        seed: u64,
        settings: NodeSettings,
        config: Config,
    ) -> Self {
        let tracker = TaskTracker::new();
        let token = CancellationToken::new();
        let (cluster, task) = Cluster::new(store.clone(), node_clock, settings, seed);
        tracker.spawn(task.run(token.clone()));
        let mut tenures = cluster.tenures();
        tokio::time::timeout(PATIENCE, tenures.wait_for(Option::is_some))
            .await
            .expect("the node registers in time")
            .expect("the cluster lives");
        let vault = Arc::new(vault(store).await);
        let deps = SupervisorDeps {
            store: store.clone(),
            engine,
            clock: Arc::new(clock.clone()),
            config: Arc::new(config),
            cluster: cluster.clone(),
            library: Arc::new(library(store, Arc::clone(&vault))),
            vault,
            seed,
        };
        let supervisor = Supervisor::spawn(deps, &tracker, token.clone());
        Self { supervisor, cluster, token, tracker }
    }

    pub(crate) async fn start_simple(store: &Store, engine: Arc<dyn Engine>, clock: &ManualClock, seed: u64) -> Self {
        Self::start(store, engine, clock, Arc::new(SystemClock), seed).await
    }

    /// A soft stop, to its end.
    pub(crate) async fn stop(self) {
        self.token.cancel();
        self.tracker.close();
        tokio::time::timeout(PATIENCE, self.tracker.wait()).await.expect("the node stops in time");
    }
}

/// A library in a folder that is gone: nothing here has files.
fn library(store: &Store, vault: Arc<Vault>) -> Library {
    let folder = tempfile::tempdir().expect("a folder is made");
    Library::open(&Config::defaults().media, folder.path(), store.clone(), vault).expect("the library opens")
}

/// Creates instances of one account, as the API's transaction does.
pub(crate) async fn create(store: &Store, desired: Desired, count: usize, seed: u64) -> Vec<InstanceId> {
    let mut rng = StdRng::seed_from_u64(seed);
    let account = Uuid::from_u128(u128::from(seed) + 1);
    let mut tx = store.begin().await.expect("a transaction");
    sqlx::query("INSERT INTO account (id, name, created_at) VALUES ($1, 'shop', now()) ON CONFLICT DO NOTHING")
        .bind(account)
        .execute(&mut *tx)
        .await
        .expect("the account is inserted");
    let mut ids = Vec::new();
    for _ in 0..count {
        let id = InstanceId::generate(&mut rng);
        sqlx::query("INSERT INTO instance (id, account_id, name, created_at) VALUES ($1, $2, 'shop', now())")
            .bind(id.as_str())
            .bind(account)
            .execute(&mut *tx)
            .await
            .expect("the instance is inserted");
        session::insert(&mut tx, id, desired, midnight()).await.expect("the session is inserted");
        lease::insert(&mut tx, id).await.expect("the lease is inserted");
        ids.push(id);
    }
    tx.commit().await.expect("the transaction commits");
    ids
}

/// Says of instances that were just created that a phone had linked them.
pub(crate) async fn mark_linked(store: &Store, ids: &[InstanceId]) {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    sqlx::query("UPDATE session SET linked = true WHERE instance_id = ANY($1)")
        .bind(&ids)
        .execute(store.pool())
        .await
        .expect("the sessions are updated");
}

/// Waits in real time until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !condition().await {
        assert!(tokio::time::Instant::now() < deadline, "in vain: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
