//! A phone reads its mail: it decrypts messages, remembers them, and answers with receipts.

use std::collections::BTreeSet;

use buffa::Message as _;
use chrono::DateTime;
use rand::rngs::StdRng;
use tracing::warn;
use wacore::libsignal::protocol::SignalProtocolError;
use wacore::messages::{MessageUtils, is_sender_key_distribution_only, unwrap_device_sent};
use wacore::poll::PollVoteAddressing;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt, Node};
use waproto::whatsapp::Message;
use waproto::whatsapp::message::PollUpdateMessage;

use super::inbox::{InboxItem, Kept, Noted};
use super::messenger::Messenger;
use super::reading::{Said, open_vote};
use super::retry::ask_again;
use super::route::{jid, receipt_ids, text};
use super::signal::Sealing;
use crate::sandbox::device::DeviceId;
use crate::sandbox::network::Network;

/// Why a sealed message could not be read.
enum Unreadable {
    /// It was read before.
    Repeated,
    /// Its author must send it again.
    Sealed,
    /// It is not addressed as a message is.
    Malformed,
}

impl Network {
    /// Lets phones read what has come for them, and whoever that concerns in turn, until nothing is left to do.
    pub(super) fn work(&self, phones: BTreeSet<String>) {
        let mut waiting = phones;
        while let Some(number) = waiting.pop_first() {
            let Some(messenger) = self.messenger(&number) else { continue };
            let mut messenger = messenger.lock();
            if !messenger.is_online {
                continue;
            }
            let mut rng = self.rng();
            while let Some(node) = self.next_mail(&messenger.me) {
                for answer in self.read_stanza(&mut messenger, &node, &mut rng) {
                    waiting.extend(self.route(&messenger.me, &answer));
                }
                self.keep_mail(&number);
            }
        }
    }

    fn next_mail(&self, phone: &DeviceId) -> Option<Node> {
        self.post.state.lock().mailboxes.get_mut(phone)?.pop()
    }

    /// A phone reads one stanza; what it answers.
    fn read_stanza(&self, messenger: &mut Messenger, node: &Node, rng: &mut StdRng) -> Vec<Node> {
        match node.tag.as_ref() {
            "message" => self.read_message(messenger, node, rng),
            "receipt" if text(node, "type").as_deref() == Some("retry") => {
                self.send_again(messenger, node, rng).into_iter().collect()
            }
            "receipt" => {
                self.read_receipt(messenger, node);
                Vec::new()
            }
            "chatstate" => {
                self.read_chat_state(messenger, node);
                Vec::new()
            }
            "notification" => {
                read_notification(messenger, node);
                Vec::new()
            }
            _ => Vec::new(),
        }
    }

    fn read_message(&self, messenger: &mut Messenger, node: &Node, rng: &mut StdRng) -> Vec<Node> {
        let read = self.open_message(messenger, node, rng);
        match read {
            Ok(Some(kept)) => {
                messenger.memory.receive(kept);
                self.delivery_receipt(messenger, node).into_iter().collect()
            }
            Ok(None) | Err(Unreadable::Repeated) => self.delivery_receipt(messenger, node).into_iter().collect(),
            Err(Unreadable::Sealed) => ask_again(messenger, node, rng).into_iter().collect(),
            Err(Unreadable::Malformed) => Vec::new(),
        }
    }

    /// Decrypts a message; `None` if there is nothing in it to remember.
    fn open_message(
        &self,
        messenger: &mut Messenger,
        node: &Node,
        rng: &mut StdRng,
    ) -> Result<Option<Kept<InboxItem>>, Unreadable> {
        let from = jid(node, "from").ok_or(Unreadable::Malformed)?;
        let author = if from.is_group() { jid(node, "participant") } else { Some(from.clone()) };
        let author = author.ok_or(Unreadable::Malformed)?;
        let account = self.account_of(&author).ok_or(Unreadable::Malformed)?;
        let device = DeviceId { number: account.number.clone(), device: author.device };
        let mut message = None;
        for sealed in node.get_children_by_tag("enc") {
            let opened = open_part(messenger, &from, &device, sealed, rng)?;
            message = opened.or(message);
        }
        let Some(message) = message else { return Ok(None) };
        let from_me = account.number == messenger.me.number;
        if text(node, "category").as_deref() == Some("peer") {
            return Ok(None);
        }
        let message = unwrap_device_sent(message);
        let chat = if from.is_group() {
            from
        } else if from_me {
            let chat = jid(node, "recipient").unwrap_or(from);
            self.account_of(&chat).map_or(chat, |phone| phone.jid())
        } else {
            account.jid()
        };
        let said = Said::read(&message, &|update| self.open_vote(messenger, update, &account.jid(), &account.lid()));
        let seconds = text(node, "t").and_then(|seconds| seconds.parse().ok());
        let item = InboxItem {
            id: text(node, "id").ok_or(Unreadable::Malformed)?,
            from: account.jid().to_string(),
            chat: chat.to_string(),
            from_me,
            author_name: text(node, "notify").filter(|name| !name.is_empty()),
            at: seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)).unwrap_or_else(|| self.now()),
            copies: 1,
            said,
        };
        Ok(Some(Kept { item, message: message.encode_to_vec() }))
    }

    /// Opens a vote, if the phone has the poll it is about.
    fn open_vote(
        &self,
        messenger: &Messenger,
        update: &PollUpdateMessage,
        voter: &Jid,
        voter_lid: &Jid,
    ) -> Option<Vec<String>> {
        let id = update.poll_creation_message_key.as_option()?.id.as_deref()?;
        let poll = messenger.refer(id).ok()?;
        let author = self.account_of(&poll.author.parse().ok()?)?;
        let (author_jid, author_lid) = (author.jid().to_string(), author.lid().to_string());
        let (voter, voter_lid) = (voter.to_string(), voter_lid.to_string());
        open_vote(
            update,
            &poll.message,
            PollVoteAddressing { poll_creator_jid: &author_jid, voter_jid: &voter },
            PollVoteAddressing { poll_creator_jid: &author_lid, voter_jid: &voter_lid },
        )
    }

    /// What tells the author that the message is here; nothing for copies from one's own devices.
    fn delivery_receipt(&self, messenger: &Messenger, node: &Node) -> Option<Node> {
        let from = jid(node, "from")?;
        let author = jid(node, "participant").unwrap_or_else(|| from.clone());
        if self.account_of(&author)?.number == messenger.me.number {
            return None;
        }
        let receipt = NodeBuilder::new("receipt").attr("to", from.clone()).attr("id", text(node, "id")?);
        Some(if from.is_group() { receipt.attr("participant", author).build() } else { receipt.build() })
    }

    fn read_receipt(&self, messenger: &mut Messenger, node: &Node) {
        let Some(from) = jid(node, "participant").or_else(|| jid(node, "from")) else { return };
        let Some(account) = self.account_of(&from) else { return };
        let device = DeviceId { number: account.number.clone(), device: from.device };
        let name = if device.device == 0 { account.jid().to_string() } else { device.to_string() };
        let is_read = matches!(text(node, "type").as_deref(), Some("read" | "played"));
        for id in receipt_ids(node) {
            let Some(sent) = messenger.memory.sent_mut(&id) else { continue };
            if is_read {
                sent.read_by.insert(account.jid().to_string());
            } else {
                sent.delivered_to.insert(name.clone());
            }
        }
    }

    fn read_chat_state(&self, messenger: &mut Messenger, node: &Node) {
        let Some(chat) = jid(node, "from") else { return };
        let author = jid(node, "participant").unwrap_or_else(|| chat.clone());
        let Some(account) = self.account_of(&author) else { return };
        let children = node.children().unwrap_or_default();
        let Some(state) = children.first() else { return };
        let is_audio = text(state, "media").as_deref() == Some("audio");
        let state = if is_audio { "recording".to_owned() } else { state.tag.to_string() };
        let chat = if chat.is_group() { chat } else { account.jid() };
        let noted = Noted { from: account.jid().to_string(), chat: chat.to_string(), state, at: self.now() };
        messenger.memory.note(noted);
    }

    /// A phone says that its owner has read messages of a conversation. Returns how many; `None` without such a phone.
    pub(in crate::sandbox) fn read(&self, number: &str, ids: Option<&[String]>) -> Option<usize> {
        let messenger = self.messenger(number)?;
        let mut phones = BTreeSet::new();
        let mut count = 0;
        {
            let messenger = messenger.lock();
            let read = messenger
                .memory
                .inbox
                .iter()
                .filter(|kept| !kept.item.from_me && ids.is_none_or(|ids| ids.contains(&kept.item.id)));
            for kept in read {
                let receipt = NodeBuilder::new("receipt")
                    .attr("to", kept.item.chat.as_str())
                    .attr("id", kept.item.id.as_str())
                    .attr("type", "read");
                let is_group = kept.item.chat.ends_with("@g.us");
                let receipt = if is_group { receipt.attr("participant", kept.item.from.as_str()) } else { receipt };
                phones.extend(self.route(&messenger.me, &receipt.build()));
                count += 1;
            }
        }
        self.work(phones);
        Some(count)
    }

    /// Takes a phone off the network or back on it. False if there is no such phone.
    pub(in crate::sandbox) fn set_online(&self, number: &str, is_online: bool) -> bool {
        let Some(messenger) = self.messenger(number) else { return false };
        messenger.lock().is_online = is_online;
        self.keep_mail(number);
        self.work(BTreeSet::from([number.to_owned()]));
        true
    }
}

/// Who left a group is not to read on: the next message goes out with another sender key.
fn read_notification(messenger: &mut Messenger, node: &Node) {
    let Some(group) = jid(node, "from").filter(JidExt::is_group) else { return };
    if node.get_optional_child("remove").is_some() {
        let group = group.to_string();
        messenger.has_sender_key.remove(&group);
        messenger.signal.forget_sender_key(&group, &messenger.me);
    }
}

/// Decrypts one part; `None` if it brought a sender key and nothing else.
fn open_part(
    messenger: &mut Messenger,
    chat: &Jid,
    device: &DeviceId,
    part: &Node,
    rng: &mut StdRng,
) -> Result<Option<Message>, Unreadable> {
    let sealing = text(part, "type").and_then(|kind| Sealing::from_wire(&kind)).ok_or(Unreadable::Malformed)?;
    let part = part.as_node_ref();
    let bytes = part.content_bytes().ok_or(Unreadable::Malformed)?;
    let opened = match sealing {
        Sealing::SenderKey => messenger.signal.open_from_group(&chat.to_string(), device, bytes),
        Sealing::PreKey | Sealing::Session => messenger.signal.open(device, sealing, bytes, rng),
    };
    let plain = match opened {
        Ok(plain) => plain,
        Err(SignalProtocolError::DuplicatedMessage(..)) => return Err(Unreadable::Repeated),
        Err(error) => {
            warn!(error = &error as &dyn std::error::Error, "a phone of the sandbox cannot read a message");
            return Err(Unreadable::Sealed);
        }
    };
    let plain = MessageUtils::unpad_message_ref(&plain, 2).map_err(|_| Unreadable::Malformed)?;
    let mut message = Message::decode_from_slice(plain).map_err(|_| Unreadable::Malformed)?;
    if let Some(key) = message.sender_key_distribution_message.as_option() {
        let group = key.group_id.clone().unwrap_or_else(|| chat.to_string());
        let bytes = key.axolotl_sender_key_distribution_message.as_deref().unwrap_or_default();
        if messenger.signal.learn_sender_key(&group, device, bytes).is_err() {
            return Err(Unreadable::Malformed);
        }
    }
    Ok((!is_sender_key_distribution_only(&mut message)).then_some(message))
}
