//! What happens when a message cannot be read: its reader asks for it again, its author seals it anew.

use buffa::{Message as _, MessageField};
use rand::rngs::StdRng;
use wacore::messages::{MessageUtils, wrap_device_sent};
use wacore::send::stanza_type_from_message;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};
use waproto::whatsapp::Message;
use waproto::whatsapp::message::SenderKeyDistributionMessage;

use super::messenger::Messenger;
use super::route::{device_jid, jid, text};
use super::send::sealed_node;
use super::signal::KeyBundle;
use crate::sandbox::device::{PreKey, SignedPreKey};
use crate::sandbox::network::Network;

/// Nobody asks more often for one message.
const ATTEMPTS: u8 = 4;
/// From this attempt on the reader sends keys for a new session along.
const ATTEMPT_WITH_KEYS: u8 = 2;

fn leaf(tag: &'static str, bytes: &[u8]) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

fn short(id: u32) -> Node {
    leaf("id", &id.to_be_bytes()[1..])
}

/// `<keys>` of a retry receipt, and what stands in the answer to a request for keys.
pub(in crate::sandbox) fn key_nodes(keys: &KeyBundle) -> Vec<Node> {
    let signed = &keys.signed_prekey;
    let mut nodes = vec![leaf("type", &[5]), leaf("identity", &keys.identity_key)];
    if let Some((id, key)) = &keys.prekey {
        nodes.push(NodeBuilder::new("key").children([short(*id), leaf("value", key)]).build());
    }
    let signed = [short(signed.id), leaf("value", &signed.public), leaf("signature", &signed.signature)];
    nodes.push(NodeBuilder::new("skey").children(signed).build());
    if let Some(identity) = &keys.device_identity {
        nodes.push(leaf("device-identity", identity));
    }
    nodes
}

fn bytes<'n>(node: &'n Node, tag: &str) -> Option<&'n [u8]> {
    match node.get_optional_child(tag)?.content.as_ref()? {
        wacore_binary::NodeContent::Bytes(bytes) => Some(bytes.as_slice()),
        _ => None,
    }
}

fn id_and_key(node: &Node) -> Option<PreKey> {
    let [a, b, c] = <[u8; 3]>::try_from(bytes(node, "id")?).ok()?;
    Some((u32::from_be_bytes([0, a, b, c]), bytes(node, "value")?.try_into().ok()?))
}

/// The keys that a reader has sent along.
fn keys_in(receipt: &Node) -> Option<KeyBundle> {
    let keys = receipt.get_optional_child("keys")?;
    let signed = keys.get_optional_child("skey")?;
    let (id, public) = id_and_key(signed)?;
    Some(KeyBundle {
        registration_id: u32::from_be_bytes(bytes(receipt, "registration")?.try_into().ok()?),
        identity_key: bytes(keys, "identity")?.try_into().ok()?,
        signed_prekey: SignedPreKey { id, public, signature: bytes(signed, "signature")?.try_into().ok()? },
        prekey: keys.get_optional_child("key").and_then(id_and_key),
        device_identity: None,
    })
}

/// A phone cannot read a message and asks its author for it again.
pub(super) fn ask_again(messenger: &mut Messenger, node: &Node, rng: &mut StdRng) -> Option<Node> {
    let id = text(node, "id")?;
    let from = jid(node, "from")?;
    let attempt = messenger.retries.entry(id.clone()).or_default();
    if *attempt >= ATTEMPTS {
        return None;
    }
    *attempt += 1;
    let attempt = *attempt;
    let retry = NodeBuilder::new("retry")
        .attr("v", "1")
        .attr("id", id.as_str())
        .attr("t", text(node, "t").unwrap_or_default())
        .attr("count", attempt)
        .build();
    let keys = messenger.signal.bundle(rng);
    let mut children = vec![retry, leaf("registration", &keys.registration_id.to_be_bytes())];
    if attempt >= ATTEMPT_WITH_KEYS {
        children.push(NodeBuilder::new("keys").children(key_nodes(&keys)).build());
    }
    let mut receipt = NodeBuilder::new("receipt").attr("to", from.clone()).attr("id", id).attr("type", "retry");
    if from.is_group() {
        receipt = receipt.attr("participant", jid(node, "participant")?);
    } else if let Some(recipient) = text(node, "recipient") {
        receipt = receipt.attr("recipient", recipient);
    }
    Some(receipt.children(children).build())
}

impl Network {
    /// A reader has asked for a message again: it is sealed anew, in a new session if there are keys for one.
    pub(super) fn send_again(&self, messenger: &mut Messenger, receipt: &Node, rng: &mut StdRng) -> Option<Node> {
        let retry = receipt.get_optional_child("retry")?;
        let count: u8 = text(retry, "count")?.parse().ok()?;
        if count > ATTEMPTS {
            return None;
        }
        let id = text(retry, "id")?;
        let from = jid(receipt, "from")?;
        let reader = if from.is_group() { jid(receipt, "participant")? } else { from.clone() };
        let device = self.device_at(&reader)?;
        let sent = messenger.memory.sent(&id)?;
        let chat: Jid = sent.item.chat.parse().ok()?;
        let mut message = Message::decode_from_slice(&sent.message).ok()?;
        // A linked device's keys are the server's to give; another phone's are behind its lock, and come along if needed.
        let keys = keys_in(receipt).or_else(|| (device.device != 0).then(|| self.key_bundle(&device)).flatten());
        if let Some(keys) = keys {
            messenger.signal.begin(&device, &keys, rng).ok()?;
        }
        if chat.is_group() {
            let group = chat.to_string();
            let key = SenderKeyDistributionMessage {
                group_id: Some(group.clone()),
                axolotl_sender_key_distribution_message: Some(
                    messenger.signal.sender_key(&group, &messenger.me, rng).ok()?,
                ),
            };
            message.sender_key_distribution_message = MessageField::some(key);
        }
        let kind = stanza_type_from_message(&message);
        let plain = if device.number == messenger.me.number && !chat.is_group() {
            MessageUtils::encode_and_pad(&wrap_device_sent(message.clone(), chat.to_string()))
        } else {
            MessageUtils::encode_and_pad(&message)
        };
        let (sealing, sealed) = messenger.signal.seal(&device, &plain).ok()?;
        let mut sealed = sealed_node(sealing, sealed, Some(&message));
        sealed.attrs.insert("count", count);
        let address = device_jid(&self.account(&device.number)?, device.device, false);
        let mut stanza = NodeBuilder::new("message").attr("id", id).attr("type", kind).children([sealed]);
        stanza = if chat.is_group() {
            stanza.attr("to", chat).attr("participant", address)
        } else {
            stanza.attr("to", address).attr("recipient", chat)
        };
        Some(stanza.build())
    }
}
