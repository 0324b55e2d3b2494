//! The server's half: where each stanza goes. It sees addresses and sealed parts, never a message.

use std::collections::BTreeSet;

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};

use crate::sandbox::device::DeviceId;
use crate::sandbox::network::Network;
use crate::sandbox::phone::Phone;

/// The attributes and parts of a client's stanza, as text.
pub(super) fn text(node: &Node, name: &str) -> Option<String> {
    node.attrs.get(name).map(|value| value.as_str().into_owned())
}

/// The address in an attribute.
pub(super) fn jid(node: &Node, name: &str) -> Option<Jid> {
    node.attrs.get(name)?.to_jid()
}

/// The ids that a receipt is about: its own and those in its list.
pub(super) fn receipt_ids(receipt: &Node) -> Vec<String> {
    let listed = receipt.get_optional_child("list").and_then(Node::children).unwrap_or_default();
    listed.iter().filter_map(|item| text(item, "id")).chain(text(receipt, "id")).collect()
}

/// A device's address: by number, or by hidden id if the conversation goes by that.
pub(super) fn device_jid(phone: &Phone, device: u16, by_lid: bool) -> Jid {
    let account = if by_lid { phone.lid() } else { phone.jid() };
    if device == 0 { account } else { account.with_device(device) }
}

impl Network {
    /// Takes a stanza that a linked device sends. The phones it concerns have done their part when this returns.
    pub(in crate::sandbox) fn submit(&self, sender: &DeviceId, stanza: &Node) {
        let phones = self.route(sender, stanza);
        self.work(phones);
    }

    /// Takes a stanza and hands it on. Returns the phones that have something to do now.
    pub(super) fn route(&self, sender: &DeviceId, stanza: &Node) -> BTreeSet<String> {
        match stanza.tag.as_ref() {
            "message" => self.route_message(sender, stanza).unwrap_or_default(),
            "receipt" => self.route_receipt(sender, stanza).unwrap_or_default(),
            "chatstate" => self.route_chat_state(sender, stanza).unwrap_or_default(),
            "presence" => {
                self.take_presence(sender, stanza);
                BTreeSet::new()
            }
            "ack" => {
                if let (Some(class), Some(id)) = (text(stanza, "class"), text(stanza, "id")) {
                    self.settle(sender, &class, &[id]);
                }
                BTreeSet::new()
            }
            _ => BTreeSet::new(),
        }
    }

    fn route_message(&self, sender: &DeviceId, stanza: &Node) -> Option<BTreeSet<String>> {
        let to = jid(stanza, "to")?;
        if to.is_group() {
            return self.route_group_message(sender, &to, stanza);
        }
        let phone = self.account(&sender.number)?;
        let from = device_jid(&phone, sender.device, to.is_lid());
        let parts = parts_of(stanza).unwrap_or_else(|| vec![(to.clone(), sealed_in(stanza))]);
        let is_peer = text(stanza, "category").as_deref() == Some("peer");
        let mut parcels = Vec::new();
        for (address, sealed) in parts {
            let Some(device) = self.device_at(&address) else { continue };
            if device == *sender || !self.devices_of(&device.number).contains(&device) {
                continue;
            }
            let mut node = self.forwarded(&phone, sender, stanza, sealed).attr("from", from.clone());
            if device.number != sender.number {
                node = if to.is_lid() {
                    node.attr("sender_pn", device_jid(&phone, sender.device, false))
                } else {
                    node.attr("sender_lid", device_jid(&phone, sender.device, true))
                };
            } else if is_peer {
                node = node.attr("category", "peer");
            } else {
                let chat = jid(stanza, "recipient").unwrap_or_else(|| to.clone());
                node = node.attr("recipient", chat.to_non_ad());
            }
            parcels.push((device, node.build()));
        }
        Some(self.deliver(parcels))
    }

    /// A message as it reaches one device, still without its origin.
    pub(super) fn forwarded(&self, phone: &Phone, sender: &DeviceId, stanza: &Node, sealed: Vec<Node>) -> NodeBuilder {
        let begins_session = sealed.iter().any(|part| text(part, "type").as_deref() == Some("pkmsg"));
        let mut children = sealed;
        if begins_session && sender.device != 0 {
            children.extend(stanza.get_optional_child("device-identity").cloned());
        }
        children.extend(stanza.get_optional_child("meta").cloned());
        let mut node = NodeBuilder::new("message")
            .attr("id", text(stanza, "id").unwrap_or_default())
            .attr("type", text(stanza, "type").unwrap_or_else(|| "text".to_owned()))
            .attr("t", self.now().timestamp())
            .attr("notify", phone.name.as_str());
        if let Some(edit) = text(stanza, "edit") {
            node = node.attr("edit", edit);
        }
        node.children(children)
    }

    fn route_receipt(&self, sender: &DeviceId, stanza: &Node) -> Option<BTreeSet<String>> {
        let to = jid(stanza, "to")?;
        let kind = text(stanza, "type");
        // Who asks for a message again has not taken it.
        if kind.as_deref() != Some("retry") {
            self.settle(sender, "message", &receipt_ids(stanza));
        }
        let participant = jid(stanza, "participant");
        let phone = self.account(&sender.number)?;
        let author = if to.is_group() { participant? } else { to.clone() };
        let author_device = self.device_at(&author)?;
        let addressees = match kind.as_deref() {
            // About copies for one's own account: the server's business alone.
            Some("sender" | "peer_msg" | "hist_sync" | "read-self" | "server-error") => return None,
            Some("retry") => vec![author_device],
            _ => self.devices_of(&author_device.number),
        };
        let own = device_jid(&phone, sender.device, author.is_lid());
        let mut node = NodeBuilder::new("receipt").attr("id", text(stanza, "id")?).attr("t", self.now().timestamp());
        // Whether the recipient's app was in the foreground does not concern the author.
        if let Some(kind) = kind.filter(|kind| kind != "inactive") {
            node = node.attr("type", kind);
        }
        node = if to.is_group() { node.attr("from", to).attr("participant", own) } else { node.attr("from", own) };
        if let Some(recipient) = text(stanza, "recipient") {
            node = node.attr("recipient", recipient);
        }
        if let Some(children) = stanza.children() {
            node = node.children(children.to_vec());
        }
        let node = node.build();
        let parcels = addressees.into_iter().filter(|device| device != sender).map(|device| (device, node.clone()));
        Some(self.deliver(parcels.collect()))
    }

    fn route_chat_state(&self, sender: &DeviceId, stanza: &Node) -> Option<BTreeSet<String>> {
        let to = jid(stanza, "to")?;
        let phone = self.account(&sender.number)?;
        let own = device_jid(&phone, 0, to.is_lid());
        let mut node = NodeBuilder::new("chatstate");
        let addressees = if to.is_group() {
            node = node.attr("from", to.clone()).attr("participant", own);
            self.members(&to)?
        } else {
            node = node.attr("from", own);
            vec![self.account_of(&to)?.number]
        };
        let node = node.children(stanza.children().unwrap_or_default().to_vec()).build();
        let mut phones = BTreeSet::new();
        for number in addressees.into_iter().filter(|number| *number != sender.number) {
            for device in self.devices_of(&number) {
                self.pass(&device, node.clone());
            }
            phones.insert(number);
        }
        Some(phones)
    }

    /// A client says whether it is there, or asks to be told whether somebody else is.
    fn take_presence(&self, sender: &DeviceId, stanza: &Node) {
        match text(stanza, "type").as_deref() {
            Some("subscribe") => {
                let Some(account) = jid(stanza, "to").and_then(|to| self.account_of(&to)) else { return };
                let is_there = {
                    let mut post = self.post.state.lock();
                    post.watchers.entry(account.number.clone()).or_default().insert(sender.clone());
                    post.present.contains(&account.number)
                };
                self.pass(sender, self.presence_node(&account, is_there));
            }
            Some("unavailable") => self.announce(&sender.number, false),
            None | Some("available") => self.announce(&sender.number, true),
            Some(_) => {}
        }
    }

    /// Tells those who want to know that an account is there, or no longer.
    pub(super) fn announce(&self, number: &str, is_there: bool) {
        let Some(account) = self.account(number) else { return };
        let watchers = {
            let mut post = self.post.state.lock();
            if is_there {
                post.present.insert(account.number.clone());
            } else {
                post.present.remove(&account.number);
            }
            post.watchers.get(&account.number).cloned().unwrap_or_default()
        };
        for watcher in watchers.iter().filter(|watcher| watcher.number != account.number) {
            self.pass(watcher, self.presence_node(&account, is_there));
        }
    }

    fn presence_node(&self, account: &Phone, is_there: bool) -> Node {
        let node = NodeBuilder::new("presence").attr("from", account.jid());
        if is_there {
            return node.build();
        }
        node.attr("type", "unavailable").attr("last", self.now().timestamp()).build()
    }
}

/// The sealed parts of a stanza that is for exactly one device.
pub(super) fn sealed_in(node: &Node) -> Vec<Node> {
    let children = node.children().unwrap_or_default().iter();
    children.filter(|child| matches!(child.tag.as_ref(), "enc" | "unavailable")).cloned().collect()
}

/// The parts for each device, if a stanza has any.
pub(super) fn parts_of(stanza: &Node) -> Option<Vec<(Jid, Vec<Node>)>> {
    let participants = stanza.get_optional_child("participants")?;
    let parts = participants.get_children_by_tag("to").filter_map(|to| Some((jid(to, "jid")?, sealed_in(to))));
    Some(parts.collect())
}
