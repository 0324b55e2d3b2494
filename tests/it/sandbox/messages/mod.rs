//! Messages between the true client and the phones of the sandbox, on the real protocol.

mod bad_days;
mod groups;
mod kinds;
mod offline;
mod texts;

use wacore_binary::Jid;
use wagate::sandbox::{Content, DeviceId, InboxItem, PhoneView, SandboxHandle};
use waproto::whatsapp::Message;

use super::client::{Client, Heard, Store};
use super::{linked, start, until};

/// A linked client, and a phone that is somebody else's.
pub(super) struct Pair {
    pub(super) sandbox: SandboxHandle,
    pub(super) store: Store,
    pub(super) client: Client,
    pub(super) device: DeviceId,
    pub(super) other: PhoneView,
}

impl Pair {
    pub(super) async fn new() -> Self {
        let sandbox = start().await;
        let (store, client, device) = linked(&sandbox).await;
        let other = sandbox.add_phone(None, Some("Omar")).unwrap();
        Self { sandbox, store, client, device, other }
    }

    /// The other phone's address.
    pub(super) fn other_jid(&self) -> Jid {
        self.other.jid.parse().unwrap()
    }

    /// The number of the client's own account.
    pub(super) fn own_number(&self) -> String {
        self.device.number.clone()
    }

    /// The client sends a text to the other phone; its id.
    pub(super) async fn say(&self, words: &str) -> String {
        self.client.inner().send_message(self.other_jid(), text(words)).await.unwrap().message_id
    }

    /// The other phone sends a text to the client's account; its id.
    pub(super) fn hear(&self, words: &str) -> String {
        self.sandbox.send(&self.other.number, &self.own_number(), &says(words)).unwrap().id
    }

    /// Waits until the other phone has received this many messages.
    pub(super) async fn inbox(&self, count: usize) -> Vec<InboxItem> {
        inbox(&self.sandbox, &self.other.number, count).await
    }
}

pub(super) async fn inbox(sandbox: &SandboxHandle, number: &str, count: usize) -> Vec<InboxItem> {
    until("the messages are in the inbox", async || sandbox.inbox(number).unwrap().len() >= count).await;
    sandbox.inbox(number).unwrap()
}

pub(super) fn text(words: &str) -> Message {
    Message { conversation: Some(words.to_owned()), ..Default::default() }
}

pub(super) fn says(words: &str) -> Content {
    Content::Text { text: words.to_owned(), reply_to: None, mentions: Vec::new() }
}

/// What a message says, if it is a text.
pub(super) fn words(message: &Message) -> Option<&str> {
    let extended = message.extended_text_message.as_option().and_then(|extended| extended.text.as_deref());
    message.conversation.as_deref().or(extended)
}
