//! What an account shows of itself: its picture, and the marks its devices have put on chats.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rand::RngExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, SERVER_JID};

use super::Network;
use crate::sandbox::app_state::{ChatMarks, PatchRefusal};
use crate::sandbox::bootstrap::{self, NAME_COLLECTION};
use crate::sandbox::device::DeviceId;
use crate::sandbox::messages::MessageError;
use crate::sandbox::phone::Phone;

impl Network {
    /// Sets the picture of an account, given as base64, or takes it away. Where it is, if it is.
    pub(in crate::sandbox) fn set_picture(
        &self,
        number: &str,
        data: Option<&str>,
    ) -> Result<Option<String>, MessageError> {
        let path = data.map(|data| self.media.publish("picture", data)).transpose()?;
        let url = path.as_deref().map(|path| self.media.url(path));
        self.update_phone(number, |phone| phone.picture = path).ok_or(MessageError::NoPhone)?;
        Ok(url)
    }

    /// The chats that an account has marked.
    pub(in crate::sandbox) fn chats(&self, number: &str) -> Option<BTreeMap<String, ChatMarks>> {
        Some(self.account(number)?.app_state.chats().clone())
    }

    /// Answers a device that wants to know what has changed, or has changed something: `<sync>`.
    pub(in crate::sandbox) fn sync_app_state(&self, asker: &DeviceId, request: &Node) -> Node {
        let asked =
            request.get_optional_child("sync").into_iter().flat_map(|sync| sync.get_children_by_tag("collection"));
        let mut changed = BTreeMap::new();
        let collections = asked.filter_map(|asked| {
            let text = |name: &str| asked.attrs.get(name).map(|value| value.as_str().into_owned());
            let name = text("name")?;
            let base = text("version").and_then(|version| version.parse().ok()).unwrap_or_default();
            self.ensure_name(&asker.number, &name);
            let patch = asked.get_optional_child("patch").map(Node::as_node_ref);
            let refusal = patch.and_then(|patch| self.take_patch(asker, &name, base, patch.content_bytes()?));
            let phone = self.account(&asker.number)?;
            let version = phone.app_state.version(&name);
            if refusal.is_none() && asked.get_optional_child("patch").is_some() {
                changed.insert(name.clone(), version);
            }
            Some(collection_node(&phone, name, base, refusal))
        });
        let answer = NodeBuilder::new("sync").children(collections.collect::<Vec<_>>()).build();
        self.tell_of_changes(asker, &changed);
        answer
    }

    fn take_patch(&self, asker: &DeviceId, name: &str, base: u64, patch: &[u8]) -> Option<PatchRefusal> {
        let taken = self.update_phone(&asker.number, |phone| {
            let key = phone.app_state_key.clone();
            Arc::make_mut(&mut phone.app_state).apply(&key, name, base, patch)
        });
        taken?.err()
    }

    /// The account's name is the first thing in its app state.
    fn ensure_name(&self, number: &str, collection: &str) {
        let is_there = || self.account(number).is_none_or(|phone| phone.app_state.version(collection) > 0);
        if collection != NAME_COLLECTION || is_there() {
            return;
        }
        let seconds = self.now().timestamp();
        let mut rng = self.rng();
        self.update_phone(number, |phone| {
            let patch = bootstrap::name_patch(phone, seconds, &mut rng);
            let key = phone.app_state_key.clone();
            // Two devices may have come for it at once; the second patch is one too many.
            let _ = Arc::make_mut(&mut phone.app_state).apply(&key, collection, 0, &patch);
        });
    }

    /// Tells the account's other devices that there is something to fetch.
    fn tell_of_changes(&self, asker: &DeviceId, changed: &BTreeMap<String, u64>) {
        if changed.is_empty() {
            return;
        }
        let collections = changed.iter().map(|(name, version)| {
            NodeBuilder::new("collection").attr("name", name.as_str()).attr("version", *version)
        });
        let node = NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("type", "server_sync")
            .attr("id", format!("{:x}", self.rng().random::<u32>()))
            .attr("t", self.now().timestamp())
            .children(collections.map(NodeBuilder::build).collect::<Vec<_>>())
            .build();
        let linked = self.device_list(&asker.number).into_iter().map(|(device, _)| device);
        let others: BTreeSet<u16> = linked.filter(|device| *device != 0 && *device != asker.device).collect();
        let address = |device| DeviceId { number: asker.number.clone(), device };
        self.deliver(others.into_iter().map(|device| (address(device), node.clone())).collect());
    }

    fn update_phone<T>(&self, number: &str, change: impl FnOnce(&mut Phone) -> T) -> Option<T> {
        let mut state = self.state.lock();
        let changed = change(state.phones.get_mut(number)?);
        self.keep(&mut state, number);
        Some(changed)
    }
}

/// A collection as a device with the version `base` is told of it.
fn collection_node(phone: &Phone, name: String, base: u64, refusal: Option<PatchRefusal>) -> Node {
    let lacking = phone.app_state.since(&name, base);
    let patches = lacking.iter().map(|patch| NodeBuilder::new("patch").bytes(patch.clone()).build());
    let patches = NodeBuilder::new("patches").children(patches.collect::<Vec<_>>()).build();
    let version = phone.app_state.version(&name).max(base);
    let node = NodeBuilder::new("collection").attr("name", name).attr("version", version);
    let error = |code, text| NodeBuilder::new("error").attr("code", code).attr("text", text).build();
    match refusal {
        Some(PatchRefusal::Conflict) => {
            node.attr("type", "error").children([error("409", "conflict"), patches]).build()
        }
        Some(PatchRefusal::Unreadable) => node.attr("type", "error").children([error("400", "bad-request")]).build(),
        None if lacking.is_empty() => node.build(),
        None => node.children([patches]).build(),
    }
}
