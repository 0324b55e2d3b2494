//! What the server answers to the requests of a linked device.
//!
//! The questions a client asks on its way to "connected" get real answers; whatever else it may ask gets an empty
//! result, as clients treat a missing optional part.

use sha1::{Digest as _, Sha1};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeRef, SERVER_JID};

use super::device::{Device, PreKey, SignedPreKey};
use super::messages::{KeyBundle, key_nodes};
use super::phone::Phone;

/// What answering a request does besides.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Effect {
    /// Nothing.
    None,
    /// The device wants what it missed, and from now on what comes.
    Active,
    /// It has uploaded one-time prekeys.
    PreKeys(Vec<PreKey>),
    /// It has changed its signed prekey.
    SignedPreKey(SignedPreKey),
    /// It wants to be removed from its account.
    Remove,
}

/// An answer and what it does besides.
pub(super) struct Answer {
    /// What is sent back; nothing, if the stanza wants no answer.
    pub(super) reply: Option<Node>,
    /// What it does besides.
    pub(super) effect: Effect,
}

impl Answer {
    fn of(reply: Node) -> Self {
        Self { reply: Some(reply), effect: Effect::None }
    }

    fn nothing() -> Self {
        Self { reply: None, effect: Effect::None }
    }
}

/// What an answer may need to know.
pub(super) struct Facts<'a> {
    /// The device that asks.
    pub(super) device: &'a Device,
    /// The devices of an account, by its number or hidden id: number and link index.
    pub(super) device_list: &'a dyn Fn(&str) -> Vec<(u16, u32)>,
    /// An account, by its number or hidden id.
    pub(super) account: &'a dyn Fn(&str) -> Option<Phone>,
    /// The keys of a device, by its address. A one-time prekey is used up by it.
    pub(super) key_bundle: &'a dyn Fn(&Jid) -> Option<KeyBundle>,
    /// The media server: its host and what is to be shown there.
    pub(super) media: (String, &'a str),
    /// Brings the account's app state up to date on both sides: `<sync>`.
    pub(super) app_state: &'a dyn Fn(&Node) -> Node,
    /// The address of a file of the media server.
    pub(super) picture_url: &'a dyn Fn(&str) -> String,
}

/// Answers one stanza of a linked device.
pub(super) fn answer(stanza: &NodeRef<'_>, facts: &Facts<'_>) -> Answer {
    match stanza.tag.as_ref() {
        "iq" => answer_request(stanza, facts),
        class @ ("message" | "receipt" | "notification" | "call") => acknowledge(stanza, class),
        _ => Answer::nothing(),
    }
}

fn attr(node: &NodeRef<'_>, name: &str) -> String {
    node.get_attr(name).map(|value| value.as_str().into_owned()).unwrap_or_default()
}

fn acknowledge(stanza: &NodeRef<'_>, class: &str) -> Answer {
    let ack =
        NodeBuilder::new("ack").attr("class", class).attr("id", attr(stanza, "id")).attr("from", attr(stanza, "to"));
    Answer::of(ack.build())
}

fn answer_request(request: &NodeRef<'_>, facts: &Facts<'_>) -> Answer {
    let kind = attr(request, "type");
    if kind == "result" || kind == "error" {
        return Answer::nothing();
    }
    let id = attr(request, "id");
    let result = |children: Vec<Node>| result(&id, children);
    let namespace = attr(request, "xmlns");
    let child = |tag: &str| request.get_optional_child(tag);
    match namespace.as_str() {
        "passive" if child("active").is_some() => Answer { reply: Some(result(vec![])), effect: Effect::Active },
        "encrypt" => answer_keys(request, &id, facts),
        "md" if child("remove-companion-device").is_some() => {
            Answer { reply: Some(result(vec![])), effect: Effect::Remove }
        }
        "usync" => Answer::of(result(vec![user_sync(request, facts)])),
        "w:sync:app:state" => Answer::of(result(vec![(facts.app_state)(&request.to_owned())])),
        "w:profile:picture" => Answer::of(picture(request, &id, facts)),
        "abt" => Answer::of(result(vec![NodeBuilder::new("props").attr("protocol", "1").build()])),
        "privacy" => Answer::of(result(vec![NodeBuilder::new("privacy").build()])),
        "blocklist" => Answer::of(result(vec![NodeBuilder::new("list").build()])),
        "w:m" => Answer::of(result(vec![media_connection(facts)])),
        _ => Answer::of(result(vec![])),
    }
}

fn result(id: &str, children: Vec<Node>) -> Node {
    let node = NodeBuilder::new("iq").attr("from", SERVER_JID).attr("type", "result").attr("id", id);
    if children.is_empty() { node.build() } else { node.children(children).build() }
}

fn refusal(id: &str, code: &'static str, text: &'static str) -> Node {
    let error = NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    let node = NodeBuilder::new("iq").attr("from", SERVER_JID).attr("type", "error").attr("id", id);
    node.children([error]).build()
}

fn answer_keys(request: &NodeRef<'_>, id: &str, facts: &Facts<'_>) -> Answer {
    let device = facts.device;
    if let Some(asked) = request.get_optional_child("key") {
        let users = asked.get_children_by_tag("user").map(|user| user_keys(&attr(user, "jid"), facts));
        return Answer::of(result(id, vec![NodeBuilder::new("list").children(users.collect::<Vec<_>>()).build()]));
    }
    if request.get_optional_child("count").is_some() {
        let count = NodeBuilder::new("count").attr("value", device.prekeys.len()).build();
        return Answer::of(result(id, vec![count]));
    }
    if request.get_optional_child("digest").is_some() {
        return Answer::of(result(id, vec![digest(device)]));
    }
    let effect = if let Some(list) = request.get_optional_child("list") {
        Effect::PreKeys(list.get_children_by_tag("key").filter_map(prekey).collect())
    } else {
        let rotated = request.get_optional_child("rotate").and_then(|rotate| rotate.get_optional_child("skey"));
        rotated.and_then(signed_prekey).map_or(Effect::None, Effect::SignedPreKey)
    };
    Answer { reply: Some(result(id, vec![])), effect }
}

/// The keys of one device; an error in their place if there is none.
fn user_keys(address: &str, facts: &Facts<'_>) -> Node {
    let user = NodeBuilder::new("user").attr("jid", address);
    let Some(keys) = address.parse().ok().and_then(|jid| (facts.key_bundle)(&jid)) else {
        let error = NodeBuilder::new("error").attr("code", "406").attr("text", "not-acceptable").build();
        return user.children([error]).build();
    };
    let registration = NodeBuilder::new("registration").bytes(keys.registration_id.to_be_bytes()).build();
    user.children([registration].into_iter().chain(key_nodes(&keys))).build()
}

fn short_id(node: &NodeRef<'_>) -> Option<u32> {
    let [a, b, c] = <[u8; 3]>::try_from(node.get_optional_child("id")?.content_bytes()?).ok()?;
    Some(u32::from_be_bytes([0, a, b, c]))
}

fn prekey(node: &NodeRef<'_>) -> Option<PreKey> {
    Some((short_id(node)?, node.get_optional_child("value")?.content_bytes()?.try_into().ok()?))
}

fn signed_prekey(node: &NodeRef<'_>) -> Option<SignedPreKey> {
    Some(SignedPreKey {
        id: short_id(node)?,
        public: node.get_optional_child("value")?.content_bytes()?.try_into().ok()?,
        signature: node.get_optional_child("signature")?.content_bytes()?.try_into().ok()?,
    })
}

/// The server's view of a device's keys, with a hash by which the device sees whether they agree.
fn digest(device: &Device) -> Node {
    let registration = &device.registration;
    let signed = &registration.signed_prekey;
    let mut hash = Sha1::new();
    hash.update(registration.identity_key);
    hash.update(signed.public);
    hash.update(signed.signature);
    for (_, key) in device.prekeys.iter() {
        hash.update(key);
    }
    let leaf = |tag: &'static str, bytes: &[u8]| NodeBuilder::new(tag).bytes(bytes).build();
    let short = |id: u32| NodeBuilder::new("id").bytes(&id.to_be_bytes()[1..]).build();
    NodeBuilder::new("digest")
        .children([
            leaf("registration", &registration.signal_id.to_be_bytes()),
            leaf("type", &[5]),
            leaf("identity", &registration.identity_key),
            NodeBuilder::new("skey")
                .children([short(signed.id), leaf("value", &signed.public), leaf("signature", &signed.signature)])
                .build(),
            NodeBuilder::new("list").children(device.prekeys.iter().map(|(id, _)| short(*id))).build(),
            leaf("hash", &hash.finalize()),
        ])
        .build()
}

/// What is asked about accounts: whether they are here, their hidden ids, their devices.
fn user_sync(request: &NodeRef<'_>, facts: &Facts<'_>) -> Node {
    let usync = request.get_optional_child("usync");
    let query = usync.and_then(|usync| usync.get_optional_child("query"));
    let asks = |tag: &str| query.is_none_or(|query| query.get_optional_child(tag).is_some());
    let asked = usync.and_then(|usync| usync.get_optional_child("list"));
    let asked = asked.into_iter().flat_map(|list| list.get_children_by_tag("user"));
    let users = asked.map(|user| {
        let jid = attr(user, "jid");
        let contact = user.get_optional_child("contact").and_then(NodeRef::content_as_string);
        let name = contact.as_ref().map_or(jid.as_str(), |number| number.trim_start_matches('+'));
        let name = name.split(['@', ':']).next().unwrap_or_default();
        let account = (facts.account)(name);
        let mut children = Vec::new();
        if query.is_some() && asks("contact") {
            let kind = if account.is_some() { "in" } else { "out" };
            let node = NodeBuilder::new("contact").attr("type", kind);
            // The number is repeated as it was asked for.
            let node = if let Some(number) = &contact { node.bytes(number.as_bytes()) } else { node };
            children.push(node.build());
        }
        let Some(account) = account else {
            let jid = if jid.is_empty() { Jid::pn(name).to_string() } else { jid };
            return NodeBuilder::new("user").attr("jid", jid).children(children).build();
        };
        if query.is_some() && asks("lid") {
            children.push(NodeBuilder::new("lid").attr("val", account.lid()).build());
        }
        if asks("devices") {
            children.push(devices_of(&account, &(facts.device_list)(&account.number)));
        }
        let jid = if jid.is_empty() { account.jid().to_string() } else { jid };
        NodeBuilder::new("user").attr("jid", jid).attr("pn_jid", account.jid()).children(children).build()
    });
    let list = NodeBuilder::new("list").children(users.collect::<Vec<_>>()).build();
    NodeBuilder::new("usync").children([NodeBuilder::new("result").build(), list]).build()
}

/// `<devices>` of an account, with the list of its links.
fn devices_of(account: &Phone, devices: &[(u16, u32)]) -> Node {
    let nodes = devices.iter().map(|(device, index)| {
        let node = NodeBuilder::new("device").attr("id", u32::from(*device));
        if *index == 0 { node.build() } else { node.attr("key-index", *index).build() }
    });
    let mut children = vec![NodeBuilder::new("device-list").children(nodes).build()];
    let indexes = devices.iter().map(|(_, index)| *index).collect::<Vec<_>>();
    if let Some((timestamp, signed)) = account.device_list(&indexes) {
        children.push(NodeBuilder::new("key-index-list").attr("ts", timestamp).bytes(signed).build());
    }
    NodeBuilder::new("devices").children(children).build()
}

/// Where the picture of an account is. A group has none here.
fn picture(request: &NodeRef<'_>, id: &str, facts: &Facts<'_>) -> Node {
    let target = attr(request, "target");
    let user = target.split(['@', ':']).next().unwrap_or_default();
    let Some(path) = (facts.account)(user).and_then(|account| account.picture) else {
        return refusal(id, "404", "item-not-found");
    };
    let kind = request.get_optional_child("picture").map(|picture| attr(picture, "type")).unwrap_or_default();
    let name = path.rsplit('/').next().unwrap_or_default();
    let picture = NodeBuilder::new("picture")
        .attr("id", name)
        .attr("type", kind)
        .attr("url", (facts.picture_url)(&path))
        .attr("direct_path", path.as_str())
        .build();
    result(id, vec![picture])
}

/// Where media is uploaded.
fn media_connection(facts: &Facts<'_>) -> Node {
    let (host, auth) = &facts.media;
    let host = NodeBuilder::new("host").attr("hostname", host.as_str()).attr("type", "primary").build();
    NodeBuilder::new("media_conn")
        .attr("auth", *auth)
        .attr("ttl", "3600")
        .attr("auth_ttl", "3600")
        .attr("max_buckets", "12")
        .children([host])
        .build()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::super::device::{DeviceId, Registration};
    use super::super::phone::DeviceDetails;
    use super::*;

    fn device() -> Device {
        Device {
            id: DeviceId { number: "15550100000".to_owned(), device: 1 },
            noise_key: [1; 32],
            registration: Registration {
                identity_key: [2; 32],
                signal_id: 7,
                signed_prekey: SignedPreKey { id: 1, public: [3; 32], signature: [4; 64] },
                name: "wagate".to_owned(),
            },
            details: DeviceDetails { raw_id: 5, timestamp: 6, key_index: 1 },
            has_app_state_key: false,
            prekeys: Arc::from([(9, [9; 32])]),
            logins: 0,
            live_sockets: 0,
            most_live_sockets: 0,
        }
    }

    fn phone() -> Phone {
        let mut rng = StdRng::seed_from_u64(1);
        let phone = Phone::generate("15550100000".to_owned(), "Nadia".to_owned(), &mut rng);
        Phone { picture: Some("/mms/picture/a".to_owned()), ..phone }
    }

    fn ask(stanza: &Node) -> Answer {
        let facts = Facts {
            device: &device(),
            device_list: &|user| if user == "15550100000" { vec![(0, 0), (1, 1)] } else { vec![] },
            account: &|user| (user == "15550100000").then(phone),
            key_bundle: &|_| None,
            media: ("127.0.0.1:1".to_owned(), "word"),
            app_state: &|_| NodeBuilder::new("sync").build(),
            picture_url: &|path| format!("at {path}"),
        };
        answer(&stanza.as_node_ref(), &facts)
    }

    fn request(namespace: &'static str, kind: &'static str, child: Node) -> Node {
        NodeBuilder::new("iq")
            .attr("id", "1.2")
            .attr("xmlns", namespace)
            .attr("type", kind)
            .attr("to", SERVER_JID)
            .children([child])
            .build()
    }

    #[test]
    fn an_unknown_request_gets_an_empty_result() {
        let answer = ask(&request("w:new", "get", NodeBuilder::new("anything").build()));
        let expected = NodeBuilder::new("iq").attr("from", SERVER_JID).attr("type", "result").attr("id", "1.2").build();
        assert_eq!((answer.reply, answer.effect), (Some(expected), Effect::None));
    }

    #[test]
    fn what_is_itself_an_answer_is_not_answered() {
        for kind in ["result", "error"] {
            assert_eq!(ask(&request("w:p", kind, NodeBuilder::new("ping").build())).reply, None);
        }
        assert_eq!(ask(&NodeBuilder::new("presence").build()).reply, None);
    }

    #[test]
    fn a_number_is_answered_as_it_was_asked_for_whether_or_not_it_is_here() {
        let user = |number: &str| {
            let contact = NodeBuilder::new("contact").bytes(number.as_bytes()).build();
            NodeBuilder::new("user").children([contact]).build()
        };
        let query = NodeBuilder::new("query").children([NodeBuilder::new("contact").build()]).build();
        let list = NodeBuilder::new("list").children([user("+15550100000"), user("+15550199999")]).build();
        let usync = NodeBuilder::new("usync").children([query, list]).build();
        let reply = ask(&request("usync", "get", usync)).reply.unwrap();
        let users = reply.get_optional_child_by_tag(&["usync", "list"]).and_then(Node::children).unwrap();
        let told = users.iter().map(|user| {
            let contact = user.get_optional_child("contact").unwrap();
            let kind = contact.attrs.get("type").unwrap().as_str().into_owned();
            (
                user.attrs.get("jid").unwrap().as_str().into_owned(),
                kind,
                contact.content_as_string().unwrap().to_string(),
            )
        });
        let expected = [("15550100000", "in"), ("15550199999", "out")];
        let expected =
            expected.map(|(number, kind)| (format!("{number}@s.whatsapp.net"), kind.to_owned(), format!("+{number}")));
        assert_eq!(told.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_picture_is_where_its_owner_put_it_and_else_not_found() {
        for (number, kind) in [("15550100000", "result"), ("15550199999", "error")] {
            let mut asked =
                request("w:profile:picture", "get", NodeBuilder::new("picture").attr("type", "image").build());
            asked.attrs.insert("target", format!("{number}@s.whatsapp.net"));
            let reply = ask(&asked).reply.unwrap();
            assert_eq!(reply.attrs.get("type").unwrap().as_str(), kind);
            let url = reply.get_optional_child("picture").and_then(|picture| picture.attrs.get("url"));
            assert_eq!(
                url.map(|url| url.as_str().into_owned()),
                (kind == "result").then(|| "at /mms/picture/a".to_owned())
            );
        }
    }

    #[test]
    fn uploaded_prekeys_are_taken_and_malformed_ones_left() {
        let key = |id: &[u8]| {
            let id = NodeBuilder::new("id").bytes(id).build();
            NodeBuilder::new("key").children([id, NodeBuilder::new("value").bytes([8; 32]).build()]).build()
        };
        let list = NodeBuilder::new("list").children([key(&[0, 1, 2]), key(&[1])]).build();
        assert_eq!(ask(&request("encrypt", "set", list)).effect, Effect::PreKeys(vec![(258, [8; 32])]));
    }

    #[test]
    fn an_account_s_devices_are_listed() {
        let user = NodeBuilder::new("user").attr("jid", "15550100000@s.whatsapp.net").build();
        let list = NodeBuilder::new("list").children([user]).build();
        let reply = ask(&request("usync", "get", NodeBuilder::new("usync").children([list]).build())).reply.unwrap();
        let path = ["usync", "list", "user", "devices", "device-list"];
        let devices = reply.get_optional_child_by_tag(&path).and_then(Node::children).unwrap();
        let ids = devices.iter().map(|device| device.attrs().optional_u64("id")).collect::<Vec<_>>();
        assert_eq!(ids, [Some(0), Some(1)]);
    }
}
