//! The post office: everybody's mailboxes, the phones' messengers, the groups.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use rand::RngExt as _;
use tokio::sync::Notify;
use wacore_binary::{Jid, Node};

use super::faulty::garbled;
use super::groups::Group;
use super::mailbox::Mailbox;
use super::messenger::Messenger;
use super::signal::KeyBundle;
use crate::sandbox::device::DeviceId;
use crate::sandbox::network::{Network, SocketId};
use crate::sandbox::phone::Phone;

/// The post of a network.
#[derive(Default)]
pub(in crate::sandbox) struct Post {
    pub(super) state: Mutex<PostState>,
    /// Told whenever something of it is to be kept.
    pub(in crate::sandbox) changed: Notify,
}

#[derive(Default)]
pub(super) struct PostState {
    pub(super) mailboxes: HashMap<DeviceId, Mailbox>,
    pub(super) messengers: HashMap<String, Arc<Mutex<Messenger>>>,
    pub(super) groups: BTreeMap<String, Group>,
    /// Who wants to know of an account's presence.
    pub(super) watchers: HashMap<String, BTreeSet<DeviceId>>,
    /// The accounts that say they are there.
    pub(super) present: BTreeSet<String>,
    /// What linked devices have signed, for those who ask for their keys.
    pub(super) identities: HashMap<DeviceId, Vec<u8>>,
    pub(super) changed: BTreeSet<String>,
    pub(super) have_groups_changed: bool,
}

impl PostState {
    /// Puts a stanza that must arrive into a device's mailbox.
    pub(super) fn put(&mut self, device: &DeviceId, node: Node) {
        self.mailboxes.entry(device.clone()).or_default().put(node);
        self.changed.insert(device.number.clone());
    }
}

impl Network {
    /// The messenger of a phone, which is made when it is first needed.
    pub(in crate::sandbox) fn messenger(&self, number: &str) -> Option<Arc<Mutex<Messenger>>> {
        if let Some(messenger) = self.post.state.lock().messengers.get(number) {
            return Some(Arc::clone(messenger));
        }
        let phone = self.account(number)?;
        let new = Messenger::new(&phone, &mut self.rng());
        let mut post = self.post.state.lock();
        let messenger = post.messengers.entry(phone.number).or_insert_with(|| Arc::new(Mutex::new(new)));
        Some(Arc::clone(messenger))
    }

    /// The account that an address belongs to, by number or by hidden id.
    pub(super) fn account_of(&self, jid: &Jid) -> Option<Phone> {
        self.account(&jid.user)
    }

    /// The device that an address names.
    pub(in crate::sandbox) fn device_at(&self, jid: &Jid) -> Option<DeviceId> {
        Some(DeviceId { number: self.account_of(jid)?.number, device: jid.device })
    }

    /// Every device of an account, the phone first.
    pub(super) fn devices_of(&self, number: &str) -> Vec<DeviceId> {
        let devices = self.device_list(number).into_iter();
        devices.map(|(device, _)| DeviceId { number: number.to_owned(), device }).collect()
    }

    /// The keys that let somebody begin a session with a device; a one-time prekey is used up by it.
    pub(in crate::sandbox) fn key_bundle(&self, id: &DeviceId) -> Option<KeyBundle> {
        if id.device == 0 {
            let messenger = self.messenger(&id.number)?;
            let bundle = messenger.lock().signal.bundle(&mut self.rng());
            self.keep_mail(&id.number);
            return Some(bundle);
        }
        let mut bundle = None;
        self.update_device(id, |device| {
            let (prekey, rest) =
                device.prekeys.split_first().map_or((None, None), |(first, rest)| (Some(*first), Some(rest)));
            bundle = Some(KeyBundle {
                registration_id: device.registration.signal_id,
                identity_key: device.registration.identity_key,
                signed_prekey: device.registration.signed_prekey.clone(),
                prekey,
                device_identity: None,
            });
            if let Some(rest) = rest {
                device.prekeys = rest.into();
            }
        });
        let device_identity = self.post.state.lock().identities.get(id).cloned();
        Some(KeyBundle { device_identity, ..bundle? })
    }

    /// Notes what a device has signed when it was linked.
    pub(in crate::sandbox) fn note_identity(&self, id: &DeviceId, signed: &[u8]) {
        self.post.state.lock().identities.insert(id.clone(), signed.to_vec());
        self.keep_mail(&id.number);
    }

    /// Hands stanzas that must arrive to devices. The phones among them are to be [worked](Self::work).
    pub(in crate::sandbox) fn deliver(&self, parcels: Vec<(DeviceId, Node)>) -> BTreeSet<String> {
        let mut phones = BTreeSet::new();
        let mut linked = BTreeSet::new();
        let parcels = parcels.into_iter().map(|(device, node)| {
            let is_struck = node.tag == "message" && device.device != 0 && self.is_garbled_for(&device);
            let node = if is_struck { garbled(node) } else { node };
            (device, node)
        });
        let parcels = parcels.collect::<Vec<_>>();
        {
            let mut post = self.post.state.lock();
            for (device, node) in parcels {
                post.put(&device, node);
                if device.device == 0 {
                    phones.insert(device.number);
                } else {
                    linked.insert(device);
                }
            }
        }
        self.post.changed.notify_one();
        for device in &linked {
            self.wake(device);
        }
        phones
    }

    /// Hands a stanza that is for now or never to a device, if it is connected.
    pub(super) fn pass(&self, device: &DeviceId, node: Node) {
        if device.device != 0 && !self.is_live(device) {
            return;
        }
        self.post.state.lock().mailboxes.entry(device.clone()).or_default().pass(node);
        if device.device != 0 {
            self.wake(device);
        }
    }

    /// What is to be sent on a device's connection.
    pub(in crate::sandbox) fn unsent_mail(&self, device: &DeviceId, socket: SocketId) -> Vec<Node> {
        let mut post = self.post.state.lock();
        post.mailboxes.get_mut(device).map(|mailbox| mailbox.take_unsent(socket)).unwrap_or_default()
    }

    /// What a device has missed: everything in its mailbox, marked as such.
    pub(in crate::sandbox) fn missed_mail(&self, device: &DeviceId, socket: SocketId) -> Vec<Node> {
        let mut post = self.post.state.lock();
        let Some(mailbox) = post.mailboxes.get_mut(device) else { return Vec::new() };
        mailbox.drop_passing();
        let mut missed = mailbox.take_unsent(socket);
        for (index, node) in missed.iter_mut().enumerate() {
            node.attrs.insert("offline", index.to_string());
        }
        missed
    }

    /// A device has acknowledged stanzas.
    pub(super) fn settle(&self, device: &DeviceId, tag: &str, ids: &[String]) {
        let mut post = self.post.state.lock();
        if post.mailboxes.get_mut(device).is_some_and(|mailbox| mailbox.settle(tag, ids)) {
            post.changed.insert(device.number.clone());
            drop(post);
            self.post.changed.notify_one();
        }
    }

    /// Has what an account's mailboxes and messenger hold kept.
    pub(super) fn keep_mail(&self, number: &str) {
        self.post.state.lock().changed.insert(number.to_owned());
        self.post.changed.notify_one();
    }

    /// A message id, as phones make them.
    pub(super) fn message_id(&self) -> String {
        let [high, low]: [u64; 2] = self.rng().random();
        format!("3A{:014X}{low:016X}", high >> 8)
    }
}
