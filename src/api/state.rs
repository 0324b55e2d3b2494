//! What every handler shares.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use chrono::TimeDelta;
use parking_lot::{Mutex, RwLock};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::cluster::forward::Forwarder;
use crate::config::Config;
use crate::domain::account::AccountId;
use crate::domain::clock::Clock;
use crate::domain::instance::InstanceId;
use crate::domain::lease::NodeId;
use crate::limit::{AddressKey, KeyedLimiter, Policy, Ticks};
use crate::media::fetch::Fetcher;
use crate::media::library::Library;
use crate::store::vault::Vault;
use crate::store::{Store, StoreError, instance};
use crate::telemetry::metrics::HttpMeter;
use crate::webhook::sender::Sender;

use super::auth::Rounds;
use super::cors::Origins;
use super::dashboard::{OwnPages, Visits};
use super::error::ApiError;
use super::extract::{InvalidNetwork, TrustedProxies};
use super::routes::{self, Route};
use super::sessions::Sessions;
use super::stream::Streams;
use super::tokens::{LOOKUP, Tokens};

/// Bodies of a file in base64 that are in memory at one time.
const LARGE_BODIES: usize = 2;

/// Instances whose account is remembered at once.
const MAX_OWNERS: usize = 65_536;

/// What a gateway's API is made of.
pub struct ApiParts<'a> {
    /// Limits and trusted proxies are taken from it.
    pub config: &'a Config,
    /// The database.
    pub store: Store,
    /// What secrets that are told again are sealed with.
    pub vault: Arc<Vault>,
    /// The files of messages.
    pub library: Arc<Library>,
    /// Fetches files from addresses.
    pub fetcher: Fetcher,
    /// The running sessions.
    pub sessions: Arc<dyn Sessions>,
    /// The way to other nodes.
    pub forwarder: Forwarder,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The time limits go by.
    pub ticks: Ticks,
    /// Makes the requests of tests of webhooks.
    pub webhooks: Sender,
    /// Draws tokens and ids; seeded from the system's entropy in the product.
    pub rng: StdRng,
    /// What this node is called in answers.
    pub server_name: String,
    /// The id this node is registered under, while it is.
    pub node: Arc<dyn Fn() -> Option<NodeId> + Send + Sync>,
    /// The address people reach this gateway at, without a slash at its end.
    pub public_url: String,
}

/// What every handler shares; one for all workers.
pub struct ApiState {
    pub(crate) store: Store,
    pub(crate) vault: Arc<Vault>,
    pub(crate) library: Arc<Library>,
    pub(crate) fetcher: Fetcher,
    pub(crate) sessions: Arc<dyn Sessions>,
    pub(crate) forwarder: Forwarder,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) server_name: String,
    pub(crate) node: Arc<dyn Fn() -> Option<NodeId> + Send + Sync>,
    pub(crate) public_url: String,
    pub(crate) idempotency_key_ttl: TimeDelta,
    /// How long a message may wait unless its sender says otherwise, and how long it is remembered.
    pub(crate) message_ttl: TimeDelta,
    pub(crate) message_retention: TimeDelta,
    pub(crate) webhooks: Sender,
    pub(crate) webhooks_per_account: u32,
    pub(crate) source_url: String,
    pub(crate) tokens: Tokens,
    pub(crate) qr_limit: KeyedLimiter<(Uuid, InstanceId)>,
    pub(crate) operator_limit: KeyedLimiter<Uuid>,
    pub(crate) link_code_limit: KeyedLimiter<InstanceId>,
    pub(crate) contact_limit: KeyedLimiter<InstanceId>,
    pub(crate) failures: KeyedLimiter<AddressKey>,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(in crate::api) rounds: Rounds,
    /// Bodies that are read into memory although they are large.
    pub(crate) large_bodies: Semaphore,
    pub(in crate::api) streams: Arc<Streams>,
    /// Those of link pages: strangers who hold a link must not take the place of an account's own.
    pub(in crate::api) pages: Arc<Streams>,
    /// The control API of the sandbox that runs inside this gateway, if one does.
    #[cfg(feature = "sandbox")]
    pub(in crate::api) sandbox: Option<String>,
    /// The web origins whose pages may read answers.
    pub(crate) origins: Origins,
    pub(in crate::api) visits: Visits,
    /// Where this gateway's own pages are.
    pub(crate) own_pages: OwnPages,
    /// The account that may be entered without a key from this machine.
    pub(in crate::api) loopback_account: Option<AccountId>,
    pub(crate) meter: HttpMeter,
    pub(crate) ticks: Ticks,
    /// Whose an instance is never changes, and its id is never issued again: no entry can become wrong.
    owners: RwLock<HashMap<InstanceId, AccountId>>,
    rng: Mutex<StdRng>,
}

impl ApiState {
    /// Puts the parts together. `Err` names an entry of `server.trusted_proxies`.
    pub fn new(parts: ApiParts<'_>) -> Result<Self, InvalidNetwork> {
        let limits = &parts.config.limits;
        let qr = Policy::per_second("qr", limits.qr_per_second, limits.qr_burst);
        let link_code =
            Policy::per_minute("link-code", limits.link_codes_per_minute).with_burst(limits.link_code_burst);
        let contacts =
            Policy::per_minute("contacts", limits.contact_lookups_per_minute).with_burst(limits.contact_lookup_burst);
        let failures = Policy::per_minute("auth", limits.failed_auth_per_minute);
        let tokens = Tokens::new(limits, parts.ticks.clone());
        let policies = [tokens.policy().name, LOOKUP, qr.name, contacts.name, failures.name];
        Ok(Self {
            meter: HttpMeter::new(
                routes::table().into_iter().chain(routes::list(super::link::add)).map(|route| route.path),
                policies,
            ),
            ticks: parts.ticks.clone(),
            tokens,
            qr_limit: KeyedLimiter::new(qr, parts.ticks.clone()),
            operator_limit: KeyedLimiter::new(
                Policy::per_second("api", limits.api_per_second, limits.api_burst),
                parts.ticks.clone(),
            ),
            link_code_limit: KeyedLimiter::new(link_code, parts.ticks.clone()),
            contact_limit: KeyedLimiter::new(contacts, parts.ticks.clone()),
            failures: KeyedLimiter::new(failures, parts.ticks.clone()),
            trusted_proxies: TrustedProxies::parse(&parts.config.server.trusted_proxies)?,
            store: parts.store,
            vault: parts.vault,
            library: parts.library,
            fetcher: parts.fetcher,
            sessions: parts.sessions,
            forwarder: parts.forwarder,
            clock: parts.clock,
            server_name: parts.server_name,
            node: parts.node,
            idempotency_key_ttl: TimeDelta::from_std(limits.idempotency_key_ttl).unwrap_or(TimeDelta::MAX),
            message_ttl: TimeDelta::from_std(parts.config.messages.ttl).unwrap_or(TimeDelta::MAX),
            message_retention: TimeDelta::from_std(parts.config.messages.retention).unwrap_or(TimeDelta::MAX),
            webhooks: parts.webhooks,
            webhooks_per_account: limits.webhooks_per_account,
            source_url: parts.config.server.source_url.clone(),
            rounds: Rounds::default(),
            large_bodies: Semaphore::new(LARGE_BODIES),
            streams: Arc::new(Streams::new(&parts.config.events)),
            pages: Arc::new(Streams::new(&parts.config.events)),
            #[cfg(feature = "sandbox")]
            sandbox: None,
            origins: Origins::default(),
            visits: Visits::new(limits, parts.ticks.clone()),
            own_pages: OwnPages::new(&parts.public_url),
            public_url: parts.public_url,
            loopback_account: Uuid::try_parse(&parts.config.dashboard.loopback_account).ok().map(AccountId),
            owners: RwLock::default(),
            rng: Mutex::new(parts.rng),
        })
    }

    /// Whether an instance is the account's. A token's own instance was looked up with the token, and an account's is
    /// remembered once it was found; only what is not found costs a query every time, and always one.
    pub(crate) async fn owns(
        &self,
        account: AccountId,
        own: Option<InstanceId>,
        id: InstanceId,
    ) -> Result<bool, ApiError> {
        if own == Some(id) || self.owners.read().get(&id) == Some(&account) {
            return Ok(true);
        }
        let mut conn = self.store.acquire().await?;
        let found = instance::find(&mut conn, account, id).await?.is_some();
        if found {
            let mut owners = self.owners.write();
            if owners.len() >= MAX_OWNERS {
                owners.clear();
            }
            owners.insert(id, account);
        }
        Ok(found)
    }

    /// A gateway with its sandbox inside, whose link pages offer a phone of it.
    #[cfg(feature = "sandbox")]
    #[must_use]
    pub fn with_sandbox(self, control: Option<String>) -> Self {
        Self { sandbox: control, ..self }
    }

    /// Beside pages, whose requests are counted under these routes.
    #[must_use]
    pub fn with_pages(mut self, pages: &[Route]) -> Self {
        self.meter.count_too(pages.iter().map(|route| route.path));
        self
    }

    /// What the listeners did.
    pub fn meter(&self) -> &HttpMeter {
        &self.meter
    }

    /// How many tokens are remembered.
    pub fn tokens_cached(&self) -> usize {
        self.tokens.len()
    }

    /// How many streams of events are open.
    pub fn streams_open(&self) -> usize {
        self.streams.len() + self.pages.len()
    }

    /// Ends every stream, now and from now on; before a server is asked to finish what is under way.
    pub fn end_streams(&self) {
        self.streams.end();
        self.pages.end();
    }

    /// Forgets an instance that was deleted.
    pub(crate) fn forget(&self, id: InstanceId) {
        self.owners.write().remove(&id);
        self.tokens.drop_instance(id);
        self.rounds.forget(id);
    }

    /// A generator of its own for one task, drawn from the state's.
    pub(crate) fn rng(&self) -> StdRng {
        StdRng::from_rng(&mut *self.rng.lock())
    }

    /// A new UUID of version 7: it sorts by time.
    pub(crate) fn uuid(&self) -> Uuid {
        let milliseconds = self.clock.now().timestamp_millis().unsigned_abs();
        let mut random = [0; 10];
        self.rng.lock().fill_bytes(&mut random);
        uuid::Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid()
    }

    /// Reads which tokens are alive; before the first request, so that none of them is taken for a guess.
    pub async fn load_tokens(&self) -> Result<(), StoreError> {
        self.tokens.load(&self.store, self.clock.now()).await
    }

    /// Reads what the database says.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    /// Forgets what is no longer needed and gives the memory back.
    pub(crate) fn prune(&self) {
        self.tokens.prune();
        self.qr_limit.prune();
        self.operator_limit.prune();
        self.link_code_limit.prune();
        self.contact_limit.prune();
        self.failures.prune();
        self.rounds.prune(self.clock.now());
    }
}

impl fmt::Debug for ApiState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ApiState").field("server_name", &self.server_name).finish_non_exhaustive()
    }
}
