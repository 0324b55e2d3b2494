//! What a phone can send, in the one shape the control API has for it: an object tagged by `kind`.
//!
//! Here a request becomes the protobuf message that a phone would write. What needs the phone itself (its media uploads,
//! the messages it refers to) comes in through [`Means`].

use buffa::MessageField;
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::{Deserialize, Serialize};
use wacore::download::MediaType;
use wacore::poll::{compute_option_hash, encrypt_poll_vote_with_secret};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AudioMessage, ContactMessage, DocumentMessage, ExtendedTextMessage, FutureProofMessage, ImageMessage,
    LocationMessage, PollCreationMessage, PollEncValue, PollUpdateMessage, ProtocolMessage, ReactionMessage,
    StickerMessage, VideoMessage, poll_creation_message,
};
use waproto::whatsapp::{ContextInfo, Message, MessageContextInfo, MessageKey};

use super::MessageError;
use super::media::Uploaded;

/// A message that a phone is to send.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Content {
    /// A text, perhaps in reply to a message, perhaps mentioning people.
    Text {
        /// The text.
        text: String,
        /// The id of the message it replies to.
        #[serde(default)]
        reply_to: Option<String>,
        /// Numbers or addresses of the people it mentions.
        #[serde(default)]
        mentions: Vec<String>,
    },
    /// A picture.
    Image {
        /// The file, base64.
        data: String,
        /// Its media type.
        #[serde(default = "jpeg")]
        mimetype: String,
        /// The text below it.
        #[serde(default)]
        caption: Option<String>,
        /// Whether it may be looked at once only.
        #[serde(default)]
        view_once: bool,
    },
    /// A film.
    Video {
        /// The file, base64.
        data: String,
        /// Its media type.
        #[serde(default = "mp4")]
        mimetype: String,
        /// The text below it.
        #[serde(default)]
        caption: Option<String>,
        /// Whether it may be looked at once only.
        #[serde(default)]
        view_once: bool,
    },
    /// A piece of sound.
    Audio {
        /// The file, base64.
        data: String,
        /// Its media type.
        #[serde(default = "mpeg")]
        mimetype: String,
    },
    /// A voice note.
    Voice {
        /// The file, base64.
        data: String,
        /// Its media type.
        #[serde(default = "opus")]
        mimetype: String,
    },
    /// A file.
    Document {
        /// The file, base64.
        data: String,
        /// Its media type.
        #[serde(default = "octets")]
        mimetype: String,
        /// Its name.
        filename: String,
        /// The text below it.
        #[serde(default)]
        caption: Option<String>,
    },
    /// A sticker.
    Sticker {
        /// The file, base64.
        data: String,
        /// Its media type.
        #[serde(default = "webp")]
        mimetype: String,
    },
    /// A place.
    Location {
        /// Degrees north.
        latitude: f64,
        /// Degrees east.
        longitude: f64,
        /// What the place is called.
        #[serde(default)]
        name: Option<String>,
        /// Its address.
        #[serde(default)]
        address: Option<String>,
    },
    /// Somebody's card.
    Contact {
        /// The name on it.
        name: String,
        /// The number on it.
        number: String,
    },
    /// A question with answers to choose from.
    Poll {
        /// The question.
        name: String,
        /// The answers.
        options: Vec<String>,
        /// How many may be chosen.
        #[serde(default = "one")]
        selectable: u32,
    },
    /// An answer to a poll that the phone has sent or received.
    Vote {
        /// The poll's id.
        message: String,
        /// The answers chosen, as they are written in the poll.
        options: Vec<String>,
    },
    /// A reaction to a message; an empty one takes it back.
    Reaction {
        /// The message's id.
        message: String,
        /// The emoji.
        emoji: String,
    },
    /// Another text for a message of one's own.
    Edit {
        /// The message's id.
        message: String,
        /// The text.
        text: String,
    },
    /// Deletes a message of one's own for everyone.
    Revoke {
        /// The message's id.
        message: String,
    },
}

fn jpeg() -> String {
    "image/jpeg".to_owned()
}

fn mp4() -> String {
    "video/mp4".to_owned()
}

fn mpeg() -> String {
    "audio/mpeg".to_owned()
}

fn opus() -> String {
    "audio/ogg; codecs=opus".to_owned()
}

fn octets() -> String {
    "application/octet-stream".to_owned()
}

fn webp() -> String {
    "image/webp".to_owned()
}

fn one() -> u32 {
    1
}

/// A message the phone knows, to which a new one refers.
pub(super) struct Referred {
    /// The message's key, as it is written into the new one.
    pub(super) key: MessageKey,
    /// Who wrote it.
    pub(super) author: String,
    /// The message itself.
    pub(super) message: Message,
}

/// What a phone lends to the writing of a message.
pub(super) trait Means {
    /// Encrypts and uploads a file, given as base64.
    fn upload(&self, data: &str, kind: MediaType) -> Result<Uploaded, MessageError>;
    /// A message that the phone has sent or received.
    fn refer(&self, id: &str) -> Result<Referred, MessageError>;
    /// The address of a person, given as a number or an address.
    fn address(&self, text: &str) -> Result<String, MessageError>;
    /// The phone's own address.
    fn own_address(&self) -> String;
    /// Now, in milliseconds since 1970.
    fn now_ms(&self) -> i64;
}

impl Content {
    /// The stanza attribute `edit`, if this changes an earlier message.
    pub(super) fn edit_attribute(&self) -> Option<&'static str> {
        match self {
            Self::Edit { .. } => Some("1"),
            Self::Revoke { .. } => Some("7"),
            Self::Text { .. }
            | Self::Image { .. }
            | Self::Video { .. }
            | Self::Audio { .. }
            | Self::Voice { .. }
            | Self::Document { .. }
            | Self::Sticker { .. }
            | Self::Location { .. }
            | Self::Contact { .. }
            | Self::Poll { .. }
            | Self::Vote { .. }
            | Self::Reaction { .. } => None,
        }
    }

    /// The answers chosen, if this is a vote.
    pub(super) fn chosen(&self) -> Option<Vec<String>> {
        if let Self::Vote { options, .. } = self { Some(options.clone()) } else { None }
    }

    /// The protobuf message.
    pub(super) fn write(&self, means: &dyn Means, rng: &mut StdRng) -> Result<Message, MessageError> {
        let seconds = means.now_ms() / 1000;
        let mut message = match self {
            Self::Text { text, reply_to, mentions } => write_text(text, reply_to.as_deref(), mentions, means)?,
            Self::Image { data, mimetype, caption, view_once } => {
                let file = means.upload(data, MediaType::Image)?;
                let image = ImageMessage {
                    mimetype: Some(mimetype.clone()),
                    caption: caption.clone(),
                    url: Some(file.url),
                    direct_path: Some(file.direct_path),
                    media_key: Some(file.media_key),
                    file_sha256: Some(file.sha256),
                    file_enc_sha256: Some(file.enc_sha256),
                    file_length: Some(file.length),
                    media_key_timestamp: Some(seconds),
                    view_once: view_once.then_some(true),
                    ..Default::default()
                };
                Message { image_message: MessageField::some(image), ..Default::default() }
            }
            Self::Video { data, mimetype, caption, view_once } => {
                let file = means.upload(data, MediaType::Video)?;
                let video = VideoMessage {
                    mimetype: Some(mimetype.clone()),
                    caption: caption.clone(),
                    url: Some(file.url),
                    direct_path: Some(file.direct_path),
                    media_key: Some(file.media_key),
                    file_sha256: Some(file.sha256),
                    file_enc_sha256: Some(file.enc_sha256),
                    file_length: Some(file.length),
                    media_key_timestamp: Some(seconds),
                    view_once: view_once.then_some(true),
                    ..Default::default()
                };
                Message { video_message: MessageField::some(video), ..Default::default() }
            }
            Self::Audio { data, mimetype } => {
                write_audio(&means.upload(data, MediaType::Audio)?, mimetype, false, seconds)
            }
            Self::Voice { data, mimetype } => {
                write_audio(&means.upload(data, MediaType::Audio)?, mimetype, true, seconds)
            }
            Self::Document { data, mimetype, filename, caption } => {
                let file = means.upload(data, MediaType::Document)?;
                let document = DocumentMessage {
                    mimetype: Some(mimetype.clone()),
                    title: Some(filename.clone()),
                    file_name: Some(filename.clone()),
                    caption: caption.clone(),
                    url: Some(file.url),
                    direct_path: Some(file.direct_path),
                    media_key: Some(file.media_key),
                    file_sha256: Some(file.sha256),
                    file_enc_sha256: Some(file.enc_sha256),
                    file_length: Some(file.length),
                    media_key_timestamp: Some(seconds),
                    ..Default::default()
                };
                Message { document_message: MessageField::some(document), ..Default::default() }
            }
            Self::Sticker { data, mimetype } => {
                let file = means.upload(data, MediaType::Sticker)?;
                let sticker = StickerMessage {
                    mimetype: Some(mimetype.clone()),
                    url: Some(file.url),
                    direct_path: Some(file.direct_path),
                    media_key: Some(file.media_key),
                    file_sha256: Some(file.sha256),
                    file_enc_sha256: Some(file.enc_sha256),
                    file_length: Some(file.length),
                    media_key_timestamp: Some(seconds),
                    ..Default::default()
                };
                Message { sticker_message: MessageField::some(sticker), ..Default::default() }
            }
            Self::Location { latitude, longitude, name, address } => {
                let location = LocationMessage {
                    degrees_latitude: Some(*latitude),
                    degrees_longitude: Some(*longitude),
                    name: name.clone(),
                    address: address.clone(),
                    ..Default::default()
                };
                Message { location_message: MessageField::some(location), ..Default::default() }
            }
            Self::Contact { name, number } => {
                let card =
                    format!("BEGIN:VCARD\nVERSION:3.0\nFN:{name}\nTEL;type=CELL;waid={number}:+{number}\nEND:VCARD");
                let contact =
                    ContactMessage { display_name: Some(name.clone()), vcard: Some(card), ..Default::default() };
                Message { contact_message: MessageField::some(contact), ..Default::default() }
            }
            Self::Poll { name, options, selectable } => write_poll(name, options, *selectable),
            Self::Vote { message, options } => write_vote(&means.refer(message)?, options, means)?,
            Self::Reaction { message, emoji } => {
                let reaction = ReactionMessage {
                    key: MessageField::some(means.refer(message)?.key),
                    text: Some(emoji.clone()),
                    sender_timestamp_ms: Some(means.now_ms()),
                    ..Default::default()
                };
                Message { reaction_message: MessageField::some(reaction), ..Default::default() }
            }
            Self::Edit { message, text } => {
                let edited = Message { conversation: Some(text.clone()), ..Default::default() };
                let change = ProtocolMessage {
                    key: MessageField::some(means.refer(message)?.key),
                    r#type: Some(Type::MESSAGE_EDIT),
                    edited_message: MessageField::some(edited),
                    timestamp_ms: Some(means.now_ms()),
                    ..Default::default()
                };
                Message { protocol_message: MessageField::some(change), ..Default::default() }
            }
            Self::Revoke { message } => {
                let change = ProtocolMessage {
                    key: MessageField::some(means.refer(message)?.key),
                    r#type: Some(Type::REVOKE),
                    ..Default::default()
                };
                Message { protocol_message: MessageField::some(change), ..Default::default() }
            }
        };
        if matches!(self, Self::Image { view_once: true, .. } | Self::Video { view_once: true, .. }) {
            message = once(message);
        }
        let secret: [u8; 32] = rng.random();
        let context = MessageContextInfo { message_secret: Some(secret.to_vec()), ..Default::default() };
        message.message_context_info = MessageField::some(context);
        Ok(message)
    }
}

/// A message that may be looked at once.
fn once(message: Message) -> Message {
    let wrapped = FutureProofMessage { message: MessageField::some(message) };
    Message { view_once_message_v2: MessageField::some(wrapped), ..Default::default() }
}

fn write_text(
    text: &str,
    reply_to: Option<&str>,
    mentions: &[String],
    means: &dyn Means,
) -> Result<Message, MessageError> {
    if reply_to.is_none() && mentions.is_empty() {
        return Ok(Message { conversation: Some(text.to_owned()), ..Default::default() });
    }
    let mut context = ContextInfo {
        mentioned_jid: mentions.iter().map(|mention| means.address(mention)).collect::<Result<_, _>>()?,
        ..Default::default()
    };
    if let Some(id) = reply_to {
        let referred = means.refer(id)?;
        context.stanza_id = Some(id.to_owned());
        context.participant = Some(referred.author);
        context.quoted_message = MessageField::some(referred.message);
    }
    let extended = ExtendedTextMessage {
        text: Some(text.to_owned()),
        context_info: MessageField::some(context),
        ..Default::default()
    };
    Ok(Message { extended_text_message: MessageField::some(extended), ..Default::default() })
}

fn write_audio(file: &Uploaded, mimetype: &str, is_voice: bool, seconds: i64) -> Message {
    let audio = AudioMessage {
        mimetype: Some(mimetype.to_owned()),
        ptt: Some(is_voice),
        url: Some(file.url.clone()),
        direct_path: Some(file.direct_path.clone()),
        media_key: Some(file.media_key.clone()),
        file_sha256: Some(file.sha256.clone()),
        file_enc_sha256: Some(file.enc_sha256.clone()),
        file_length: Some(file.length),
        media_key_timestamp: Some(seconds),
        ..Default::default()
    };
    Message { audio_message: MessageField::some(audio), ..Default::default() }
}

fn write_poll(name: &str, options: &[String], selectable: u32) -> Message {
    let options = options
        .iter()
        .map(|option| poll_creation_message::Option { option_name: Some(option.clone()), ..Default::default() });
    let poll = PollCreationMessage {
        name: Some(name.to_owned()),
        options: options.collect(),
        selectable_options_count: Some(selectable),
        ..Default::default()
    };
    Message { poll_creation_message_v3: MessageField::some(poll), ..Default::default() }
}

fn write_vote(poll: &Referred, options: &[String], means: &dyn Means) -> Result<Message, MessageError> {
    let context = poll.message.message_context_info.as_option();
    let secret = context.and_then(|context| context.message_secret.as_deref()).ok_or(MessageError::NotAPoll)?;
    let known = super::reading::poll_options(&poll.message).ok_or(MessageError::NotAPoll)?;
    if options.iter().any(|option| !known.contains(&option.as_str())) {
        return Err(MessageError::NoSuchOption);
    }
    let hashes = options.iter().map(|option| compute_option_hash(option).to_vec()).collect::<Vec<_>>();
    let id = poll.key.id.as_deref().unwrap_or_default();
    let (payload, iv) = encrypt_poll_vote_with_secret(&hashes, secret, id, &poll.author, &means.own_address())
        .map_err(|_| MessageError::NotAPoll)?;
    let vote = PollEncValue { enc_payload: Some(payload), enc_iv: Some(iv.to_vec()) };
    let update = PollUpdateMessage {
        poll_creation_message_key: MessageField::some(poll.key.clone()),
        vote: MessageField::some(vote),
        sender_timestamp_ms: Some(means.now_ms()),
        ..Default::default()
    };
    Ok(Message { poll_update_message: MessageField::some(update), ..Default::default() })
}
