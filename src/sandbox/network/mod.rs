//! What the network knows: phones, linked devices, open sockets, faults. One lock, held for moments, never over an await.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::archive::AccountRecord;
use super::device::{Device, DeviceId};
use super::fault::Faults;
use super::messages::{MediaStore, Post};
use super::noise::ServerIdentity;
use super::phone::Phone;
use crate::domain::clock::Clock;

mod account;
mod disruption;
mod linking;
mod sockets;
mod typing;

pub(super) use disruption::Refusal;
pub(super) use linking::LinkRequest;
pub use linking::{PhoneError, ScanError};
pub(super) use sockets::{Command, End, Socket, SocketId};
pub(super) use typing::TypeRequest;

use linking::References;
use sockets::SocketEntry;
use typing::Asked;

/// The whole network.
pub(super) struct Network {
    /// Its time.
    pub(super) clock: Arc<dyn Clock>,
    /// Its long-lived key.
    pub(super) server: ServerIdentity,
    /// How much faster than WhatsApp's its codes rotate.
    pub(super) factor: watch::Sender<f64>,
    /// Bumped whenever a fault is added or removed.
    pub(super) faults_changed: watch::Sender<u64>,
    /// Told whenever an account changed.
    pub(super) changed: Notify,
    /// Its post office.
    pub(super) post: Post,
    /// Its media server's files.
    pub(super) media: MediaStore,
    rng: Mutex<StdRng>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    phones: BTreeMap<String, Phone>,
    devices: BTreeMap<DeviceId, Device>,
    references: References,
    asked: Asked,
    sockets: HashMap<SocketId, SocketEntry>,
    last_socket: u64,
    faults: Faults,
    changed: BTreeSet<String>,
}

/// A phone, as the control API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhoneView {
    /// The account's number, digits only.
    pub number: String,
    /// Its address.
    pub jid: String,
    /// Its hidden address.
    pub lid: String,
}

/// A device, as the control API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DeviceView {
    /// Its address.
    pub device: String,
    /// Its account's number.
    pub number: String,
    /// What the phone lists it as.
    pub name: String,
    /// Whether it has a logged-in socket.
    pub connected: bool,
    /// Its logged-in sockets now.
    pub live_sockets: u32,
    /// The most there ever were at one instant.
    pub most_live_sockets: u32,
    /// Log-ins ever.
    pub logins: u64,
}

impl Network {
    /// A network with what an earlier one left.
    pub(super) fn new(
        clock: Arc<dyn Clock>,
        mut rng: StdRng,
        server: ServerIdentity,
        accounts: impl IntoIterator<Item = (Phone, Vec<Device>)>,
    ) -> Self {
        let mut state = State::default();
        for (phone, devices) in accounts {
            state.devices.extend(devices.into_iter().map(|device| (device.id.clone(), device)));
            state.phones.insert(phone.number.clone(), phone);
        }
        Self {
            clock,
            server,
            factor: watch::Sender::new(1.0),
            faults_changed: watch::Sender::new(0),
            changed: Notify::new(),
            post: Post::default(),
            media: MediaStore::new(format!("{:016x}", rng.random::<u64>())),
            rng: Mutex::new(rng),
            state: Mutex::new(state),
        }
    }

    /// The network's time.
    pub(super) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    /// A generator of one's own.
    pub(super) fn rng(&self) -> StdRng {
        StdRng::from_seed(self.rng.lock().random())
    }

    /// Every device, ordered by account and number.
    pub(super) fn devices(&self) -> Vec<DeviceView> {
        self.state.lock().devices.values().map(DeviceView::from).collect()
    }

    /// The accounts that have changed since this was last asked.
    pub(super) fn take_changed(&self) -> Vec<AccountRecord> {
        let mut state = self.state.lock();
        let changed = std::mem::take(&mut state.changed);
        let phones = changed.iter().filter_map(|number| state.phones.get(number));
        phones
            .map(|phone| {
                let devices = state.devices.values().filter(|device| device.id.number == phone.number);
                AccountRecord::new(phone, devices)
            })
            .collect()
    }

    /// Has an account kept.
    fn keep(&self, state: &mut State, number: &str) {
        state.changed.insert(number.to_owned());
        self.changed.notify_one();
    }
}

impl From<&Phone> for PhoneView {
    fn from(phone: &Phone) -> Self {
        Self { number: phone.number.clone(), jid: phone.jid().to_string(), lid: phone.lid().to_string() }
    }
}

impl From<&Device> for DeviceView {
    fn from(device: &Device) -> Self {
        Self {
            device: device.id.to_string(),
            number: device.id.number.clone(),
            name: device.registration.name.clone(),
            connected: device.live_sockets > 0,
            live_sockets: device.live_sockets,
            most_live_sockets: device.most_live_sockets,
            logins: device.logins,
        }
    }
}
