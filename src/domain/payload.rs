//! What is told of a message or of what happens to one: the payloads of events, in WAHA's names.
//!
//! Times are Unix seconds, as WAHA's are; the envelope's own is in milliseconds. Ids of messages are WhatsApp's own.

use serde::Serialize;

use super::words::words;

words! {
    /// What kind of message it is.
    MessageKind {
        /// A text.
        Text = "text",
        /// A picture.
        Image = "image",
        /// A film.
        Video = "video",
        /// A piece of sound.
        Audio = "audio",
        /// A voice note.
        Voice = "voice",
        /// A file.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
        /// A place.
        Location = "location",
        /// Where somebody is, as they move.
        LiveLocation = "live_location",
        /// One or more cards.
        Contact = "contact",
        /// A question with answers.
        Poll = "poll",
        /// Something this release does not know; the phone shows it.
        Unsupported = "unsupported",
        /// It could not be decrypted, and its sender did not send it again; the phone may have it.
        Undecryptable = "undecryptable",
    }
}

/// Somebody, or a group, by every address that is known.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Party {
    /// `201012345678@c.us`.
    pub phone: Option<String>,
    /// `123456789012345@lid`.
    pub lid: Option<String>,
    /// `120363025246125486@g.us`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
}

impl Party {
    /// The address it is called by: the group's, the phone number's if known, else the LID's.
    pub fn id(&self) -> Option<&str> {
        self.group.as_deref().or(self.phone.as_deref()).or(self.lid.as_deref())
    }
}

/// What every event that is about a message says first.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Heading {
    /// WhatsApp's id of the message.
    pub id: String,
    /// When it was sent.
    pub timestamp: i64,
    /// Who sent it, or the group it was sent to; this account itself if `fromMe`.
    pub from: Option<String>,
    /// Whether this account sent it.
    pub from_me: bool,
    /// Whom it was sent to; null for what came in.
    pub to: Option<String>,
    /// Who sent it, in a group.
    pub participant: Option<String>,
    /// The conversation.
    pub chat: Party,
    /// Who sent it.
    pub sender: Party,
    /// The name its sender goes by.
    pub push_name: Option<String>,
}

/// The payload of `message` and `message.any`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Message {
    /// Which, whose, when.
    #[serde(flatten)]
    pub heading: Heading,
    /// How far it has come.
    pub ack: i8,
    /// In a word.
    pub ack_name: &'static str,
    /// What it says.
    #[serde(flatten)]
    pub said: Said,
}

/// What a message says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Said {
    /// What kind of message it is.
    pub r#type: MessageKind,
    /// The text or the caption.
    pub body: Option<String>,
    /// Whether a file comes with it.
    pub has_media: bool,
    /// The file.
    pub media: Option<Media>,
    /// The place.
    pub location: Option<Location>,
    /// The cards.
    #[serde(rename = "vCards")]
    pub v_cards: Vec<String>,
    /// The question.
    pub poll: Option<Poll>,
    /// What it answers.
    pub reply_to: Option<ReplyTo>,
    /// The addresses of those it mentions.
    pub mentions: Vec<String>,
    /// Whether it was forwarded.
    pub is_forwarded: bool,
    /// Whether it is to be seen once.
    pub is_view_once: bool,
    /// After how many seconds it disappears.
    pub ephemeral: Option<u32>,
}

impl Said {
    /// A message of a kind, with nothing in it yet.
    pub fn nothing(r#type: MessageKind) -> Self {
        Self {
            r#type,
            body: None,
            has_media: false,
            media: None,
            location: None,
            v_cards: Vec::new(),
            poll: None,
            reply_to: None,
            mentions: Vec::new(),
            is_forwarded: false,
            is_view_once: false,
            ephemeral: None,
        }
    }
}

/// A message's file.
#[derive(Debug, Clone, Serialize)]
pub struct Media {
    /// Where it can be fetched, below the gateway's address, with a token that may read the instance; null if WhatsApp
    /// did not say where the file lies.
    pub url: Option<String>,
    /// Its media type, as its sender gave it.
    pub mimetype: Option<String>,
    /// Its name, as its sender gave it.
    pub filename: Option<String>,
    /// Its size in bytes, as its sender gave it.
    pub size: Option<u64>,
    /// How long it plays.
    pub seconds: Option<u32>,
}

/// A place.
#[derive(Debug, Clone, Serialize)]
pub struct Location {
    /// Degrees north.
    pub latitude: f64,
    /// Degrees east.
    pub longitude: f64,
    /// What it is called.
    pub name: Option<String>,
    /// Its address, or what its sender says of it.
    pub description: Option<String>,
}

/// A question.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Poll {
    /// The question.
    pub name: String,
    /// The answers.
    pub options: Vec<String>,
    /// Whether several may be chosen.
    pub multiple_answers: bool,
}

/// The message that another one answers.
#[derive(Debug, Clone, Serialize)]
pub struct ReplyTo {
    /// Its id.
    pub id: String,
    /// Who sent it.
    pub participant: Option<String>,
    /// Its text, as the answer quotes it.
    pub body: Option<String>,
}

/// The payload of `message.reaction`.
#[derive(Debug, Clone, Serialize)]
pub struct Reacted {
    /// Of the reaction itself.
    #[serde(flatten)]
    pub heading: Heading,
    /// The reaction.
    pub reaction: Reaction,
}

/// A reaction.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Reaction {
    /// The emoji; empty if the reaction was taken back.
    pub text: String,
    /// The message it is put on.
    pub message_id: String,
}

/// The payload of `message.edited`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Edited {
    /// Of the change itself.
    #[serde(flatten)]
    pub heading: Heading,
    /// The message that was changed.
    pub edited_message_id: String,
    /// What it says now.
    #[serde(flatten)]
    pub said: Said,
}

/// The payload of `message.revoked`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Revoked {
    /// Of the deletion itself.
    #[serde(flatten)]
    pub heading: Heading,
    /// The message that was deleted for everybody.
    pub revoked_message_id: String,
}

/// The payload of `poll.vote`.
#[derive(Debug, Clone, Serialize)]
pub struct Voted {
    /// Of the vote itself.
    #[serde(flatten)]
    pub heading: Heading,
    /// The vote: it replaces the voter's former one.
    pub vote: Vote,
    /// The poll.
    pub poll: PollRef,
}

/// What was voted.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Vote {
    /// The answers chosen; null if the poll itself is not known here, or the vote could not be opened.
    pub selected_options: Option<Vec<String>>,
}

/// A poll that was voted in.
#[derive(Debug, Clone, Serialize)]
pub struct PollRef {
    /// The poll's message.
    pub id: String,
}

/// The payload of `message.ack`.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Acknowledged {
    /// WhatsApp's id of the message.
    pub id: String,
    /// When.
    pub timestamp: i64,
    /// This account.
    pub from: Option<String>,
    /// Always: receipts are for what this account sent.
    pub from_me: bool,
    /// The conversation's address.
    pub to: Option<String>,
    /// Whose device or eyes, in a group.
    pub participant: Option<String>,
    /// The conversation.
    pub chat: Party,
    /// How far it has come.
    pub ack: i8,
    /// In a word.
    pub ack_name: &'static str,
}
