//! A gateway in this process, on a database of its own, beside a sandbox network of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use secrecy::ExposeSecret;
use wagate::app::{Application, Network as Reached};
use wagate::config::Config;
use wagate::domain::clock::{Clock, SystemClock};
use wagate::domain::event::Logged;
use wagate::domain::instance::InstanceId;
use wagate::sandbox::SandboxHandle;
use wagate::store::event;
use wagate::store::vault::{InstanceCipher, Vault};

use super::client::Client;
use super::database::TestDatabase;
use super::network::Network;

/// A gateway and what belongs to it. Everything ends with it.
pub(crate) struct Gateway {
    pub(crate) database: Arc<TestDatabase>,
    pub(crate) network: Network,
    pub(crate) client: Client,
    /// The operator at the operator's listener.
    pub(crate) operator: Client,
    pub(crate) url: String,
    config: Config,
    clock: Arc<dyn Clock>,
    application: Option<Application>,
    sandbox: Option<SandboxHandle>,
    _data: tempfile::TempDir,
}

impl Gateway {
    /// With the defaults.
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    /// With changes to the defaults.
    pub(crate) async fn with(change: impl FnOnce(&mut Config)) -> Self {
        Self::on_clock(Arc::new(SystemClock), change).await
    }

    /// With a clock that the test moves.
    pub(crate) async fn on_clock(clock: Arc<dyn Clock>, change: impl FnOnce(&mut Config)) -> Self {
        let sandbox = wagate::app::start_sandbox(any_port(), None).await.expect("the sandbox starts");
        Self::on(Some(sandbox), clock, change).await
    }

    /// With the network inside, as `wagate demo` has it.
    pub(crate) async fn around_its_network(change: impl FnOnce(&mut Config)) -> Self {
        Self::on(None, Arc::new(SystemClock), change).await
    }

    async fn on(sandbox: Option<SandboxHandle>, clock: Arc<dyn Clock>, change: impl FnOnce(&mut Config)) -> Self {
        let database = TestDatabase::fresh().await;
        let data = tempfile::tempdir().expect("a folder is made");
        let mut config = Config::defaults();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        config.operator.listen = "127.0.0.1:0".parse().unwrap();
        config.server.workers = 1;
        config.data.dir = data.path().display().to_string();
        config.database.url = database.url().to_owned().into();
        // Each poll of a test is a request; limits have tests of their own.
        config.limits.qr_per_second = 1000;
        config.limits.qr_burst = 1000;
        config.limits.api_per_second = 10_000;
        config.limits.api_burst = 10_000;
        config.limits.messages_per_minute = 6_000;
        config.node.reconcile_interval = Duration::from_millis(500);
        // Prekeys are made one curve operation each, which unoptimised test builds feel.
        config.engine.prekeys = 10;
        change(&mut config);
        let reached = sandbox.as_ref().map_or(Reached::SandboxInside(any_port()), at);
        let application = build(&config, reached, &clock).await;
        let keys = application.first_start().expect("the database is empty");
        let key = keys.account_key.expose_secret().to_owned();
        let operator = Client::new(application.operator_url(), keys.operator_key.expose_secret());
        let url = application.url().to_owned();
        Self {
            network: Network::at(application.sandbox_url().expect("it talks to a sandbox")),
            client: Client::new(&url, &key),
            operator,
            url,
            database: Arc::new(database),
            config,
            clock,
            application: Some(application),
            sandbox,
            _data: data,
        }
    }

    /// Another node: a gateway of its own on the same database and network, with changes to the first one's configuration.
    pub(crate) async fn beside(&self, change: impl FnOnce(&mut Config)) -> Self {
        let data = tempfile::tempdir().expect("a folder is made");
        let mut config = self.config.clone();
        config.vault.keys = [("local".into(), Path::new(&self.config.data.dir).join("vault.key"))].into();
        config.data.dir = data.path().display().to_string();
        config.server.listen = "127.0.0.1:0".parse().unwrap();
        change(&mut config);
        let sandbox = self.sandbox.as_ref().expect("it runs");
        let application = build(&config, at(sandbox), &self.clock).await;
        let url = application.url().to_owned();
        Self {
            network: self.network.clone(),
            client: self.client.at(&url),
            operator: self.operator.at(application.operator_url()),
            url,
            database: Arc::clone(&self.database),
            config,
            clock: Arc::clone(&self.clock),
            application: Some(application),
            sandbox: None,
            _data: data,
        }
    }

    /// Everything in an instance's log.
    pub(crate) async fn log(&self, instance: &str) -> Vec<Logged> {
        let id = InstanceId::parse(instance).expect("it is an id");
        let mut conn = self.database.pool().acquire().await.expect("the database answers");
        event::page(&mut conn, &self.cipher(instance).await, id, 0, 100_000).await.expect("the log opens")
    }

    /// What the instance's values are sealed with.
    pub(crate) async fn cipher(&self, instance: &str) -> InstanceCipher {
        open_cipher(&self.database, Path::new(&self.config.data.dir), instance).await
    }

    /// Where the operator connects.
    pub(crate) fn operator_url(&self) -> &str {
        self.application.as_ref().expect("it runs").operator_url()
    }

    /// Where it keeps its files, the vault's key among them.
    pub(crate) fn data_dir(&self) -> PathBuf {
        self.application.as_ref().expect("it runs").data_dir().to_owned()
    }

    /// The encrypted files that the gateway keeps.
    pub(crate) fn kept_files(&self) -> Vec<PathBuf> {
        self.files("media/kept")
    }

    /// The encrypted files that wait to be sent.
    pub(crate) fn left_files(&self) -> Vec<PathBuf> {
        self.files("media/outgoing")
    }

    fn files(&self, folder: &str) -> Vec<PathBuf> {
        let kept = Path::new(&self.config.data.dir).join(folder);
        let folders = kept.read_dir().expect("it keeps files in a folder").map(|entry| entry.expect("it reads").path());
        folders
            .flat_map(|folder| folder.read_dir().expect("it reads"))
            .map(|entry| entry.expect("it reads").path())
            .collect()
    }

    /// Stops the gateway in order and starts it again on the same database and address.
    pub(crate) async fn restart(&mut self) {
        self.leave().await;
        self.come_back().await;
    }

    /// Stops the gateway in order; the network stays.
    pub(crate) async fn leave(&mut self) {
        self.application.take().expect("it runs").drain().await;
    }

    /// Starts the gateway again after it left.
    pub(crate) async fn come_back(&mut self) {
        let sandbox = self.sandbox.as_ref().expect("it runs");
        self.config.server.listen = self.url.trim_start_matches("http://").parse().expect("it is an address");
        self.application = Some(build(&self.config, at(sandbox), &self.clock).await);
    }

    /// Stops everything in order.
    pub(crate) async fn stop(mut self) {
        if let Some(application) = self.application.take() {
            application.drain().await;
        }
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.shutdown().await;
        }
    }
}

/// What an instance's values are sealed with, by the key in a gateway's data folder.
pub(crate) async fn open_cipher(database: &TestDatabase, data_dir: &Path, instance: &str) -> InstanceCipher {
    let vault = Vault::open(&Config::defaults().vault, data_dir, database.pool()).await.expect("the vault opens");
    let mut conn = database.pool().acquire().await.expect("the database answers");
    vault.cipher(&mut conn, InstanceId::parse(instance).expect("it is an id")).await.expect("there is a key")
}

fn any_port() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

fn at(sandbox: &SandboxHandle) -> Reached {
    Reached::SandboxAt(sandbox.url().parse().expect("it is an address"))
}

async fn build(config: &Config, reached: Reached, clock: &Arc<dyn Clock>) -> Application {
    Application::build(config.clone(), reached, Arc::clone(clock)).await.expect("the gateway starts")
}
