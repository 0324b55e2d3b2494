//! What an account is told: events, in one numbered log for each instance.
//!
//! The names are WAHA's, so that receivers written for it go on working.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::chat_id::ChatId;
use super::instance::InstanceId;
use super::words::words;

words! {
    /// What happened.
    EventKind {
        /// A message came in.
        Message = "message",
        /// A message was sent from this account, by this gateway or on the phone.
        MessageOwn = "message.any",
        /// How far a message got: server, device, read, played.
        MessageAck = "message.ack",
        /// A reaction was put on a message, or taken off.
        MessageReaction = "message.reaction",
        /// A message was edited.
        MessageEdited = "message.edited",
        /// A message was deleted for everybody.
        MessageRevoked = "message.revoked",
        /// Somebody voted in a poll.
        PollVote = "poll.vote",
        /// The session's status or its reason changed.
        SessionStatus = "session.status",
        /// A code was shown or rotated: its expiry and attempt, never the code.
        SessionQr = "session.qr",
        /// Somebody came online, left, types or records.
        PresenceUpdate = "presence.update",
        /// A call rings.
        CallReceived = "call.received",
        /// A call was taken, here or elsewhere.
        CallAccepted = "call.accepted",
        /// A call was declined or missed.
        CallRejected = "call.rejected",
        /// This account was added to a group or joined it.
        GroupJoined = "group.v2.join",
        /// This account left a group or was removed.
        GroupLeft = "group.v2.leave",
        /// Participants came, went, or changed rank.
        GroupParticipants = "group.v2.participants",
        /// A group's name, description or settings changed.
        GroupUpdated = "group.v2.update",
        /// A delivery that a webhook's owner asked for, to see that it works.
        WebhookTest = "webhook.test",
    }
}

impl EventKind {
    /// Whether a subscription to `wanted` includes this kind. `message.any` is WAHA's name for every message, in and
    /// out; a subscriber of it is told of each message once, under the name of its kind.
    pub fn is_wanted_by(self, wanted: Self) -> bool {
        self == wanted || (wanted == Self::MessageOwn && self == Self::Message)
    }
}

/// An event that is about to be logged.
#[derive(Debug, Clone)]
pub struct Draft {
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: DateTime<Utc>,
    /// In which chat, if in one; what is stored of a contact is erased by it.
    pub chat: Option<ChatId>,
    /// Particulars; a JSON object that depends on the kind.
    pub payload: Value,
}

/// An event as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Logged {
    /// Whose log.
    pub instance_id: InstanceId,
    /// Its place: 1 for the first, without gaps.
    pub seq: i64,
    /// What happened.
    pub kind: EventKind,
    /// When.
    pub at: DateTime<Utc>,
    /// What was told; `None` once it was erased.
    pub content: Option<Content>,
}

/// What of an event is sealed with the instance's key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Content {
    /// Who the instance was linked to at that moment: `{id, lid, pushName}`.
    pub me: Value,
    /// Particulars.
    pub payload: Value,
}

impl Logged {
    /// Names the event for good: equal on every delivery and every replay.
    pub fn id(&self) -> String {
        format!("evt_{}_{}", self.instance_id, self.seq)
    }
}

/// An event as its account is told it, by a webhook or a stream.
#[derive(Debug, Clone, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Envelope {
    /// Equal on every delivery and every replay.
    #[schema(example = "evt_7K2M9QX4T0AB_17")]
    pub id: String,
    /// When it happened, in Unix milliseconds.
    #[schema(example = 1_790_000_000_000_i64)]
    pub timestamp: i64,
    /// What happened.
    pub event: EventKind,
    /// Its place in the instance's log: 1 for the first, without gaps.
    #[schema(example = 17)]
    pub seq: i64,
    /// Whose log.
    pub instance_id: InstanceId,
    /// The instance's session, by the name that WAHA's receivers know it by.
    #[schema(example = "wagate-7k2m9qx4t0ab")]
    pub session: String,
    /// What the instance's owner noted of it.
    #[schema(value_type = Object)]
    pub metadata: Value,
    /// Who the instance was linked to at that moment; null if to nobody, or erased.
    #[schema(value_type = Option<Object>, required = true)]
    pub me: Value,
    /// Particulars, by kind; null once they were erased.
    #[schema(value_type = Option<Object>, required = true)]
    pub payload: Value,
    /// What made it.
    pub environment: Environment,
}

/// The program that tells an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Environment {
    /// Its version.
    #[schema(example = "0.1.0")]
    pub version: &'static str,
    /// What it talks to WhatsApp with.
    #[schema(example = "whatsapp-rust")]
    pub engine: &'static str,
}

impl Environment {
    /// This program.
    pub const HERE: Self = Self { version: env!("CARGO_PKG_VERSION"), engine: "whatsapp-rust" };
}

impl Envelope {
    /// Wraps an event of an instance that its owner noted `metadata` of.
    pub fn new(logged: Logged, metadata: Value) -> Self {
        let id = logged.id();
        let (me, payload) = logged.content.map_or((Value::Null, Value::Null), |told| (told.me, told.payload));
        Self {
            id,
            timestamp: logged.at.timestamp_millis(),
            event: logged.kind,
            seq: logged.seq,
            instance_id: logged.instance_id,
            session: logged.instance_id.session_name(),
            metadata,
            me,
            payload,
            environment: Environment::HERE,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_envelope_names_its_event_and_an_erased_one_tells_nothing_of_it() {
        let instance_id = InstanceId::parse("7K2M9QX4T0AB").unwrap();
        let at = DateTime::from_timestamp_millis(1_790_000_000_000).unwrap();
        let content = Content { me: Value::Null, payload: serde_json::json!({"body": "Hi"}) };
        let logged = Logged { instance_id, seq: 17, kind: EventKind::Message, at, content: Some(content) };
        let told = Envelope::new(logged.clone(), serde_json::json!({}));
        assert_eq!(
            serde_json::to_value(told).unwrap(),
            serde_json::json!({
                "id": "evt_7K2M9QX4T0AB_17", "timestamp": 1_790_000_000_000_i64, "event": "message", "seq": 17,
                "instance_id": "7K2M9QX4T0AB", "session": "wagate-7k2m9qx4t0ab", "metadata": {}, "me": null,
                "payload": {"body": "Hi"},
                "environment": {"version": env!("CARGO_PKG_VERSION"), "engine": "whatsapp-rust"},
            })
        );
        assert_eq!(Envelope::new(Logged { content: None, ..logged }, Value::Null).payload, Value::Null);
    }

    #[test]
    fn every_message_is_wanted_by_a_subscriber_of_any_and_only_those_that_came_in_by_one_of_message() {
        assert!(EventKind::Message.is_wanted_by(EventKind::MessageOwn));
        assert!(EventKind::MessageOwn.is_wanted_by(EventKind::MessageOwn));
        assert!(EventKind::Message.is_wanted_by(EventKind::Message));
        assert!(!EventKind::MessageOwn.is_wanted_by(EventKind::Message));
        assert!(!EventKind::MessageAck.is_wanted_by(EventKind::MessageOwn));
    }
}
