//! A stand-in WhatsApp network: what Stripe's test mode is to payments.
//!
//! It speaks the protocol a client speaks with WhatsApp (WebSocket, Noise, binary XML, pairing) and has phones that scan
//! a QR *value*, so that tests, demos and the CI of whoever builds on the gateway run the true engine from the first
//! code to the linked device. Faults on demand bring the bad days: refused connections, silence, bans.
//!
//! It proves nothing about WhatsApp itself: its words are the client library's own codec, so a mistake the two share
//! stays hidden. It keeps the keys of its phones in plain files, asks for no credential, and therefore listens on
//! loopback only; it exists only in the build flavour `sandbox`, which cannot reach WhatsApp.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rand::rngs::StdRng;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;
use tracing::info;

use crate::domain::clock::Clock;

mod answers;
mod app_state;
mod archive;
mod bootstrap;
mod connection;
mod control;
mod device;
mod fault;
mod listener;
mod messages;
mod network;
mod noise;
mod passkey;
mod phone;
pub(crate) mod qr_value;
mod round;
mod stanza;
mod stranger;
mod type_code;
mod wire;

pub use app_state::ChatMarks;
pub use archive::ArchiveError;
pub use device::DeviceId;
pub use fault::{FaultId, FaultKind, FaultSpec};
pub use messages::{Content, GroupView, InboxItem, MessageError, Noted, OutboxItem, Said, SentView};
pub use network::{DeviceView, PhoneError, PhoneView, ScanError};

use archive::{Archive, Archivist};
use listener::Listener;
use network::Network;
use noise::ServerIdentity;

/// How a sandbox is set up.
pub struct SandboxConfig {
    /// Where it listens: a loopback address; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where its phones and devices are kept; `None` keeps them in memory only.
    pub data_dir: Option<PathBuf>,
    /// Its time.
    pub clock: Arc<dyn Clock>,
    /// Its chance: keys, references, numbers.
    pub rng: StdRng,
}

/// Why a sandbox could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SandboxError {
    /// It would be reachable by others.
    #[error("the sandbox asks for no credential: it listens on loopback only, not on {0}")]
    NotLoopback(SocketAddr),
    /// The address could not be bound.
    #[error("the sandbox could not listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// What an earlier sandbox left could not be read.
    #[error("the sandbox could not use its data folder")]
    Archive(#[from] ArchiveError),
}

/// Starts sandboxes.
#[derive(Debug, Clone, Copy)]
pub struct Sandbox;

impl Sandbox {
    /// Starts a sandbox on the ambient multi-thread runtime. It listens when this returns.
    pub async fn start(config: SandboxConfig) -> Result<SandboxHandle, SandboxError> {
        let SandboxConfig { listen, data_dir, clock, mut rng } = config;
        if !listen.ip().is_loopback() {
            return Err(SandboxError::NotLoopback(listen));
        }
        let failed = |source| SandboxError::Listen { address: listen, source };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let archive = data_dir.map(Archive::open).transpose()?;
        let (server, accounts) = match &archive {
            Some(archive) => (recall_server(archive, &mut rng)?, archive.accounts()?),
            None => (ServerIdentity::generate(&mut rng), Vec::new()),
        };
        let network = Arc::new(Network::new(clock, rng, server, accounts));
        network.media.open(local_addr, archive.as_ref().map(Archive::media_folder));
        if let Some(archive) = &archive {
            recall_messages(archive, &network)?;
        }
        let token = CancellationToken::new();
        let tracker = TaskTracker::new();
        let task = Listener { tcp: listener, local_addr, network: Arc::clone(&network), tracker: tracker.clone() };
        tracker.spawn(task.run(token.clone()));
        let keeping = CancellationToken::new();
        let archivist = archive.map(|archive| {
            let task = Archivist { network: Arc::clone(&network), archive };
            tokio::spawn(task.run(keeping.clone()))
        });
        info!(sandbox.address = %local_addr, "sandbox network listening");
        Ok(SandboxHandle {
            network,
            local_addr,
            token: token.drop_guard(),
            tracker,
            keeping: keeping.drop_guard(),
            archivist,
        })
    }
}

fn recall_server(archive: &Archive, rng: &mut StdRng) -> Result<ServerIdentity, ArchiveError> {
    if let Some(server) = archive.server()? {
        return Ok(server);
    }
    let server = ServerIdentity::generate(rng);
    archive.keep_server(&server)?;
    Ok(server)
}

fn recall_messages(archive: &Archive, network: &Network) -> Result<(), ArchiveError> {
    for record in archive.mail()? {
        if !network.restore_mail(record) {
            return Err(archive.broken_mail());
        }
    }
    if let Some(groups) = archive.groups()? {
        network.restore_groups(groups);
    }
    Ok(())
}

/// A running sandbox. Its methods do what the control API does, in process. Dropping it ends it too, in its own time.
pub struct SandboxHandle {
    network: Arc<Network>,
    local_addr: SocketAddr,
    token: DropGuard,
    tracker: TaskTracker,
    keeping: DropGuard,
    archivist: Option<JoinHandle<()>>,
}

impl SandboxHandle {
    /// Where the control API is reached.
    pub fn url(&self) -> String {
        format!("http://{}", self.local_addr)
    }

    /// Where clients connect.
    pub fn websocket_url(&self) -> String {
        format!("ws://{}/ws/chat", self.local_addr)
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Makes a phone, with a number of its own if none is given.
    pub fn add_phone(&self, number: Option<&str>, name: Option<&str>) -> Result<PhoneView, PhoneError> {
        self.network.add_phone(number.map(ToOwned::to_owned), name.map(ToOwned::to_owned))
    }

    /// Lets a phone scan a QR value. Returns once the device has proven its side of the link.
    pub async fn scan(&self, number: &str, value: &str) -> Result<DeviceId, ScanError> {
        self.network.scan(number, value).await
    }

    /// Types a code into a phone. Returns once the device has proven its side of the link.
    pub async fn type_code(&self, number: &str, code: &str) -> Result<DeviceId, ScanError> {
        self.network.type_code(number, code).await
    }

    /// Removes devices from an account, all of them if none is named. Returns how many; `None` without such a phone.
    pub fn unlink(&self, number: &str, device: Option<&DeviceId>) -> Option<usize> {
        self.network.unlink(number, device)
    }

    /// Every linked device, ordered by account and number.
    pub fn devices(&self) -> Vec<DeviceView> {
        self.network.devices()
    }

    /// Lets a phone send a message to a number, an address or a group.
    pub fn send(&self, number: &str, to: &str, content: &Content) -> Result<SentView, MessageError> {
        self.network.send(number, to, content)
    }

    /// What a phone has received, oldest first.
    pub fn inbox(&self, number: &str) -> Result<Vec<InboxItem>, MessageError> {
        self.network.inbox(number)
    }

    /// What a phone has sent, oldest first.
    pub fn outbox(&self, number: &str) -> Result<Vec<OutboxItem>, MessageError> {
        self.network.outbox(number)
    }

    /// The file of a message that a phone has received, decrypted.
    pub fn file(&self, number: &str, id: &str) -> Result<Vec<u8>, MessageError> {
        self.network.file(number, id)
    }

    /// Who typed to a phone, oldest first.
    pub fn noted(&self, number: &str) -> Result<Vec<Noted>, MessageError> {
        self.network.noted(number)
    }

    /// Takes a phone off the network or back on it; false if there is no such phone.
    pub fn set_online(&self, number: &str, online: bool) -> bool {
        self.network.set_online(number, online)
    }

    /// A phone says that its owner has read these messages, or all. Returns how many; `None` without such a phone.
    pub fn read(&self, number: &str, messages: Option<&[String]>) -> Option<usize> {
        self.network.read(number, messages)
    }

    /// Sets the picture of a phone's account, given as base64, or takes it away. Where it is, if it is.
    pub fn set_picture(&self, number: &str, data: Option<&str>) -> Result<Option<String>, MessageError> {
        self.network.set_picture(number, data)
    }

    /// How a phone shows the chats that a device of its account has marked, by their addresses.
    pub fn chats(&self, number: &str) -> Option<BTreeMap<String, ChatMarks>> {
        self.network.chats(number)
    }

    /// Every group, ordered by address.
    pub fn groups(&self) -> Vec<GroupView> {
        self.network.group_views()
    }

    /// A phone makes a group.
    pub fn create_group(
        &self,
        creator: &str,
        subject: &str,
        participants: &[String],
    ) -> Result<GroupView, MessageError> {
        self.network.create_group(creator, subject, participants)
    }

    /// Adds a fault; it begins at once.
    pub fn add_fault(&self, spec: &FaultSpec) -> FaultId {
        self.network.add_fault(spec)
    }

    /// Ends a fault; false if there is none of that id.
    pub fn remove_fault(&self, id: FaultId) -> bool {
        self.network.remove_fault(id)
    }

    /// Lets codes rotate `factor` (1 to 10 000) times faster than WhatsApp's, those on screen included.
    pub fn set_rotation_factor(&self, factor: f64) {
        self.network.set_factor(factor.clamp(1.0, 10_000.0));
    }

    /// Closes every connection, keeps what has changed and ends every task.
    pub async fn shutdown(self) {
        drop(self.token);
        self.tracker.close();
        self.tracker.wait().await;
        drop(self.keeping);
        if let Some(archivist) = self.archivist {
            // It can only fail by a panic, which the runtime has reported.
            let _ = archivist.await;
        }
    }
}
