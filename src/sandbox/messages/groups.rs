//! Groups: who is in them, what clients ask about them, and what their members are told.

use std::collections::{BTreeMap, BTreeSet};

use buffa::MessageField;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use wacore::messages::MessageUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::Message;
use waproto::whatsapp::message::SenderKeyDistributionMessage;

use super::MessageError;
use super::messenger::Messenger;
use super::route::{device_jid, jid, parts_of, sealed_in, text};
use super::send::sealed_node;
use super::signal::Sealing;
use crate::sandbox::device::DeviceId;
use crate::sandbox::network::Network;
use crate::sandbox::phone::Phone;

/// A group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::sandbox) struct Group {
    pub(super) id: String,
    pub(super) subject: String,
    #[serde(default)]
    pub(super) description: Option<(String, String)>,
    pub(super) creator: String,
    pub(super) created_at: i64,
    pub(super) invite_code: String,
    /// Members by number, and whether they are admins.
    pub(super) members: BTreeMap<String, bool>,
}

/// A group, as the control API shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct GroupView {
    /// Its address.
    pub jid: String,
    /// Its name.
    pub subject: String,
    /// The numbers of its members.
    pub participants: Vec<String>,
    /// The numbers of its admins.
    pub admins: Vec<String>,
    /// What lets people in.
    pub invite_code: String,
}

/// A request about a group that is refused: WhatsApp's code and words.
type Refused = (&'static str, &'static str);

/// There is no such group.
const NOT_FOUND: Refused = ("404", "item-not-found");
/// Whoever asks is not in the group, or is no admin of it.
const FORBIDDEN: Refused = ("403", "forbidden");
/// Only admins are told.
const NOT_AUTHORIZED: Refused = ("401", "not-authorized");
/// It is no request that a client makes.
const BAD_REQUEST: Refused = ("400", "bad-request");

impl Group {
    fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }

    fn view(&self) -> GroupView {
        GroupView {
            jid: self.jid().to_string(),
            subject: self.subject.clone(),
            participants: self.members.keys().cloned().collect(),
            admins: self.members.iter().filter(|(_, is_admin)| **is_admin).map(|(number, _)| number.clone()).collect(),
            invite_code: self.invite_code.clone(),
        }
    }

    fn is_admin(&self, number: &str) -> bool {
        self.members.get(number) == Some(&true)
    }
}

impl Network {
    /// The numbers of a group's members; `None` if there is no such group.
    pub(super) fn members(&self, group: &Jid) -> Option<Vec<String>> {
        Some(self.post.state.lock().groups.get(group.user.as_str())?.members.keys().cloned().collect())
    }

    /// Every group, ordered by address.
    pub(in crate::sandbox) fn group_views(&self) -> Vec<GroupView> {
        self.post.state.lock().groups.values().map(Group::view).collect()
    }

    /// A phone makes a group.
    pub(in crate::sandbox) fn create_group(
        &self,
        creator: &str,
        subject: &str,
        participants: &[String],
    ) -> Result<GroupView, MessageError> {
        let creator = self.account(creator).ok_or(MessageError::NoPhone)?;
        let members = participants.iter().map(|member| {
            let user = member.strip_prefix('+').unwrap_or(member).split('@').next().unwrap_or_default();
            Ok(self.account(user).ok_or(MessageError::NoRecipient)?.number)
        });
        let members = members.collect::<Result<BTreeSet<_>, MessageError>>()?;
        let group = self.new_group(&creator, subject, members);
        Ok(group.view())
    }

    fn new_group(&self, creator: &Phone, subject: &str, members: BTreeSet<String>) -> Group {
        let mut rng = self.rng();
        let mut members = members.into_iter().map(|member| (member, false)).collect::<BTreeMap<_, _>>();
        members.insert(creator.number.clone(), true);
        let group = Group {
            id: format!("1203630{:011}", rng.random_range(0..100_000_000_000_u64)),
            subject: subject.to_owned(),
            description: None,
            creator: creator.number.clone(),
            created_at: self.now().timestamp(),
            invite_code: format!("{:016x}", rng.random::<u64>()),
            members,
        };
        self.keep_group(&group);
        let told = NodeBuilder::new("create").attr("type", "new").children([self.group_node(&group)]).build();
        self.notify_members(&group, creator, &told, None);
        group
    }

    fn keep_group(&self, group: &Group) {
        let mut post = self.post.state.lock();
        post.groups.insert(group.id.clone(), group.clone());
        post.have_groups_changed = true;
        drop(post);
        self.post.changed.notify_one();
    }

    /// `<group>`, as it stands in answers and notifications.
    fn group_node(&self, group: &Group) -> Node {
        let address = |number: &str| self.account(number).map(|phone| phone.jid().to_string()).unwrap_or_default();
        let mut children = group
            .members
            .iter()
            .filter_map(|(number, is_admin)| {
                let mut node = participant_node(&self.account(number)?);
                if *is_admin {
                    let rank = if *number == group.creator { "superadmin" } else { "admin" };
                    node.attrs.insert("type", rank);
                }
                Some(node)
            })
            .collect::<Vec<_>>();
        if let Some((id, body)) = &group.description {
            let body = NodeBuilder::new("body").bytes(body.as_bytes()).build();
            children.push(NodeBuilder::new("description").attr("id", id.as_str()).children([body]).build());
        }
        NodeBuilder::new("group")
            .attr("id", group.id.as_str())
            .attr("subject", group.subject.as_str())
            .attr("s_t", group.created_at)
            .attr("s_o", address(&group.creator))
            .attr("creation", group.created_at)
            .attr("creator", address(&group.creator))
            .attr("addressing_mode", "pn")
            .attr("size", group.members.len())
            .children(children)
            .build()
    }

    /// Tells every member's devices (and `also`, who no longer is one) what has changed.
    fn notify_members(&self, group: &Group, by: &Phone, change: &Node, also: Option<&BTreeSet<String>>) {
        let id = format!("{:x}", self.rng().random::<u32>());
        let node = NodeBuilder::new("notification")
            .attr("from", group.jid())
            .attr("type", "w:gp2")
            .attr("id", id)
            .attr("t", self.now().timestamp())
            .attr("participant", by.jid())
            .attr("addressing_mode", "pn")
            .attr("notify", by.name.as_str())
            .children([change.clone()])
            .build();
        let told = group.members.keys().chain(also.into_iter().flatten()).collect::<BTreeSet<_>>();
        let devices = told.into_iter().flat_map(|number| self.devices_of(number));
        let phones = self.deliver(devices.map(|device| (device, node.clone())).collect());
        self.work(phones);
    }

    /// Answers a request about groups (`w:g2`) of a linked device.
    pub(in crate::sandbox) fn answer_about_groups(&self, asker: &DeviceId, request: &Node) -> Option<Node> {
        let by = self.account(&asker.number)?;
        let to = jid(request, "to")?;
        let id = text(request, "id")?;
        let result = NodeBuilder::new("iq").attr("from", to.clone()).attr("type", "result").attr("id", id.as_str());
        let asked = request.children()?.first()?;
        let answer = if to.user.is_empty() {
            Ok(self.answer_about_all_groups(&by, asked))
        } else {
            self.answer_about_one_group(&by, &to, request, asked)
        };
        let (code, words) = match answer {
            Ok(children) => return Some(result.children(children).build()),
            Err(refused) => refused,
        };
        let error = NodeBuilder::new("error").attr("code", code).attr("text", words).build();
        let refusal = NodeBuilder::new("iq").attr("from", to).attr("type", "error").attr("id", id);
        Some(refusal.children([error]).build())
    }

    fn answer_about_all_groups(&self, by: &Phone, asked: &Node) -> Vec<Node> {
        match asked.tag.as_ref() {
            "participating" => {
                let groups = self.post.state.lock().groups.values().cloned().collect::<Vec<_>>();
                let mine = groups.iter().filter(|group| group.members.contains_key(&by.number));
                let groups = mine.map(|group| self.group_node(group)).collect::<Vec<_>>();
                vec![NodeBuilder::new("groups").children(groups).build()]
            }
            "create" => {
                let named = asked.get_children_by_tag("participant").filter_map(|node| jid(node, "jid"));
                let members = named.filter_map(|member| Some(self.account_of(&member)?.number)).collect();
                let group = self.new_group(by, &text(asked, "subject").unwrap_or_default(), members);
                vec![self.group_node(&group)]
            }
            "leave" => {
                let groups = asked.get_children_by_tag("group").filter_map(|node| jid(node, "id"));
                let is_in = |group: &Jid| self.members(group).is_some_and(|members| members.contains(&by.number));
                for group in groups.filter(is_in) {
                    self.change_members(by, &group, "remove", &BTreeSet::from([by.number.clone()]));
                }
                vec![asked.clone()]
            }
            _ => Vec::new(),
        }
    }

    fn answer_about_one_group(&self, by: &Phone, to: &Jid, request: &Node, asked: &Node) -> Result<Vec<Node>, Refused> {
        let group = self.post.state.lock().groups.get(to.user.as_str()).cloned();
        let mut group = group.ok_or(NOT_FOUND)?;
        if !group.members.contains_key(&by.number) {
            return Err(FORBIDDEN);
        }
        let is_admin = group.is_admin(&by.number);
        match asked.tag.as_ref() {
            "query" => Ok(vec![self.group_node(&group)]),
            "invite" if !is_admin => Err(NOT_AUTHORIZED),
            "remove" | "promote" | "demote" if !is_admin => Err(FORBIDDEN),
            "invite" => {
                if text(request, "type").as_deref() == Some("set") {
                    group.invite_code = format!("{:016x}", self.rng().random::<u64>());
                    self.keep_group(&group);
                }
                Ok(vec![NodeBuilder::new("invite").attr("code", group.invite_code).build()])
            }
            "add" => Ok(self.answer_change(by, &group, "add", asked)),
            "remove" => Ok(self.answer_change(by, &group, "remove", asked)),
            "promote" => Ok(self.answer_change(by, &group, "promote", asked)),
            "demote" => Ok(self.answer_change(by, &group, "demote", asked)),
            "subject" => {
                group.subject = asked.content_as_string().map(|subject| subject.to_string()).ok_or(BAD_REQUEST)?;
                self.keep_group(&group);
                let told = NodeBuilder::new("subject")
                    .attr("subject", group.subject.as_str())
                    .attr("s_t", self.now().timestamp())
                    .attr("s_o", by.jid())
                    .build();
                self.notify_members(&group, by, &told, None);
                Ok(Vec::new())
            }
            "description" => {
                let body = asked.get_optional_child("body").and_then(Node::content_as_string);
                let id = text(asked, "id").unwrap_or_default();
                group.description = body.map(|body| (id, body.to_string()));
                self.keep_group(&group);
                self.notify_members(&group, by, asked, None);
                Ok(Vec::new())
            }
            _ => Ok(Vec::new()),
        }
    }

    fn answer_change(&self, by: &Phone, group: &Group, action: &'static str, asked: &Node) -> Vec<Node> {
        let named = asked.get_children_by_tag("participant").filter_map(|node| jid(node, "jid"));
        let named = named.map(|address| (self.account_of(&address).map(|phone| phone.number), address));
        let mut changed = BTreeSet::new();
        let answered = named.map(|(number, address)| {
            let node = NodeBuilder::new("participant").attr("jid", address);
            let is_member = number.as_ref().map(|number| group.members.contains_key(number));
            match (action, is_member, number) {
                ("add", Some(true), _) => node.attr("error", "409").build(),
                ("add", Some(false), Some(number)) | (_, Some(true), Some(number)) => {
                    changed.insert(number);
                    node.build()
                }
                _ => node.attr("error", "404").build(),
            }
        });
        let answered = answered.collect::<Vec<_>>();
        if !changed.is_empty() {
            self.change_members(by, &group.jid(), action, &changed);
        }
        vec![NodeBuilder::new(action).children(answered).build()]
    }

    /// Adds, removes, promotes or demotes members and tells everybody concerned. False if there is no such group.
    pub(in crate::sandbox) fn change_members(
        &self,
        by: &Phone,
        group: &Jid,
        action: &'static str,
        numbers: &BTreeSet<String>,
    ) -> bool {
        let Some(mut group) = self.post.state.lock().groups.get(group.user.as_str()).cloned() else { return false };
        for number in numbers {
            match action {
                "add" => {
                    group.members.entry(number.clone()).or_insert(false);
                }
                "remove" => {
                    group.members.remove(number);
                }
                _ => {
                    if let Some(is_admin) = group.members.get_mut(number) {
                        *is_admin = action == "promote";
                    }
                }
            }
        }
        self.keep_group(&group);
        let named = numbers.iter().filter_map(|number| Some(participant_node(&self.account(number)?)));
        let told = NodeBuilder::new(action).children(named.collect::<Vec<_>>()).build();
        self.notify_members(&group, by, &told, Some(numbers));
        true
    }

    /// Hands a group message to every device of every member: the sealed message, and before it the sender's key for
    /// those it was sealed for.
    pub(super) fn route_group_message(
        &self,
        sender: &DeviceId,
        group: &Jid,
        stanza: &Node,
    ) -> Option<BTreeSet<String>> {
        let members = self.members(group)?;
        let phone = self.account(&sender.number)?;
        if !members.contains(&sender.number) {
            return None;
        }
        let own = device_jid(&phone, sender.device, false);
        let common = sealed_in(stanza);
        let one = jid(stanza, "participant").and_then(|reader| self.device_at(&reader));
        let parts = parts_of(stanza).unwrap_or_default();
        let parts = parts.into_iter().filter_map(|(address, sealed)| Some((self.device_at(&address)?, sealed)));
        let parts = parts.collect::<BTreeMap<_, _>>();
        let mut parcels = Vec::new();
        for device in members.iter().flat_map(|member| self.devices_of(member)) {
            if device == *sender || one.as_ref().is_some_and(|one| *one != device) {
                continue;
            }
            let mut sealed = parts.get(&device).cloned().unwrap_or_default();
            sealed.extend(common.iter().cloned());
            if sealed.is_empty() {
                continue;
            }
            let node = self
                .forwarded(&phone, sender, stanza, sealed)
                .attr("from", group.clone())
                .attr("participant", own.clone())
                .attr("addressing_mode", "pn")
                .attr("participant_lid", device_jid(&phone, sender.device, true));
            parcels.push((device, node.build()));
        }
        Some(self.deliver(parcels))
    }

    /// The children of a phone's message to a group.
    pub(super) fn seal_for_members(
        &self,
        messenger: &mut Messenger,
        group: &Jid,
        devices: &[DeviceId],
        message: &Message,
        rng: &mut StdRng,
    ) -> Result<Vec<Node>, MessageError> {
        let name = group.to_string();
        let me = messenger.me.clone();
        let key = messenger.signal.sender_key(&name, &me, rng)?;
        let given = messenger.has_sender_key.entry(name.clone()).or_default().clone();
        let mut children = Vec::new();
        let lacking = devices.iter().filter(|device| !given.contains(*device)).collect::<Vec<_>>();
        if !lacking.is_empty() {
            let distribution = SenderKeyDistributionMessage {
                group_id: Some(name.clone()),
                axolotl_sender_key_distribution_message: Some(key),
            };
            let plain = MessageUtils::encode_and_pad(&Message {
                sender_key_distribution_message: MessageField::some(distribution),
                ..Default::default()
            });
            let mut parts = Vec::new();
            for device in lacking.into_iter().filter(|device| messenger.signal.knows(device)).collect::<Vec<_>>() {
                let (sealing, bytes) = messenger.signal.seal(device, &plain)?;
                parts.push(self.part(device, sealed_node(sealing, bytes, None)));
                messenger.has_sender_key.entry(name.clone()).or_default().insert(device.clone());
            }
            children.push(NodeBuilder::new("participants").children(parts).build());
        }
        let plain = MessageUtils::encode_and_pad(message);
        let bytes = messenger.signal.seal_for_group(&name, &me, &plain, rng)?;
        children.push(sealed_node(Sealing::SenderKey, bytes, Some(message)));
        Ok(children)
    }
}

fn participant_node(phone: &Phone) -> Node {
    NodeBuilder::new("participant").attr("jid", phone.jid()).attr("lid", phone.lid()).build()
}
