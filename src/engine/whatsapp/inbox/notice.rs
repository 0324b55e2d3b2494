//! Receipts, presence, calls and changes of groups, in the words of events.

use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use wacore::stanza::groups::{GroupNotificationAction, GroupParticipantInfo, GroupParticipantType};
use wacore::types::call::{CallAction, ElsewhereOutcome, IncomingCall};
use wacore::types::events::{ChatPresenceUpdate, Event, GroupUpdate, PresenceUpdate, Receipt, ServerAck};
use wacore::types::presence::{ChatPresence, ChatPresenceMedia, ReceiptType};
use wacore_binary::{Jid, JidExt as _};
use whatsapp_rust::Client;

use crate::domain::event::{Draft, EventKind};
use crate::domain::payload::Acknowledged;
use crate::domain::receipt::Level;

use super::Inbox;
use super::message::chat_of;
use super::people::{address_of, oneself, party};

impl Inbox {
    /// What is logged of an event of the library; nothing of most.
    pub(super) async fn notice(&self, client: &Client, event: &Event) -> Vec<Draft> {
        match event {
            Event::Receipt(receipt) => receipts(client, receipt).await,
            Event::ServerAck(ack) => server_ack(client, ack, self.clock.now()).await.into_iter().collect(),
            Event::ChatPresence(presence) => vec![chat_presence(client, presence, self.clock.now()).await],
            Event::Presence(seen) => vec![presence(client, seen, self.clock.now()).await],
            Event::GroupUpdate(update) => group_update(client, update).await,
            Event::IncomingCall(call) => incoming_call(client, call).await.into_iter().collect(),
            Event::MissedCall(call) => {
                let told = json!({ "id": call.call_id, "reason": "missed" });
                vec![call_event(client, EventKind::CallRejected, &call.from, call.timestamp, told).await]
            }
            Event::CallEndedElsewhere(call) => {
                let kind = match call.outcome {
                    ElsewhereOutcome::Accepted => EventKind::CallAccepted,
                    ElsewhereOutcome::Rejected => EventKind::CallRejected,
                    _ => return Vec::new(),
                };
                let told = json!({ "id": call.call_id, "reason": "elsewhere" });
                vec![call_event(client, kind, &call.from, call.timestamp, told).await]
            }
            // Recovered by way of the phone, past the hook.
            Event::Messages(batch) => {
                let mut drafts = Vec::new();
                for message in batch {
                    drafts.extend(self.translate(client, message).await.incoming.drafts);
                }
                drafts
            }
            _ => Vec::new(),
        }
    }
}

/// One event for each message: receivers look for the id of theirs.
async fn receipts(client: &Client, receipt: &Receipt) -> Vec<Draft> {
    let level = match receipt.r#type {
        ReceiptType::Delivered | ReceiptType::Inactive => Level::Delivered,
        ReceiptType::Read => Level::Read,
        ReceiptType::Played => Level::Played,
        // What one's own devices did, requests for another copy, and what concerns no message.
        _ => return Vec::new(),
    };
    let source = &receipt.source;
    if source.is_from_me || is_oneself(client, &source.sender) || source.chat.is_status_broadcast() {
        return Vec::new();
    }
    let participant = if source.chat.is_group() {
        Some(address_of(&party(client, &source.sender, source.sender_alt.as_ref()).await, &source.sender))
    } else {
        None
    };
    let mut drafts = Vec::with_capacity(receipt.message_ids.len());
    for id in &receipt.message_ids {
        drafts.push(acknowledged(client, id, &source.chat, participant.clone(), level, receipt.timestamp).await);
    }
    drafts
}

/// WhatsApp's server has, or refuses, a message of this account.
async fn server_ack(client: &Client, ack: &ServerAck, now: DateTime<Utc>) -> Option<Draft> {
    let chat = ack.from.as_ref().filter(|_| ack.class.as_deref() == Some("message"))?;
    if chat.is_status_broadcast() || chat.is_newsletter() {
        return None;
    }
    let level = if ack.error.is_some() { Level::Refused } else { Level::Server };
    Some(acknowledged(client, &ack.id, chat, None, level, ack.timestamp.unwrap_or(now)).await)
}

async fn acknowledged(
    client: &Client,
    id: &str,
    chat: &Jid,
    participant: Option<String>,
    level: Level,
    at: DateTime<Utc>,
) -> Draft {
    let (party, address, chat) = chat_of(client, chat, None).await;
    let payload = Acknowledged {
        id: id.to_owned(),
        timestamp: at.timestamp(),
        from: oneself(client).id().map(ToOwned::to_owned),
        from_me: true,
        to: Some(address),
        participant,
        chat: party,
        ack: level.ack(),
        ack_name: level.ack_name(),
    };
    let payload = serde_json::to_value(payload).expect("a payload has no keys but text");
    Draft { kind: EventKind::MessageAck, at, chat, payload }
}

async fn chat_presence(client: &Client, update: &ChatPresenceUpdate, now: DateTime<Utc>) -> Draft {
    let word = match (update.state, update.media) {
        (ChatPresence::Composing, ChatPresenceMedia::Text) => "typing",
        (ChatPresence::Composing, ChatPresenceMedia::Audio) => "recording",
        (ChatPresence::Paused, _) => "paused",
    };
    let source = &update.source;
    let (_, id, chat) = chat_of(client, &source.chat, None).await;
    let who = address_of(&party(client, &source.sender, source.sender_alt.as_ref()).await, &source.sender);
    let presences = json!([{ "participant": who, "lastKnownPresence": word, "lastSeen": null }]);
    let payload = json!({ "id": id, "presences": presences });
    Draft { kind: EventKind::PresenceUpdate, at: now, chat, payload }
}

async fn presence(client: &Client, update: &PresenceUpdate, now: DateTime<Utc>) -> Draft {
    let (_, id, chat) = chat_of(client, &update.from, None).await;
    let word = if update.unavailable { "offline" } else { "online" };
    let last_seen = update.last_seen.map(|at| at.timestamp());
    let presences = json!([{ "participant": id, "lastKnownPresence": word, "lastSeen": last_seen }]);
    let payload = json!({ "id": id, "presences": presences });
    Draft { kind: EventKind::PresenceUpdate, at: now, chat, payload }
}

async fn incoming_call(client: &Client, call: &IncomingCall) -> Option<Draft> {
    let (kind, told) = match &call.action {
        CallAction::Offer { call_id, is_video, group_jid, .. } => {
            (EventKind::CallReceived, json!({ "id": call_id, "isVideo": is_video, "isGroup": group_jid.is_some() }))
        }
        CallAction::OfferNotice { call_id, is_video, is_group, .. } => {
            (EventKind::CallReceived, json!({ "id": call_id, "isVideo": is_video, "isGroup": is_group }))
        }
        CallAction::Accept { call_id, .. } => (EventKind::CallAccepted, json!({ "id": call_id })),
        CallAction::Reject { call_id, reason, .. } => {
            (EventKind::CallRejected, json!({ "id": call_id, "reason": reason.as_deref().unwrap_or("declined") }))
        }
        // Of a call that nobody here took: the library says so itself only where it can take calls.
        CallAction::Terminate { call_id, reason, .. } => match reason.as_deref() {
            Some("accepted_elsewhere") => (EventKind::CallAccepted, json!({ "id": call_id, "reason": "elsewhere" })),
            Some("rejected_elsewhere") => (EventKind::CallRejected, json!({ "id": call_id, "reason": "elsewhere" })),
            None | Some("timeout" | "group_call_ended") => {
                (EventKind::CallRejected, json!({ "id": call_id, "reason": "missed" }))
            }
            Some(reason) => (EventKind::CallRejected, json!({ "id": call_id, "reason": reason })),
        },
        _ => return None,
    };
    Some(call_event(client, kind, &call.from, call.timestamp, told).await)
}

async fn call_event(client: &Client, kind: EventKind, from: &Jid, at: DateTime<Utc>, mut told: Value) -> Draft {
    let (party, address, chat) = chat_of(client, from, None).await;
    told["from"] = json!(address);
    told["chat"] = json!(party);
    told["timestamp"] = json!(at.timestamp());
    Draft { kind, at, chat, payload: told }
}

async fn group_update(client: &Client, update: &GroupUpdate) -> Vec<Draft> {
    use GroupNotificationAction as Action;
    let people = match &update.action {
        Action::Add { participants, .. } => Some(("join", participants)),
        Action::Remove { participants, .. } => Some(("leave", participants)),
        Action::Promote { participants } => Some(("promote", participants)),
        Action::Demote { participants } => Some(("demote", participants)),
        _ => None,
    };
    let (_, id, chat) = chat_of(client, &update.group_jid, None).await;
    let author = match &update.participant {
        Some(author) => Some(address_of(&party(client, author, update.participant_pn.as_ref()).await, author)),
        None => None,
    };
    let told = |kind: EventKind, mut payload: Value| {
        payload["timestamp"] = json!(update.timestamp.timestamp());
        payload["author"] = json!(author);
        Draft { kind, at: update.timestamp, chat: chat.clone(), payload }
    };
    let group = |field: &str, value: Value| {
        let mut group = json!({ "id": id });
        if !field.is_empty() {
            group[field] = value;
        }
        json!({ "group": group })
    };
    if let Some((change, participants)) = people {
        let (own, others): (Vec<_>, Vec<_>) =
            participants.iter().partition(|participant| is_one_of_us(client, participant));
        let mut drafts = Vec::new();
        let own_kind = match change {
            "join" => Some(EventKind::GroupJoined),
            "leave" => Some(EventKind::GroupLeft),
            _ => None,
        };
        let is_own = own_kind.filter(|_| !own.is_empty());
        if let Some(kind) = is_own {
            drafts.push(told(kind, group("", Value::Null)));
        }
        let shown = if is_own.is_some() { others } else { participants.iter().collect() };
        if !shown.is_empty() {
            let mut payload = group("", Value::Null);
            payload["type"] = json!(change);
            payload["participants"] = json!(members(client, &shown, change).await);
            drafts.push(told(EventKind::GroupParticipants, payload));
        }
        return drafts;
    }
    let (kind, payload) = match &update.action {
        Action::Create { raw } => {
            let node = raw.get_optional_child("group").unwrap_or(raw);
            let subject = node.attrs.get("subject").map(|subject| subject.as_str().to_string());
            (EventKind::GroupJoined, group("subject", json!(subject)))
        }
        Action::Delete { .. } => (EventKind::GroupLeft, group("deleted", json!(true))),
        Action::Subject { subject, .. } => (EventKind::GroupUpdated, group("subject", json!(subject))),
        Action::Description { description, .. } => (EventKind::GroupUpdated, group("description", json!(description))),
        Action::Locked { .. } => (EventKind::GroupUpdated, group("membersCanEdit", json!(false))),
        Action::Unlocked => (EventKind::GroupUpdated, group("membersCanEdit", json!(true))),
        Action::Announce => (EventKind::GroupUpdated, group("membersCanSend", json!(false))),
        Action::NotAnnounce => (EventKind::GroupUpdated, group("membersCanSend", json!(true))),
        Action::Ephemeral { expiration, .. } => (EventKind::GroupUpdated, group("ephemeral", json!(expiration))),
        _ => return Vec::new(),
    };
    vec![told(kind, payload)]
}

async fn members(client: &Client, participants: &[&GroupParticipantInfo], change: &str) -> Vec<Value> {
    let mut members = Vec::with_capacity(participants.len());
    for member in participants {
        let alternative = member.phone_number.as_ref().or(member.lid.as_ref());
        let party = party(client, &member.jid, alternative).await;
        let role = match (change, &member.r#type) {
            ("leave", _) => "left",
            ("promote", _) | (_, Some(GroupParticipantType::Admin)) => "admin",
            (_, Some(GroupParticipantType::SuperAdmin)) => "superadmin",
            (_, Some(GroupParticipantType::Participant) | None) => "participant",
        };
        members.push(json!({ "id": address_of(&party, &member.jid), "lid": party.lid, "role": role }));
    }
    members
}

fn is_one_of_us(client: &Client, participant: &GroupParticipantInfo) -> bool {
    let jids = [Some(&participant.jid), participant.phone_number.as_ref(), participant.lid.as_ref()];
    jids.into_iter().flatten().any(|jid| is_oneself(client, jid))
}

fn is_oneself(client: &Client, jid: &Jid) -> bool {
    [client.pn(), client.lid()].into_iter().flatten().any(|own| own.user == jid.user && own.server == jid.server)
}
