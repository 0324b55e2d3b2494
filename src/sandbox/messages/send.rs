//! A phone sends: the stanza a client builds, sealed for every device of the recipient and for the phone's own others.

use std::collections::BTreeSet;

use buffa::Message as _;
use rand::rngs::StdRng;
use serde::Serialize;
use wacore::download::MediaType;
use wacore::messages::{MessageUtils, wrap_device_sent};
use wacore::send::{media_type_from_message, stanza_type_from_message};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::Message;

use super::MessageError;
use super::content::{Content, Means, Referred};
use super::inbox::{Kept, OutboxItem};
use super::media::Uploaded;
use super::messenger::Messenger;
use super::reading::Said;
use super::route::device_jid;
use super::signal::Sealing;
use crate::sandbox::device::DeviceId;
use crate::sandbox::network::Network;

/// What a phone answers when it has sent a message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SentView {
    /// The message's id.
    pub id: String,
    /// The conversation.
    pub chat: String,
}

/// Where a message goes.
pub(super) enum Chat {
    /// To an account.
    Account { jid: Jid, number: String },
    /// To a group.
    Group { jid: Jid },
}

struct PhoneMeans<'a> {
    network: &'a Network,
    messenger: &'a Messenger,
}

impl Means for PhoneMeans<'_> {
    fn upload(&self, data: &str, kind: MediaType) -> Result<Uploaded, MessageError> {
        self.network.media.upload(data, kind)
    }

    fn refer(&self, id: &str) -> Result<Referred, MessageError> {
        self.messenger.refer(id)
    }

    fn address(&self, text: &str) -> Result<String, MessageError> {
        let user = text.strip_prefix('+').unwrap_or(text).split(['@', ':']).next().unwrap_or_default();
        Ok(self.network.account(user).ok_or(MessageError::NoRecipient)?.jid().to_string())
    }

    fn own_address(&self) -> String {
        self.messenger.jid.clone()
    }

    fn now_ms(&self) -> i64 {
        self.network.now().timestamp_millis()
    }
}

/// An `<enc>`.
pub(super) fn sealed_node(sealing: Sealing, bytes: Vec<u8>, message: Option<&Message>) -> Node {
    let node = NodeBuilder::new("enc").attr("v", "2").attr("type", sealing.as_wire());
    match message.and_then(media_type_from_message) {
        Some(kind) => node.attr("mediatype", kind).bytes(bytes).build(),
        None => node.bytes(bytes).build(),
    }
}

impl Network {
    /// A phone sends a message.
    pub(in crate::sandbox) fn send(&self, number: &str, to: &str, content: &Content) -> Result<SentView, MessageError> {
        let messenger = self.messenger(number).ok_or(MessageError::NoPhone)?;
        let chat = self.chat(number, to)?;
        let devices = match &chat {
            Chat::Account { number: other, .. } => {
                let own = if other == number { Vec::new() } else { self.devices_of(number) };
                self.devices_of(other).into_iter().chain(own).collect::<Vec<_>>()
            }
            Chat::Group { jid } => {
                self.members(jid).unwrap_or_default().iter().flat_map(|member| self.devices_of(member)).collect()
            }
        };
        let devices = devices.into_iter().filter(|device| device.number != number || device.device != 0);
        let devices = devices.collect::<Vec<_>>();
        let unknown = {
            let messenger = messenger.lock();
            if !messenger.is_online {
                return Err(MessageError::Offline);
            }
            devices.iter().filter(|device| !messenger.signal.knows(device)).cloned().collect::<Vec<_>>()
        };
        // Another phone's keys are behind its own lock, and no two messengers may be locked at once.
        let bundles = unknown.into_iter().filter_map(|device| Some((self.key_bundle(&device)?, device)));
        let bundles = bundles.collect::<Vec<_>>();
        let (view, phones) = {
            let mut messenger = messenger.lock();
            let mut rng = self.rng();
            for (bundle, device) in &bundles {
                if !messenger.signal.knows(device) {
                    messenger.signal.begin(device, bundle, &mut rng)?;
                }
            }
            self.send_now(&mut messenger, &chat, &devices, content, &mut rng)?
        };
        self.keep_mail(number);
        self.work(phones);
        Ok(view)
    }

    fn send_now(
        &self,
        messenger: &mut Messenger,
        chat: &Chat,
        devices: &[DeviceId],
        content: &Content,
        rng: &mut StdRng,
    ) -> Result<(SentView, BTreeSet<String>), MessageError> {
        let message = content.write(&PhoneMeans { network: self, messenger: &*messenger }, rng)?;
        let id = self.message_id();
        let (jid, children) = match chat {
            Chat::Account { jid, number } => {
                (jid, vec![self.seal_for_account(messenger, jid, number, devices, &message)?])
            }
            Chat::Group { jid } => (jid, self.seal_for_members(messenger, jid, devices, &message, rng)?),
        };
        let mut stanza = NodeBuilder::new("message")
            .attr("to", jid.clone())
            .attr("id", id.as_str())
            .attr("type", stanza_type_from_message(&message))
            .children(children);
        if let Some(edit) = content.edit_attribute() {
            stanza = stanza.attr("edit", edit);
        }
        let item = OutboxItem {
            id: id.clone(),
            chat: jid.to_string(),
            at: self.now(),
            delivered_to: BTreeSet::new(),
            read_by: BTreeSet::new(),
            said: Said::read(&message, &|_| content.chosen()),
        };
        messenger.memory.send(Kept { item, message: message.encode_to_vec() });
        let phones = self.route(&messenger.me.clone(), &stanza.build());
        Ok((SentView { id, chat: jid.to_string() }, phones))
    }

    /// `<participants>` of a message to an account: the message for the recipient's devices, a copy that says where it
    /// went for the sender's own. What may be looked at once is for phones only; linked devices learn that it is there.
    fn seal_for_account(
        &self,
        messenger: &mut Messenger,
        to: &Jid,
        number: &str,
        devices: &[DeviceId],
        message: &Message,
    ) -> Result<Node, MessageError> {
        let plain = MessageUtils::encode_and_pad(message);
        let copy = MessageUtils::encode_and_pad(&wrap_device_sent(message.clone(), to.to_string()));
        let mut parts = Vec::with_capacity(devices.len());
        let known = devices.iter().filter(|device| messenger.signal.knows(device)).collect::<Vec<_>>();
        for device in known {
            if device.device != 0 && message.view_once_message_v2.is_set() {
                parts.push(self.part(device, NodeBuilder::new("unavailable").attr("type", "view_once").build()));
                continue;
            }
            let plain = if device.number == number { &plain } else { &copy };
            let (sealing, bytes) = messenger.signal.seal(device, plain)?;
            parts.push(self.part(device, sealed_node(sealing, bytes, Some(message))));
        }
        Ok(NodeBuilder::new("participants").children(parts).build())
    }

    /// A device's part of a stanza.
    pub(super) fn part(&self, device: &DeviceId, sealed: Node) -> Node {
        let jid = self.account(&device.number).map(|phone| device_jid(&phone, device.device, false));
        let node = NodeBuilder::new("to").children([sealed]);
        match jid {
            Some(jid) => node.attr("jid", jid).build(),
            None => node.build(),
        }
    }

    fn chat(&self, number: &str, to: &str) -> Result<Chat, MessageError> {
        if to.ends_with("@g.us") {
            let jid: Jid = to.parse().map_err(|_| MessageError::NoGroup)?;
            let members = self.members(&jid).ok_or(MessageError::NoGroup)?;
            if !members.iter().any(|member| member == number) {
                return Err(MessageError::NoGroup);
            }
            return Ok(Chat::Group { jid });
        }
        let user = to.strip_prefix('+').unwrap_or(to).split(['@', ':']).next().unwrap_or_default();
        let phone = self.account(user).ok_or(MessageError::NoRecipient)?;
        Ok(Chat::Account { jid: phone.jid(), number: phone.number })
    }
}
