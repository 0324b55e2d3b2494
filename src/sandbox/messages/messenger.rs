//! The messenger on a phone: its Signal state, its memory, and whether it is online.

use std::collections::{BTreeSet, HashMap};

use buffa::Message as _;
use rand::rngs::StdRng;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::{Message, MessageKey};

use super::MessageError;
use super::content::Referred;
use super::inbox::{InboxItem, Memory, Noted, OutboxItem};
use super::reading::attachment;
use super::signal::Signal;
use crate::sandbox::device::DeviceId;
use crate::sandbox::network::Network;
use crate::sandbox::phone::Phone;

/// The messenger of one phone.
pub(in crate::sandbox) struct Messenger {
    /// The account's own address.
    pub(super) jid: String,
    /// The phone as a device.
    pub(super) me: DeviceId,
    /// Its sessions.
    pub(in crate::sandbox) signal: Signal,
    /// Its conversations.
    pub(super) memory: Memory,
    /// Whether it takes what comes and can send.
    pub(super) is_online: bool,
    /// Which devices have been given the phone's sender key of a group.
    pub(super) has_sender_key: HashMap<String, BTreeSet<DeviceId>>,
    /// How often it has asked for a message again. Not kept over a restart.
    pub(super) retries: HashMap<String, u8>,
}

impl Messenger {
    /// The messenger of a phone that has spoken to nobody.
    pub(super) fn new(phone: &Phone, rng: &mut StdRng) -> Self {
        Self::with(phone, Signal::generate(&phone.identity, phone.registration_id, rng), Memory::default())
    }

    /// The messenger of a phone with what was kept of it.
    pub(super) fn with(phone: &Phone, signal: Signal, memory: Memory) -> Self {
        Self {
            jid: phone.jid().to_string(),
            me: DeviceId { number: phone.number.clone(), device: 0 },
            signal,
            memory,
            is_online: true,
            has_sender_key: HashMap::new(),
            retries: HashMap::new(),
        }
    }

    /// A message that it has sent or received.
    pub(super) fn refer(&self, id: &str) -> Result<Referred, MessageError> {
        let (chat, author, from_me, bytes) = if let Some(sent) = self.memory.sent(id) {
            (&sent.item.chat, &self.jid, true, &sent.message)
        } else {
            let received = self.memory.received(id).ok_or(MessageError::NoMessage)?;
            (&received.item.chat, &received.item.from, received.item.from_me, &received.message)
        };
        let is_in_group = chat.ends_with("@g.us");
        Ok(Referred {
            key: MessageKey {
                remote_jid: Some(chat.clone()),
                from_me: Some(from_me),
                id: Some(id.to_owned()),
                participant: (is_in_group && !from_me).then(|| author.clone()),
            },
            author: author.clone(),
            message: Message::decode_from_slice(bytes).map_err(|_| MessageError::NoMessage)?,
        })
    }
}

impl Network {
    /// What a phone has received, oldest first.
    pub(in crate::sandbox) fn inbox(&self, number: &str) -> Result<Vec<InboxItem>, MessageError> {
        let messenger = self.messenger(number).ok_or(MessageError::NoPhone)?;
        let messenger = messenger.lock();
        Ok(messenger.memory.inbox.iter().map(|kept| kept.item.clone()).collect())
    }

    /// What a phone has sent, oldest first.
    pub(in crate::sandbox) fn outbox(&self, number: &str) -> Result<Vec<OutboxItem>, MessageError> {
        let messenger = self.messenger(number).ok_or(MessageError::NoPhone)?;
        let messenger = messenger.lock();
        Ok(messenger.memory.outbox.iter().map(|kept| kept.item.clone()).collect())
    }

    /// Who typed to a phone, oldest first.
    pub(in crate::sandbox) fn noted(&self, number: &str) -> Result<Vec<Noted>, MessageError> {
        let messenger = self.messenger(number).ok_or(MessageError::NoPhone)?;
        let messenger = messenger.lock();
        Ok(messenger.memory.noted.clone())
    }

    /// The file of a message that a phone has received, downloaded and decrypted.
    pub(in crate::sandbox) fn file(&self, number: &str, id: &str) -> Result<Vec<u8>, MessageError> {
        let messenger = self.messenger(number).ok_or(MessageError::NoPhone)?;
        let attachment = {
            let messenger = messenger.lock();
            let received = messenger.memory.received(id).ok_or(MessageError::NoMessage)?;
            let message = Message::decode_from_slice(&received.message).map_err(|_| MessageError::NoFile)?;
            attachment(&message).ok_or(MessageError::NoFile)?
        };
        self.media.download(&attachment)
    }

    /// A phone shows that its owner types, records, or has stopped.
    pub(in crate::sandbox) fn type_to(&self, number: &str, to: &str, state: Node) -> Result<(), MessageError> {
        let messenger = self.messenger(number).ok_or(MessageError::NoPhone)?;
        let me = messenger.lock().me.clone();
        let to = self.address_of(to).ok_or(MessageError::NoRecipient)?;
        let phones = self.route(&me, &NodeBuilder::new("chatstate").attr("to", to).children([state]).build());
        self.work(phones);
        Ok(())
    }

    /// The address of a conversation, given as a number or an address.
    fn address_of(&self, text: &str) -> Option<Jid> {
        if text.ends_with("@g.us") {
            return text.parse().ok();
        }
        let user = text.strip_prefix('+').unwrap_or(text).split(['@', ':']).next().unwrap_or_default();
        Some(self.account(user)?.jid())
    }
}
