//! What a phone remembers of its conversations.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::reading::Said;

/// So many presences and typing notes are remembered.
const NOTED: usize = 200;

/// A message that a phone has received.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InboxItem {
    /// The message's id.
    pub id: String,
    /// The address of the account that wrote it.
    pub from: String,
    /// The conversation: the other's address, or the group's.
    pub chat: String,
    /// Whether another device of the phone's own account wrote it.
    pub from_me: bool,
    /// The name its author goes by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub author_name: Option<String>,
    /// When the network took it.
    pub at: DateTime<Utc>,
    /// How often it has arrived. More than once: its author sent it again with the same id.
    pub copies: u32,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
}

/// A message that a phone has sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxItem {
    /// The message's id.
    pub id: String,
    /// The conversation: the other's address, or the group's.
    pub chat: String,
    /// When.
    pub at: DateTime<Utc>,
    /// The devices that have it.
    pub delivered_to: BTreeSet<String>,
    /// The accounts that have read it.
    pub read_by: BTreeSet<String>,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
}

/// A presence or typing note that a phone was shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Noted {
    /// Whose.
    pub from: String,
    /// The conversation.
    pub chat: String,
    /// `composing`, `recording`, `paused`.
    pub state: String,
    /// When.
    pub at: DateTime<Utc>,
}

/// A remembered message: what is shown of it, and the message, for replies, votes and new attempts to deliver it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Kept<T> {
    #[serde(flatten)]
    pub(super) item: T,
    #[serde(rename = "message_bytes", with = "base64_bytes")]
    pub(super) message: Vec<u8>,
}

/// Everything a phone remembers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(super) struct Memory {
    pub(super) inbox: Vec<Kept<InboxItem>>,
    pub(super) outbox: Vec<Kept<OutboxItem>>,
    #[serde(skip)]
    received: HashMap<String, usize>,
    #[serde(skip)]
    sent: HashMap<String, usize>,
    #[serde(skip)]
    pub(super) noted: Vec<Noted>,
}

impl Memory {
    /// Finds messages by their ids again, after it was read.
    pub(super) fn indexed(mut self) -> Self {
        self.received = self.inbox.iter().enumerate().map(|(at, kept)| (kept.item.id.clone(), at)).collect();
        self.sent = self.outbox.iter().enumerate().map(|(at, kept)| (kept.item.id.clone(), at)).collect();
        self
    }

    /// Remembers a message that came. One that is known already counts as another copy.
    pub(super) fn receive(&mut self, kept: Kept<InboxItem>) {
        let known = self.received.get(&kept.item.id).and_then(|at| self.inbox.get_mut(*at));
        if let Some(known) = known.filter(|known| known.item.from == kept.item.from) {
            known.item.copies += 1;
            return;
        }
        self.received.insert(kept.item.id.clone(), self.inbox.len());
        self.inbox.push(kept);
    }

    /// Remembers a message that was sent.
    pub(super) fn send(&mut self, kept: Kept<OutboxItem>) {
        self.sent.insert(kept.item.id.clone(), self.outbox.len());
        self.outbox.push(kept);
    }

    /// A message that came.
    pub(super) fn received(&self, id: &str) -> Option<&Kept<InboxItem>> {
        self.inbox.get(*self.received.get(id)?)
    }

    /// A message that was sent.
    pub(super) fn sent(&self, id: &str) -> Option<&Kept<OutboxItem>> {
        self.outbox.get(*self.sent.get(id)?)
    }

    /// A message that was sent, to be marked.
    pub(super) fn sent_mut(&mut self, id: &str) -> Option<&mut OutboxItem> {
        Some(&mut self.outbox.get_mut(*self.sent.get(id)?)?.item)
    }

    /// Remembers a typing note.
    pub(super) fn note(&mut self, noted: Noted) {
        if self.noted.len() == NOTED {
            self.noted.remove(0);
        }
        self.noted.push(noted);
    }
}

mod base64_bytes {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use serde::{Deserialize as _, Deserializer, Serializer, de};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64_STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        BASE64_STANDARD.decode(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}
