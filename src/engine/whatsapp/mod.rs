//! The engine on `whatsapp-rust`: real WhatsApp, or the sandbox, through the same client.
//!
//! `docs/engine.md` holds what was learned about the library, and where each of its traps is guarded against.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use wacore::store::DevicePropsOverride;
use waproto::whatsapp::device_props::PlatformType;
use whatsapp_rust::bot::Bot;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;

use crate::config;
use crate::domain::chat_id::ChatId;
use crate::domain::clock::Clock;
use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::domain::profile::Profile;
use crate::store::vault::{InstanceCipher, Vault};
use crate::store::{Store, StoreError, engine_state, lease};

use super::{Engine, EngineError, EngineRun, EventSender, RunSpec};

pub mod backend;
mod directory;
mod files;
mod http;
mod inbox;
mod listener;
mod network;
mod outgoing;
mod run;
mod runtime;
mod silence;
mod version;

pub use network::Network;
pub use silence::SILENCED_TARGETS;

use backend::Backend;
use http::Http;
use inbox::{Hook, Inbox, Signals};
use listener::Listener;
use network::Dialer;
use run::{Keeping, Run};
use runtime::RunRuntime;
use version::Versions;

/// Makes WhatsApp clients.
pub struct WhatsApp {
    store: Store,
    vault: Arc<Vault>,
    config: config::Engine,
    clock: Arc<dyn Clock>,
    runtime: Handle,
    dialer: Arc<TokioWebSocketTransportFactory>,
    http: Http,
    versions: Arc<Versions>,
}

impl WhatsApp {
    /// An engine on `network`. Every client's tasks run on `runtime`, which must be the multi-threaded one.
    pub fn new(
        store: Store,
        vault: Arc<Vault>,
        network: &Network,
        config: config::Engine,
        clock: Arc<dyn Clock>,
        runtime: Handle,
    ) -> Result<Self, EngineError> {
        let refused = |cause: &str| EngineError::Build { cause: cause.to_owned() };
        if let Some(cause) = network.refusal() {
            return Err(refused(cause));
        }
        let configured = match config.wa_version.as_str() {
            "" => None,
            text => {
                Some(version::parse(text).ok_or_else(|| refused("engine.wa_version is not like 2.3000.1023456789"))?)
            }
        };
        let http = network.http(config.request_timeout);
        let versions = Arc::new(Versions::new(configured, config.wa_version_refresh, http.clone(), Arc::clone(&clock)));
        Ok(Self { store, vault, config, clock, runtime, dialer: network.dialer(), http, versions })
    }

    /// The instance's cipher, read anew: another node may have replaced the key since this one last had the lease.
    async fn cipher(&self, id: InstanceId) -> Result<InstanceCipher, EngineError> {
        let storage = |source| EngineError::Storage { action: "unlocked", source };
        self.vault.forget(id);
        let mut conn = self.store.acquire().await.map_err(|error| storage(Box::new(error)))?;
        self.vault.cipher(&mut conn, id).await.map_err(|error| storage(Box::new(error)))
    }
}

#[async_trait]
impl Engine for WhatsApp {
    async fn start(&self, spec: RunSpec, events: EventSender) -> Result<Arc<dyn EngineRun>, EngineError> {
        let id = spec.instance_id;
        let storage = |source: StoreError| EngineError::Storage { action: "opened", source: Box::new(source) };
        let mut transaction = self.store.begin().await.map_err(storage)?;
        if !lease::hold(&mut transaction, id, spec.fence).await.map_err(storage)? {
            return Err(EngineError::LeaseLost);
        }
        transaction.rollback().await.map_err(StoreError::while_("end a look at the lease")).map_err(storage)?;

        let version = self.versions.current().await;
        let cipher = self.cipher(id).await?;
        let backend = Arc::new(Backend::new(self.store.clone(), id, spec.fence, cipher.clone()));
        let runtime = RunRuntime::new(self.runtime.clone());
        let (listener, said) = Listener::new(
            id,
            self.config.device_name.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.versions),
            runtime.clone(),
        );
        let dialer = Dialer {
            inner: Arc::clone(&self.dialer),
            timeout: self.config.connect_timeout,
            listener: Arc::clone(&listener),
        };
        let inbox = Inbox::new(
            (id, spec.fence),
            self.store.clone(),
            cipher,
            Arc::clone(&self.clock),
            Arc::clone(&backend),
            self.config.device_name.clone(),
        );
        let spoiled = backend.spoiled();
        let device = DevicePropsOverride::new()
            .with_os(self.config.device_name.clone())
            .with_platform_type(PlatformType::CHROME);
        let bot = Bot::builder()
            .with_backend_arc(backend)
            .with_transport_factory(dialer)
            .with_http_client(self.http.clone())
            .with_runtime(runtime.clone())
            .with_event_handler(Heard(Arc::clone(&listener)))
            .with_version(version)
            .with_device_props(device)
            .with_wanted_pre_key_count(usize::try_from(self.config.prekeys).unwrap_or(usize::MAX))
            .skip_history_sync()
            .with_inbound_durability_hook(Hook(Arc::clone(&inbox)))
            .build()
            .await;
        let bot = match bot {
            Ok(bot) => bot,
            Err(error) => {
                runtime.end().await;
                return Err(build_error(error));
            }
        };
        let keeping = Keeping { inbox: Arc::clone(&inbox), spoiled, written: CancellationToken::new() };
        runtime.start(Signals::new(inbox, &bot.client(), said.signals).run(keeping.written.clone()));
        let heard = (listener, said.events);
        let run = (spec.run_id, id);
        let bot = (bot, self.http.clone());
        Ok(Run::begin(run, bot, heard, keeping, runtime, events, self.config.request_timeout))
    }

    async fn linked(&self, instance_id: InstanceId) -> Result<Option<Profile>, EngineError> {
        let storage = |source| EngineError::Storage { action: "read", source };
        let cipher = self.cipher(instance_id).await?;
        let mut conn = self.store.acquire().await.map_err(|e| storage(Box::new(e)))?;
        let device = backend::read_device(&mut conn, instance_id, &cipher).await.map_err(|e| storage(Box::new(e)))?;
        Ok(device.and_then(|device| listener::profile(&device, &self.config.device_name)))
    }

    async fn addresses(&self, instance_id: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, EngineError> {
        let storage = |source| EngineError::Storage { action: "read", source };
        let cipher = self.cipher(instance_id).await?;
        let mut conn = self.store.acquire().await.map_err(|e| storage(Box::new(e)))?;
        let other = backend::other_address(&mut conn, instance_id, &cipher, chat).await;
        let other = other.map_err(|e| storage(Box::new(e)))?;
        Ok(std::iter::once(chat.clone()).chain(other).collect())
    }

    async fn wipe(&self, instance_id: InstanceId, fence: Fence) -> Result<(), EngineError> {
        let storage = |source| EngineError::Storage { action: "wiped", source };
        let mut transaction = self.store.begin().await.map_err(|error| storage(Box::new(error)))?;
        if !lease::hold(&mut transaction, instance_id, fence).await.map_err(|error| storage(Box::new(error)))? {
            return Err(EngineError::LeaseLost);
        }
        engine_state::wipe(&mut transaction, instance_id).await.map_err(|error| storage(Box::new(error)))?;
        // Backups keep deleted rows; without the key they are noise.
        self.vault.shred(&mut transaction, instance_id).await.map_err(|error| storage(Box::new(error)))?;
        let committed = transaction.commit().await.map_err(StoreError::while_("commit the wipe"));
        self.vault.forget(instance_id);
        committed.map_err(|error| storage(Box::new(error)))
    }
}

impl fmt::Debug for WhatsApp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WhatsApp").field("config", &self.config).finish_non_exhaustive()
    }
}

/// The library owns its handlers; this one is shared with the run.
struct Heard(Arc<Listener>);

impl wacore::types::events::EventHandler for Heard {
    fn handle_event(&self, event: Arc<wacore::types::events::Event>) {
        self.0.handle_event(event);
    }

    fn interest(&self) -> wacore::types::events::EventInterest {
        self.0.interest()
    }
}

fn build_error(error: whatsapp_rust::bot::BotBuilderError) -> EngineError {
    use whatsapp_rust::bot::BotBuilderError;
    match error {
        BotBuilderError::Store(source) if is_lease_lost(&source) => EngineError::LeaseLost,
        BotBuilderError::Store(source) => EngineError::Storage { action: "opened", source: Box::new(source) },
        error => EngineError::Build { cause: error.to_string() },
    }
}

fn is_lease_lost(error: &wacore::store::error::StoreError) -> bool {
    let mut layer: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(current) = layer {
        if let Some(backend::BackendError::LeaseLost) = current.downcast_ref() {
            return true;
        }
        layer = current.source();
    }
    false
}
