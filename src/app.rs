//! The composition root: the only file that knows every module. It builds the gateway from its configuration in the
//! order in which the parts need each other, serves until it is told to stop, and takes it down in the reverse order.

use std::future::Future;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::{Data, ServiceConfig};
use anyhow::Context;
use chrono::TimeDelta;
use rand::rngs::{StdRng, SysRng};
use rand::{Rng, SeedableRng};
use secrecy::zeroize::Zeroizing;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::api::erasure::Erasure;
use crate::api::upkeep::Upkeep;
use crate::api::{self, ApiParts, ApiState};
use crate::cluster::forward::Forwarder;
use crate::cluster::passport::NodeSecret;
use crate::cluster::{Boots, Cluster, NodeSettings};
use crate::config::{self, Config};
use crate::domain::clock::Clock;
use crate::domain::lease::NodeId;
use crate::engine::whatsapp::{self, WhatsApp};
use crate::lifecycle::Lifecycle;
use crate::limit::Ticks;
use crate::media::fetch::Fetcher;
use crate::media::library::Library;
use crate::outside::target::Guard;
use crate::store::embedded::Embedded;
use crate::store::event::{Keeper, Lookout};
use crate::store::vault::Vault;
use crate::store::{Store, StoreError, cluster_secret, node};
use crate::supervisor::{Supervisor, SupervisorDeps};
use crate::telemetry::metrics::{Exposition, Meters, Readings, WebhookMeter};
use crate::web;
use crate::webhook;
use crate::webhook::outbox::{Outbox, OutboxParts};
use crate::webhook::sender::Sender;
use crate::webhook::target::SystemNames;

pub(crate) mod data_dir;
mod first_start;

pub use first_start::FirstStart;

/// Connections that wait to be accepted, at most.
const BACKLOG: i32 = 1024;

/// Which network the gateway talks to. Each flavour of the build has only its own.
#[derive(Debug, Clone)]
pub enum Network {
    /// WhatsApp itself.
    #[cfg(not(feature = "sandbox"))]
    Live,
    /// A sandbox in this process, listening there; it keeps its phones in the data folder.
    #[cfg(feature = "sandbox")]
    SandboxInside(SocketAddr),
    /// A sandbox elsewhere on this host, at the address of its control API.
    #[cfg(feature = "sandbox")]
    SandboxAt(url::Url),
}

/// A gateway that is ready to serve.
pub struct Application {
    url: String,
    operator_url: String,
    sandbox_url: Option<String>,
    data_dir: PathBuf,
    first_start: Option<FirstStart>,
    lifecycle: Lifecycle,
    shutdown_timeout: Duration,
    servers: Vec<(ServerHandle, JoinHandle<std::io::Result<()>>)>,
    state: Data<ApiState>,
    store: Store,
    embedded: Option<Embedded>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<crate::sandbox::SandboxHandle>,
}

impl Application {
    /// Builds the gateway; returns when it serves. `Handle::current` must be the main, multi-threaded runtime.
    pub async fn build(config: Config, network: Network, clock: Arc<dyn Clock>) -> anyhow::Result<Self> {
        install_crypto_provider();
        let mut rng = chance();
        allow_open_files(config.server.max_connections);
        // The addresses first: of two gateways that want the same one, the second must fail before it touches anything.
        let public = listen(config.server.listen, "server.listen")?;
        let operator = listen(config.operator.listen, "operator.listen")?;
        let address = public.local_addr()?;
        let data_dir = data_dir::prepare(&config.data.dir)?;

        let (store, embedded) = Store::open(&config.database, &data_dir).await?;
        let vault = Arc::new(Vault::open(&config.vault, &data_dir, store.pool()).await?);
        let secret = node_secret(&store, &mut rng).await?;
        let first_start = FirstStart::of(&store, clock.now(), &mut rng).await?;

        let lifecycle = Lifecycle::default();
        keep_event_logs(&config.events, &store, &clock, &lifecycle).await;
        let network = reach(network, &data_dir).await?;
        let engine = WhatsApp::new(
            store.clone(),
            Arc::clone(&vault),
            &network.engine,
            config.engine.clone(),
            Arc::clone(&clock),
            Handle::current(),
        )?;

        let settings = node_settings(&config.node, address);
        let (cluster, node_task) = Cluster::new(store.clone(), Arc::clone(&clock), settings, rng.next_u64());
        let boots = inherit(&store, &data_dir.join("nodes"), &mut rng).await?;
        lifecycle.tasks.spawn(node_task.recorded_in(boots).run(lifecycle.stop.clone()));
        // Sessions are taken on under a tenure; until there is one the gateway is not ready.
        let _ = cluster.tenures().wait_for(Option::is_some).await;

        let config = Arc::new(config);
        let library = Arc::new(Library::open(&config.media, &data_dir, store.clone(), Arc::clone(&vault))?);
        let media_upkeep = crate::media::upkeep::Upkeep {
            library: Arc::clone(&library),
            clock: Arc::clone(&clock),
            retention: TimeDelta::from_std(config.media.retention).unwrap_or(TimeDelta::MAX),
        };
        lifecycle.tasks.spawn(media_upkeep.run(lifecycle.stop.clone()));

        let supervisor = Supervisor::spawn(
            SupervisorDeps {
                store: store.clone(),
                engine: Arc::new(engine),
                clock: Arc::clone(&clock),
                config: Arc::clone(&config),
                cluster: cluster.clone(),
                vault: Arc::clone(&vault),
                library: Arc::clone(&library),
                seed: rng.next_u64(),
            },
            &lifecycle.tasks,
            lifecycle.stop.clone(),
        );

        let (sessions, node) = (supervisor.clone(), cluster.clone());
        let sender = Sender::new(&config.webhook, Arc::new(SystemNames))?;
        let webhook_meter = WebhookMeter::default();
        let state = ApiState::new(ApiParts {
            config: &config,
            store: store.clone(),
            vault: Arc::clone(&vault),
            fetcher: fetcher(&config.media, &library)?,
            library,
            sessions: Arc::new(supervisor),
            forwarder: Forwarder::new(forward_timeout(&config.engine), secret)?,
            clock: Arc::clone(&clock),
            webhooks: sender.clone(),
            ticks: Ticks::monotonic(),
            rng: StdRng::from_rng(&mut rng),
            server_name: cluster.name().to_owned(),
            node: living_node(&cluster),
            public_url: public_url(&config.server, address),
        })?;
        let state = state.with_pages(&web::routes());
        #[cfg(feature = "sandbox")]
        let state = state.with_sandbox(network.sandbox.as_ref().map(crate::sandbox::SandboxHandle::url));
        let state = Data::new(state);
        state.load_tokens().await?;
        let erasure = Erasure { state: state.clone(), interval: config.limits.revocation_interval };
        lifecycle.tasks.spawn(erasure.run(lifecycle.stop.clone()));
        let upkeep = Upkeep { state: state.clone(), revocation_interval: config.limits.revocation_interval };
        lifecycle.tasks.spawn(upkeep.run(lifecycle.stop.clone()));

        let outbox = Outbox::new(OutboxParts {
            store: store.clone(),
            vault: Arc::clone(&vault),
            sender,
            clock: Arc::clone(&clock),
            node: living_node(&node),
            config: config.webhook.clone(),
            meter: webhook_meter.clone(),
            rng: StdRng::from_rng(&mut rng),
        });
        lifecycle.tasks.spawn(outbox.run(lifecycle.stop.clone()));
        let webhook_upkeep = webhook::upkeep::Upkeep {
            store: store.clone(),
            clock,
            config: config.webhook.clone(),
            meter: webhook_meter.clone(),
        };
        lifecycle.tasks.spawn(webhook_upkeep.run(lifecycle.stop.clone()));

        let exposition = Data::new(exposition(&state, &sessions, &store, &node, &webhook_meter));
        let configure_operator = move |state: &Data<ApiState>| api::configure_operator(state, &exposition);
        let operator_address = operator.local_addr()?;
        let servers = vec![
            serve(public, &config.server, config.server.workers, &state, configure_public)?,
            serve(operator, &config.server, 1, &state, configure_operator)?,
        ];
        Ok(Self {
            url: format!("http://{address}"),
            operator_url: format!("http://{operator_address}"),
            sandbox_url: network.url,
            data_dir,
            first_start,
            lifecycle,
            shutdown_timeout: config.server.shutdown_timeout,
            servers,
            state,
            store,
            embedded,
            #[cfg(feature = "sandbox")]
            sandbox: network.sandbox,
        })
    }

    /// Where clients connect, as `http://host:port`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Where the operator connects.
    pub fn operator_url(&self) -> &str {
        &self.operator_url
    }

    /// The sandbox's control API, if that is what the gateway talks to.
    pub fn sandbox_url(&self) -> Option<&str> {
        self.sandbox_url.as_deref()
    }

    /// The keys this start made, if it was the first.
    pub fn first_start(&self) -> Option<&FirstStart> {
        self.first_start.as_ref()
    }

    /// Where this gateway keeps its files.
    pub fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Serves until `stop` completes, or a server ends by itself, which is an error of the machine.
    pub async fn run_until(&mut self, stop: impl Future<Output = ()>) {
        let ended = futures_util::future::select_all(self.servers.iter_mut().map(|(_, server)| server));
        tokio::select! {
            () = stop => {}
            (outcome, _, _) = ended => error!(?outcome, "an HTTP server ended by itself"),
        }
    }

    /// Stops in order: no new requests, those under way finish, every client saves its state and leaves, every lease is
    /// released, the private database ends.
    pub async fn drain(mut self) {
        self.state.end_streams();
        for (handle, _) in &self.servers {
            handle.stop(true).await;
        }
        for (_, server) in self.servers.drain(..) {
            if server.is_finished() {
                continue;
            }
            if let Ok(Err(error)) = server.await {
                error!(%error, "an HTTP server ended badly");
            }
        }
        self.lifecycle.drain(self.shutdown_timeout).await;
        #[cfg(feature = "sandbox")]
        if let Some(sandbox) = self.sandbox.take() {
            sandbox.shutdown().await;
        }
        self.store.pool().close().await;
        if let Some(embedded) = self.embedded.take() {
            embedded.stop().await;
        }
        info!("stopped");
    }
}

/// The network as the engine takes it, and what belongs to it.
struct Reached {
    engine: whatsapp::Network,
    url: Option<String>,
    #[cfg(feature = "sandbox")]
    sandbox: Option<crate::sandbox::SandboxHandle>,
}

#[cfg(not(feature = "sandbox"))]
#[expect(clippy::unused_async, reason = "the other flavour starts a network")]
async fn reach(network: Network, _: &Path) -> anyhow::Result<Reached> {
    match network {
        Network::Live => Ok(Reached { engine: whatsapp::Network::Live, url: None }),
    }
}

#[cfg(feature = "sandbox")]
async fn reach(network: Network, data_dir: &Path) -> anyhow::Result<Reached> {
    let (control, sandbox) = match network {
        Network::SandboxInside(listen) => {
            let sandbox = start_sandbox(listen, Some(data_dir.join("sandbox"))).await?;
            (sandbox.url().parse::<url::Url>().context("the sandbox's address is an address")?, Some(sandbox))
        }
        Network::SandboxAt(url) => (url, None),
    };
    let mut socket = control.join("/ws/chat").context("the sandbox's address is not one")?;
    if socket.set_scheme("ws").is_err() {
        anyhow::bail!("a sandbox is at an http:// address of this host, not at {control}");
    }
    let url = control.as_str().trim_end_matches('/').to_owned();
    Ok(Reached { engine: whatsapp::Network::Sandbox(socket), url: Some(url), sandbox })
}

/// Starts a sandbox network on the machine's clock and chance.
#[cfg(feature = "sandbox")]
pub async fn start_sandbox(
    listen: SocketAddr,
    data_dir: Option<PathBuf>,
) -> Result<crate::sandbox::SandboxHandle, crate::sandbox::SandboxError> {
    use crate::domain::clock::SystemClock;
    use crate::sandbox::{Sandbox, SandboxConfig};

    Sandbox::start(SandboxConfig { listen, data_dir, clock: Arc::new(SystemClock), rng: chance() }).await
}

/// TLS needs its cryptography named once in a process, before the first HTTP client is made.
pub fn install_crypto_provider() {
    // An error says that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

/// A generator seeded by the operating system.
fn chance() -> StdRng {
    StdRng::try_from_rng(&mut SysRng).expect("the operating system gives random bytes")
}

/// Every connection is an open file, and the soft limit that most systems start a process with, 1,024, is far below what
/// may be open: it is raised to the hard one.
fn allow_open_files(connections: u32) {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};

    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return };
    let allowed = if setrlimit(Resource::RLIMIT_NOFILE, hard, hard).is_ok() { hard } else { soft };
    if allowed < u64::from(connections) {
        warn!(allowed, connections, "fewer files may be open than server.max_connections; raise the limit (ulimit -n)");
    }
}

fn listen(address: SocketAddr, key: &'static str) -> anyhow::Result<TcpListener> {
    use socket2::{Domain, Protocol, Socket, Type};

    let bind = || {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        socket.set_reuse_address(true)?;
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        std::io::Result::Ok(socket.into())
    };
    bind().with_context(|| format!("{address} cannot be listened on ({key}); is another gateway running?"))
}

/// Fetches what an account wants sent, from where it may be fetched.
fn fetcher(config: &config::Media, library: &Library) -> anyhow::Result<Fetcher> {
    let allowed = config.allow_private.iter().filter_map(|text| crate::domain::network::Network::parse(text));
    Fetcher::new(Guard::new(allowed), library.spool().clone(), Arc::new(SystemNames))
        .context("the client for files of others cannot be made")
}

/// The address in links, as `https://host/path` without a slash at its end.
fn public_url(config: &config::Server, address: SocketAddr) -> String {
    match config.public_url.trim_end_matches('/') {
        "" => format!("http://{address}"),
        url => url.to_owned(),
    }
}

fn node_settings(config: &config::Node, address: SocketAddr) -> NodeSettings {
    let name = match config.name.as_str() {
        "" => nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or("wagate".into()),
        name => name.to_owned(),
    };
    if config.advertise.is_empty() && address.ip().is_unspecified() {
        warn!("node.advertise is empty while listening on every address: other nodes could not reach this one");
    }
    let advertise = if config.advertise.is_empty() { address.to_string() } else { config.advertise.clone() };
    NodeSettings::from_config(config, name, advertise)
}

/// What the public listener serves. The API comes last: whatever nothing else took is answered there.
pub fn configure_public(state: &Data<ApiState>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let dashboard = api::configure_dashboard(state, web::dashboard::pages);
    let links = api::configure_links(state, web::link::pages);
    let api = api::configure(state);
    move |config: &mut ServiceConfig| {
        web::configure(config);
        links(config);
        dashboard(config);
        api(config);
    }
}

/// What `/metrics` tells: every meter, and what is read when it is asked for.
fn exposition(
    state: &Data<ApiState>,
    sessions: &Supervisor,
    store: &Store,
    cluster: &Cluster,
    webhooks: &WebhookMeter,
) -> Exposition {
    let meters = Meters {
        http: state.meter(),
        sessions: sessions.meter(),
        messages: sessions.message_meter(),
        pool: store.meter(),
        lease: cluster.meter(),
        events: store.events(),
        webhooks,
    };
    let (state, sessions, store, cluster) = (state.clone(), sessions.clone(), store.clone(), cluster.clone());
    Exposition::new(meters, move || {
        let census = sessions.census();
        Readings {
            sessions: census.by_status,
            sessions_desired: census.desired,
            logins_waiting: census.waiting,
            breaker_open: census.breaker_open,
            lease_trust: cluster.trust_left(),
            pool: store.reading(),
            tokens_cached: state.tokens_cached(),
            event_streams: state.streams_open(),
        }
    })
}

/// The id this node is registered under, while it is.
fn living_node(cluster: &Cluster) -> Arc<dyn Fn() -> Option<NodeId> + Send + Sync> {
    let cluster = cluster.clone();
    Arc::new(move || cluster.tenure().map(|tenure| tenure.node_id))
}

/// What this node and the others on its database know each other by.
async fn node_secret(store: &Store, rng: &mut StdRng) -> Result<NodeSecret, StoreError> {
    let mut drawn = Zeroizing::new([0; 32]);
    rng.fill_bytes(&mut *drawn);
    let mut conn = store.acquire().await?;
    Ok(NodeSecret::new(cluster_secret::read_or_keep(&mut conn, &drawn).await?))
}

/// How long the owner of an instance may take to answer: more than the longest wait a request may ask for, and than a
/// logout that has to connect first.
fn forward_timeout(engine: &config::Engine) -> Duration {
    Duration::from_secs(api::LONGEST_WAIT.into()).max(engine.connect_timeout) + Duration::from_secs(10)
}

/// Frees at once what nodes that died on this machine still hold, instead of waiting for their leases to run out.
async fn inherit(store: &Store, folder: &Path, rng: &mut StdRng) -> anyhow::Result<Boots> {
    let name = uuid::Builder::from_random_bytes(rand::RngExt::random(rng)).into_uuid();
    let (boots, dead) = Boots::open(folder, name)
        .with_context(|| format!("the records of this machine's nodes in {} cannot be read", folder.display()))?;
    if !dead.is_empty() {
        let mut conn = store.acquire().await?;
        let buried = node::bury(&mut conn, &dead).await?;
        Boots::bury(folder).context("the records of dead nodes cannot be removed")?;
        info!(nodes = buried, "freed what a node that died on this machine held");
    }
    Ok(boots)
}

/// Sees that the event logs have their days, before anything is logged, and that listeners hear of other nodes' events.
async fn keep_event_logs(config: &config::Events, store: &Store, clock: &Arc<dyn Clock>, lifecycle: &Lifecycle) {
    let keeper = Keeper { store: store.clone(), clock: Arc::clone(clock), retention: config.retention };
    if let Err(error) = keeper.turn().await {
        warn!(error = &error as &dyn std::error::Error, "the days of the event log could not be kept and will be");
    }
    lifecycle.tasks.spawn(keeper.run(lifecycle.stop.clone()));
    let lookout = Lookout { store: store.clone(), clock: Arc::clone(clock) };
    lifecycle.tasks.spawn(lookout.run(lifecycle.stop.clone()));
}

/// Starts an HTTP server on a listener of ours. Its workers are threads of their own.
fn serve<F>(
    listener: TcpListener,
    config: &config::Server,
    workers: usize,
    state: &Data<ApiState>,
    configure: impl Fn(&Data<ApiState>) -> F + Send + Clone + 'static,
) -> anyhow::Result<(ServerHandle, JoinHandle<std::io::Result<()>>)>
where
    F: FnOnce(&mut ServiceConfig),
{
    let state = state.clone();
    let server = api::serve(listener, config, workers, move || configure(&state))?;
    Ok((server.handle(), tokio::spawn(server)))
}
