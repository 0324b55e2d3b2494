//! The open sockets, and the count of each device's.
//!
//! Two sockets of one device at one instant is the fault the product must never have, so the count has to be fair: a
//! client that closed its socket before it opened the next has one. Before a log-in is counted, the device's older
//! sockets are therefore asked to look whether their client is still there.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{LinkRequest, Network, State, TypeRequest};
use crate::sandbox::device::{Device, DeviceId};
use crate::sandbox::fault::Strike;
use crate::sandbox::phone::Phone;

/// Commands that wait for a socket's task. A task that lets this many pile up is stuck, and its socket is cut.
const COMMANDS: usize = 8;

/// How long a log-in waits for what an older socket of its device has to say.
const PROBE_TIMEOUT: Duration = Duration::from_secs(1);

/// Numbers the sockets of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::sandbox) struct SocketId(u64);

/// What a socket's task is told.
pub(in crate::sandbox) enum Command {
    /// A phone has scanned the client's code.
    Link(Box<LinkRequest>),
    /// A code was typed into the phone that the client asked for.
    Type(Box<TypeRequest>),
    /// Answers whether the client is still there.
    Probe(oneshot::Sender<bool>),
    /// Ends the connection with these words.
    End(End),
}

/// How the server ends a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum End {
    /// Another connection logged in as the same device.
    Replaced,
    /// The device was removed from its account.
    Removed,
}

pub(super) struct SocketEntry {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) cut: CancellationToken,
    pub(super) device: Option<DeviceId>,
    pub(super) is_live: bool,
    pub(super) mail: Arc<Notify>,
    pub(super) mute: Option<Strike>,
}

impl SocketEntry {
    /// Tells the socket's task; cuts the socket if the task does not listen.
    pub(super) fn tell(&self, command: Command) {
        if self.commands.try_send(command).is_err() {
            self.cut.cancel();
        }
    }
}

/// A registered socket. Dropping it takes the socket off the books.
pub(in crate::sandbox) struct Socket {
    /// Its number.
    pub(in crate::sandbox) id: SocketId,
    /// What its task is told.
    pub(in crate::sandbox) commands: mpsc::Receiver<Command>,
    /// Cancelled when the connection is to be cut without a word.
    pub(in crate::sandbox) cut: CancellationToken,
    /// Told when there is something in its device's mailbox.
    pub(in crate::sandbox) mail: Arc<Notify>,
    network: Arc<Network>,
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.network.close_socket(self.id);
    }
}

impl Network {
    /// Registers a socket whose client has not said who it is.
    pub(in crate::sandbox) fn open_socket(self: &Arc<Self>, token: &CancellationToken) -> Socket {
        let (sender, commands) = mpsc::channel(COMMANDS);
        let cut = token.child_token();
        let mut state = self.state.lock();
        state.last_socket += 1;
        let id = SocketId(state.last_socket);
        let mail = Arc::new(Notify::new());
        let entry = SocketEntry {
            commands: sender,
            cut: cut.clone(),
            device: None,
            is_live: false,
            mail: Arc::clone(&mail),
            mute: None,
        };
        state.sockets.insert(id, entry);
        Socket { id, commands, cut, mail, network: Arc::clone(self) }
    }

    fn close_socket(&self, id: SocketId) {
        let mut state = self.state.lock();
        state.end_life(id);
        state.sockets.remove(&id);
        state.references.end(id);
    }

    /// The socket's client is gone or was told goodbye: its device has one live socket fewer from this instant.
    pub(in crate::sandbox) fn end_life(&self, id: SocketId) {
        self.state.lock().end_life(id);
    }

    /// The device a client claims to be, if it exists and the client holds its noise key.
    pub(in crate::sandbox) fn authenticate(&self, id: &DeviceId, noise_key: &[u8; 32]) -> bool {
        self.state.lock().devices.get(id).is_some_and(|device| device.noise_key == *noise_key)
    }

    /// Notes whose socket this is.
    pub(in crate::sandbox) fn identify(&self, socket: SocketId, device: &DeviceId) {
        if let Some(entry) = self.state.lock().sockets.get_mut(&socket) {
            entry.device = Some(device.clone());
        }
    }

    /// Counts a log-in and ends the device's older sockets, as WhatsApp does. False if the device was removed meanwhile.
    pub(in crate::sandbox) async fn log_in(&self, socket: SocketId, device: &DeviceId) -> bool {
        self.bury_the_gone(socket, device).await;
        let mut state = self.state.lock();
        let State { devices, sockets, .. } = &mut *state;
        let Some(device) = devices.get_mut(device) else { return false };
        device.logins += 1;
        device.live_sockets += 1;
        device.most_live_sockets = device.most_live_sockets.max(device.live_sockets);
        for (id, entry) in sockets.iter_mut() {
            if *id == socket {
                entry.is_live = true;
            } else if entry.is_live && entry.device.as_ref() == Some(&device.id) {
                entry.is_live = false;
                device.live_sockets -= 1;
                entry.tell(Command::End(End::Replaced));
            }
        }
        let number = device.id.number.clone();
        self.keep(&mut state, &number);
        true
    }

    /// Waits until every older live socket of the device has looked whether its client is still there.
    async fn bury_the_gone(&self, socket: SocketId, device: &DeviceId) {
        let answers = {
            let state = self.state.lock();
            let older = state
                .sockets
                .iter()
                .filter(|(id, entry)| **id != socket && entry.is_live && entry.device.as_ref() == Some(device));
            older
                .map(|(id, entry)| {
                    let (answer, answered) = oneshot::channel();
                    entry.tell(Command::Probe(answer));
                    (*id, answered)
                })
                .collect::<Vec<_>>()
        };
        for (id, answered) in answers {
            // A task that ended instead of answering has taken its socket off the books itself. One that is stuck
            // writes to a client that reads nothing: such a client is there.
            let is_there = tokio::time::timeout(PROBE_TIMEOUT, answered).await.unwrap_or(Ok(true)).unwrap_or(false);
            if !is_there {
                self.end_life(id);
            }
        }
    }

    /// The device and its account.
    pub(in crate::sandbox) fn device(&self, id: &DeviceId) -> Option<(Phone, Device)> {
        let state = self.state.lock();
        let phone = state.phones.get(&id.number)?;
        Some((phone.clone(), state.devices.get(id)?.clone()))
    }

    /// An account, by its number or hidden id.
    pub(in crate::sandbox) fn account(&self, user: &str) -> Option<Phone> {
        let state = self.state.lock();
        let by_lid = || state.phones.values().find(|phone| phone.lid == user);
        state.phones.get(user).or_else(by_lid).cloned()
    }

    /// Whether a device is logged in.
    pub(in crate::sandbox) fn is_live(&self, id: &DeviceId) -> bool {
        self.state.lock().devices.get(id).is_some_and(|device| device.live_sockets > 0)
    }

    /// Tells a device's connection to look into its mailbox.
    pub(in crate::sandbox) fn wake(&self, id: &DeviceId) {
        let state = self.state.lock();
        for entry in state.sockets.values().filter(|entry| entry.is_live && entry.device.as_ref() == Some(id)) {
            entry.mail.notify_one();
        }
    }

    /// The numbers of an account's devices and the indexes of their links, the phone's own first.
    pub(in crate::sandbox) fn device_list(&self, user: &str) -> Vec<(u16, u32)> {
        let state = self.state.lock();
        let by_lid = || state.phones.values().find(|phone| phone.lid == user);
        let Some(phone) = state.phones.get(user).or_else(by_lid) else { return Vec::new() };
        let linked = state.devices.values().filter(|device| device.id.number == phone.number);
        std::iter::once((0, 0)).chain(linked.map(|device| (device.id.device, device.details.key_index))).collect()
    }

    /// Changes what is known of a device.
    pub(in crate::sandbox) fn update_device(&self, id: &DeviceId, change: impl FnOnce(&mut Device)) {
        let mut state = self.state.lock();
        if let Some(device) = state.devices.get_mut(id) {
            change(device);
            self.keep(&mut state, &id.number);
        }
    }
}

impl State {
    pub(super) fn end_life(&mut self, id: SocketId) {
        let Some(entry) = self.sockets.get_mut(&id) else { return };
        if !std::mem::take(&mut entry.is_live) {
            return;
        }
        if let Some(device) = entry.device.as_ref().and_then(|device| self.devices.get_mut(device)) {
            device.live_sockets -= 1;
        }
    }
}
