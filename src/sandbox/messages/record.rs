//! What is kept of messages over a restart: for each account its messenger and its mailboxes, and the groups.
//!
//! A sandbox that is killed may lose the last moments. A phone then goes on with an older state of its sessions, which
//! its readers notice as messages they cannot read and ask for again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::BytesMut;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use wacore_binary::util::unpack_bytes;
use wacore_binary::{Node, OwnedNodeRef, marshal};

use super::groups::Group;
use super::inbox::Memory;
use super::mailbox::Mailbox;
use super::messenger::Messenger;
use super::signal::{Signal, SignalParts};
use crate::sandbox::device::DeviceId;
use crate::sandbox::network::Network;
use crate::sandbox::phone::Phone;

/// What is kept of one account's messages.
#[derive(Serialize, Deserialize)]
pub(in crate::sandbox) struct MailRecord {
    number: String,
    is_online: bool,
    signed_prekey: String,
    signed_prekey_signature: String,
    prekeys: Vec<(u32, String)>,
    next_prekey: u32,
    sessions: Vec<(String, String)>,
    sender_keys: Vec<(String, String)>,
    has_sender_key: BTreeMap<String, Vec<(String, u16)>>,
    memory: Memory,
    mailboxes: BTreeMap<u16, Vec<String>>,
    identities: BTreeMap<u16, String>,
}

/// Every group.
#[derive(Serialize, Deserialize)]
pub(in crate::sandbox) struct GroupsRecord {
    groups: Vec<Group>,
}

fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn decode(text: &str) -> Option<Vec<u8>> {
    BASE64_STANDARD.decode(text).ok()
}

fn named(pairs: Vec<(String, Vec<u8>)>) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, bytes)| (name, encode(&bytes))).collect()
}

fn unnamed(pairs: Vec<(String, String)>) -> Option<Vec<(String, Vec<u8>)>> {
    pairs.into_iter().map(|(name, text)| Some((name, decode(&text)?))).collect()
}

fn write_node(node: &Node) -> String {
    encode(&marshal(node).expect("a stanza that was built can be written"))
}

fn read_node(text: &str) -> Option<Node> {
    let bytes = unpack_bytes(BytesMut::from(decode(text)?.as_slice())).ok()?;
    Some(OwnedNodeRef::new(bytes).ok()?.to_owned_node())
}

impl MailRecord {
    /// Whose it is.
    pub(in crate::sandbox) fn number(&self) -> &str {
        &self.number
    }

    fn signal(&self, phone: &Phone) -> Option<Signal> {
        let prekeys = self.prekeys.iter().map(|(id, key)| Some((*id, decode(key)?.try_into().ok()?)));
        let parts = SignalParts {
            signed_prekey: decode(&self.signed_prekey)?.try_into().ok()?,
            signed_prekey_signature: decode(&self.signed_prekey_signature)?,
            prekeys: prekeys.collect::<Option<_>>()?,
            next_prekey: self.next_prekey,
            sessions: unnamed(self.sessions.clone())?,
            sender_keys: unnamed(self.sender_keys.clone())?,
        };
        Signal::restore(&phone.identity, phone.registration_id, parts)
    }
}

impl Network {
    /// What has changed of accounts' messages since this was last asked.
    pub(in crate::sandbox) fn take_changed_mail(&self) -> Vec<MailRecord> {
        let changed = std::mem::take(&mut self.post.state.lock().changed);
        changed.iter().filter_map(|number| self.mail_record(number)).collect()
    }

    fn mail_record(&self, number: &str) -> Option<MailRecord> {
        let devices = self.devices_of(number).into_iter().map(|id| id.device).collect::<BTreeSet<_>>();
        let messenger = self.messenger(number)?;
        let messenger = messenger.lock();
        let parts = messenger.signal.parts();
        let has_sender_key = messenger
            .has_sender_key
            .iter()
            .map(|(group, devices)| (group.clone(), devices.iter().map(|id| (id.number.clone(), id.device)).collect()));
        let memory = messenger.memory.clone();
        let has_sender_key = has_sender_key.collect();
        let is_online = messenger.is_online;
        // With the messenger still locked, so that nothing is both in its memory and in its mailbox.
        let mut post = self.post.state.lock();
        post.mailboxes.retain(|id, _| id.number != number || devices.contains(&id.device));
        post.identities.retain(|id, _| id.number != number || devices.contains(&id.device));
        let mailboxes = post.mailboxes.iter().filter(|(id, _)| id.number == number);
        let mailboxes = mailboxes.map(|(id, mailbox)| (id.device, mailbox.parcels().map(write_node).collect()));
        let identities = post.identities.iter().filter(|(id, _)| id.number == number);
        Some(MailRecord {
            number: number.to_owned(),
            is_online,
            signed_prekey: encode(&parts.signed_prekey),
            signed_prekey_signature: encode(&parts.signed_prekey_signature),
            prekeys: parts.prekeys.iter().map(|(id, key)| (*id, encode(key))).collect(),
            next_prekey: parts.next_prekey,
            sessions: named(parts.sessions),
            sender_keys: named(parts.sender_keys),
            has_sender_key,
            memory,
            mailboxes: mailboxes.collect(),
            identities: identities.map(|(id, signed)| (id.device, encode(signed))).collect(),
        })
    }

    /// Every group, if one has changed since this was last asked.
    pub(in crate::sandbox) fn take_changed_groups(&self) -> Option<GroupsRecord> {
        let mut post = self.post.state.lock();
        std::mem::take(&mut post.have_groups_changed)
            .then(|| GroupsRecord { groups: post.groups.values().cloned().collect() })
    }

    /// Takes back what was kept of an account's messages. False if it holds a key or a record that is none.
    pub(in crate::sandbox) fn restore_mail(&self, record: MailRecord) -> bool {
        let Some(phone) = self.account(&record.number) else { return true };
        let Some(signal) = record.signal(&phone) else { return false };
        let mut messenger = Messenger::with(&phone, signal, record.memory.indexed());
        messenger.is_online = record.is_online;
        messenger.has_sender_key = record
            .has_sender_key
            .into_iter()
            .map(|(group, devices)| {
                let devices = devices.into_iter().map(|(number, device)| DeviceId { number, device });
                (group, devices.collect())
            })
            .collect::<HashMap<_, _>>();
        let device = |device| DeviceId { number: phone.number.clone(), device };
        let mut post = self.post.state.lock();
        for (number, nodes) in &record.mailboxes {
            let Some(nodes) = nodes.iter().map(|node| read_node(node)).collect::<Option<Vec<_>>>() else {
                return false;
            };
            post.mailboxes.insert(device(*number), Mailbox::restore(nodes));
        }
        for (number, signed) in &record.identities {
            let Some(signed) = decode(signed) else { return false };
            post.identities.insert(device(*number), signed);
        }
        post.messengers.insert(phone.number.clone(), Arc::new(Mutex::new(messenger)));
        true
    }

    /// Takes back the groups that were kept.
    pub(in crate::sandbox) fn restore_groups(&self, record: GroupsRecord) {
        let mut post = self.post.state.lock();
        post.groups = record.groups.into_iter().map(|group| (group.id.clone(), group)).collect();
    }
}
