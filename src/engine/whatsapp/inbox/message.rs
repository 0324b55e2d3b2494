//! From a decrypted message to what is logged and kept of it.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use wacore::types::events::InboundMessage;
use wacore::types::message::{MessageCategory, MessageInfo, MessageSource};
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp::Message as Written;
use whatsapp_rust::Client;

use crate::domain::chat_id::ChatId;
use crate::domain::event::{Draft, EventKind};
use crate::domain::media_reference::MediaReference;
use crate::domain::message_id::MessageId;
use crate::domain::payload::{
    Edited, Heading, Message, MessageKind, Party, PollRef, Reacted, Reaction, Revoked, Said, Vote, Voted,
};
use crate::domain::receipt::Level;
use crate::engine::Sent;
use crate::store::event::Incoming;
use crate::store::message_reference::{Kept, What};

use super::content::{self, Content};
use super::people::{address_of, called, chat_id, oneself, party};
use super::{Entry, Inbox};

impl Inbox {
    /// What is to be logged and kept of a message that was sent from here.
    pub(in crate::engine::whatsapp) async fn sent(
        &self,
        client: &Client,
        message: (Jid, &MessageId),
        written: Arc<Written>,
        at: DateTime<Utc>,
    ) -> Sent {
        let Entry { incoming, references, pending: _ } = self.own(client, message, written, at).await;
        Sent { at, told: incoming, kept: references, me: self.me(client) }
    }

    /// What is to be written of a message that was sent from here.
    pub(super) async fn own(
        &self,
        client: &Client,
        (to, id): (Jid, &MessageId),
        written: Arc<Written>,
        at: DateTime<Utc>,
    ) -> Entry {
        let own = if to.is_lid() { client.lid().or_else(|| client.pn()) } else { client.pn() };
        let source = MessageSource {
            is_group: to.is_group(),
            sender: own.unwrap_or_default(),
            is_from_me: true,
            chat: to,
            ..MessageSource::default()
        };
        let info = MessageInfo { source, id: id.to_string(), timestamp: at, ..MessageInfo::default() };
        let sent = InboundMessage::builder().message(written).info(Arc::new(info)).build();
        Entry { pending: None, ..self.translate(client, &sent).await }
    }

    /// What is to be written of a message.
    pub(super) async fn translate(&self, client: &Client, message: &InboundMessage) -> Entry {
        let info = &message.info;
        let mut entry = Entry {
            incoming: Incoming { key: Some(key(info)), drafts: Vec::new() },
            references: Vec::new(),
            pending: Some(self.backend.pending_key(info)),
        };
        if !is_told(info) {
            return entry;
        }
        let (heading, chat) = heading(client, info).await;
        let at = info.timestamp;
        let (kind, payload) = match content::read(&message.message) {
            Content::Nothing => return entry,
            Content::Said(said, file) => {
                let said = complete(client, *said, &info.id, file.as_ref()).await;
                let kept = kept(&said, file).map(|what| {
                    let message_id = info.id.clone();
                    Kept { message_id, chat: chat.clone(), at, what }
                });
                entry.references.extend(kept);
                let kind = if heading.from_me { EventKind::MessageOwn } else { EventKind::Message };
                let level = if heading.from_me { Level::Server } else { Level::Delivered };
                (kind, json(&Message { heading, ack: level.ack(), ack_name: level.ack_name(), said }))
            }
            Content::Reaction { target, text } => {
                let reaction = Reaction { text: text.to_owned(), message_id: target.to_owned() };
                (EventKind::MessageReaction, json(&Reacted { heading, reaction }))
            }
            Content::Edit { target, said } => {
                let said = complete(client, *said, target, None).await;
                (EventKind::MessageEdited, json(&Edited { heading, edited_message_id: target.to_owned(), said }))
            }
            Content::Revoke { target } => {
                (EventKind::MessageRevoked, json(&Revoked { heading, revoked_message_id: target.to_owned() }))
            }
            Content::Vote { poll, update } => {
                let vote = Vote { selected_options: self.open_vote(client, info, poll, update).await };
                (EventKind::PollVote, json(&Voted { heading, vote, poll: PollRef { id: poll.to_owned() } }))
            }
        };
        entry.incoming.drafts.push(Draft { kind, at, chat, payload });
        entry
    }
}

/// What tells a message from every other.
pub(super) fn key(info: &MessageInfo) -> [String; 3] {
    [info.source.chat.to_non_ad_string(), info.source.sender.to_non_ad_string(), info.id.clone()]
}

/// Status posts and channels are not told, and what devices of one account tell each other is nobody's business.
pub(super) fn is_told(info: &MessageInfo) -> bool {
    let chat = &info.source.chat;
    info.category != MessageCategory::Peer && !chat.is_status_broadcast() && !chat.is_newsletter()
}

/// A message that nobody here could read.
pub(super) async fn unreadable(client: &Client, info: &MessageInfo, is_view_once: bool) -> Draft {
    let (heading, chat) = heading(client, info).await;
    let kind = if heading.from_me { EventKind::MessageOwn } else { EventKind::Message };
    let said = Said { is_view_once, ..Said::nothing(MessageKind::Undecryptable) };
    let level = Level::Delivered;
    let payload = json(&Message { heading, ack: level.ack(), ack_name: level.ack_name(), said });
    Draft { kind, at: info.timestamp, chat, payload }
}

/// Which message, whose, in which chat.
async fn heading(client: &Client, info: &MessageInfo) -> (Heading, Option<ChatId>) {
    let source = &info.source;
    let me = oneself(client);
    let sender =
        if source.is_from_me { me.clone() } else { party(client, &source.sender, source.sender_alt.as_ref()).await };
    let chat = if source.chat.is_group() {
        party(client, &source.chat, None).await
    } else if source.is_from_me {
        party(client, &source.chat, source.recipient_alt.as_ref()).await
    } else {
        // Also where it came by a broadcast list: an answer goes to whoever wrote it.
        sender.clone()
    };
    let chat_jid = if source.chat.is_group() || source.is_from_me { &source.chat } else { &source.sender };
    let chat_address = address_of(&chat, chat_jid);
    let heading = Heading {
        id: info.id.clone(),
        timestamp: info.timestamp.timestamp(),
        from: if source.is_from_me { me.id().map(ToOwned::to_owned) } else { Some(chat_address.clone()) },
        from_me: source.is_from_me,
        to: source.is_from_me.then_some(chat_address),
        participant: source.chat.is_group().then(|| address_of(&sender, &source.sender)),
        push_name: Some(info.push_name.clone()).filter(|name| !name.is_empty()),
        sender,
        chat,
    };
    let chat = chat_id(&heading.chat);
    (heading, chat)
}

/// Fills in what takes a look at who is who, and where the file can be fetched.
async fn complete(client: &Client, mut said: Said, id: &str, file: Option<&MediaReference>) -> Said {
    for address in &mut said.mentions {
        *address = called(client, address).await;
    }
    if let Some(answered) = &mut said.reply_to
        && let Some(participant) = &mut answered.participant
    {
        *participant = called(client, participant).await;
    }
    if let (Some(media), Some(_)) = (&mut said.media, file) {
        media.url = Some(format!("/v2/media/{}", path_segment(id)));
    }
    said
}

/// WhatsApp's ids are hexadecimal; a sender may invent others.
fn path_segment(id: &str) -> String {
    form_urlencoded::byte_serialize(id.as_bytes()).collect::<String>().replace('+', "%20")
}

fn kept(said: &Said, file: Option<MediaReference>) -> Option<What> {
    file.map(What::Media).or_else(|| said.poll.as_ref().map(|poll| What::Poll(poll.options.clone())))
}

fn json<T: Serialize>(payload: &T) -> Value {
    serde_json::to_value(payload).expect("a payload has no keys but text")
}

/// What a chat is called in an event, and by which its rows are found.
pub(super) async fn chat_of(client: &Client, jid: &Jid, alternative: Option<&Jid>) -> (Party, String, Option<ChatId>) {
    let party = party(client, jid, alternative).await;
    let (address, chat) = (address_of(&party, jid), chat_id(&party));
    (party, address, chat)
}
