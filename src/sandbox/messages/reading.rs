//! What a phone makes of a message it has decrypted: the fields that its inbox shows.

use serde::{Deserialize, Serialize};
use wacore::download::MediaType;
use wacore::poll::{PollVoteAddressing, PollVoteCiphertext, compute_option_hash, decrypt_poll_vote_with_fallback};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{PollCreationMessage, PollUpdateMessage};
use waproto::whatsapp::{ContextInfo, Message};

/// What a message says. Fields that its kind does not have are left out.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// `text`, `image`, `video`, `audio`, `voice`, `document`, `sticker`, `location`, `contact`, `poll`, `vote`,
    /// `reaction`, `edit`, `revoke`, or `other`.
    pub kind: String,
    /// The text, the caption, the emoji, the question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The id of the message that this one answers, edits, revokes, reacts to or votes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The addresses of those it mentions.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub mentions: Vec<String>,
    /// What it shows of a page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preview: Option<Preview>,
    /// The answers of a poll, or those chosen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub options: Option<Vec<String>>,
    /// The media type of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mimetype: Option<String>,
    /// The name of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// The size of its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Degrees north and east.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coordinates: Option<(f64, f64)>,
    /// The name of a place or of a contact.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// A contact's card.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vcard: Option<String>,
}

/// What a text shows of the page it leads to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Preview {
    /// The address, as it stands in the text.
    pub link: String,
    /// What the page is called.
    pub title: Option<String>,
    /// What it is about.
    pub description: Option<String>,
}

/// A file that a message refers to.
#[derive(Debug, Clone)]
pub(super) struct Attachment {
    pub(super) kind: MediaType,
    pub(super) direct_path: String,
    pub(super) media_key: Vec<u8>,
}

/// The message itself, out of the wrappers that say how it is to be shown.
fn inner(message: &Message) -> &Message {
    let wrappers = [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.document_with_caption_message,
        &message.edited_message,
    ];
    let wrapped = wrappers.into_iter().find_map(|wrapper| wrapper.as_option()?.message.as_option());
    wrapped.map_or(message, inner)
}

fn poll(message: &Message) -> Option<&PollCreationMessage> {
    let message = inner(message);
    let polls = [&message.poll_creation_message, &message.poll_creation_message_v2, &message.poll_creation_message_v3];
    polls.into_iter().find_map(|poll| poll.as_option())
}

/// The answers of a poll; `None` if the message is none.
pub(super) fn poll_options(message: &Message) -> Option<Vec<&str>> {
    Some(poll(message)?.options.iter().filter_map(|option| option.option_name.as_deref()).collect())
}

impl Said {
    fn of(kind: &str) -> Self {
        Self { kind: kind.to_owned(), ..Self::default() }
    }

    fn in_context(mut self, context: Option<&ContextInfo>) -> Self {
        if let Some(context) = context {
            self.message.clone_from(&context.stanza_id);
            self.mentions.clone_from(&context.mentioned_jid);
        }
        self
    }

    /// Reads a message. Which answers a vote chose only its poll can tell: `open_vote` finds it.
    pub(super) fn read(message: &Message, open_vote: &dyn Fn(&PollUpdateMessage) -> Option<Vec<String>>) -> Self {
        let message = inner(message);
        if let Some(text) = &message.conversation {
            return Self { text: Some(text.clone()), ..Self::of("text") };
        }
        if let Some(extended) = message.extended_text_message.as_option() {
            let preview = extended.matched_text.clone().map(|link| Preview {
                link,
                title: extended.title.clone(),
                description: extended.description.clone(),
            });
            return Self { text: extended.text.clone(), preview, ..Self::of("text") }
                .in_context(extended.context_info.as_option());
        }
        if let Some(reaction) = message.reaction_message.as_option() {
            let key = reaction.key.as_option();
            let target = key.and_then(|key| key.id.clone());
            return Self { text: reaction.text.clone(), message: target, ..Self::of("reaction") };
        }
        if let Some(change) = message.protocol_message.as_option() {
            let target = change.key.as_option().and_then(|key| key.id.clone());
            return match change.r#type {
                Some(Type::REVOKE) => Self { message: target, ..Self::of("revoke") },
                Some(Type::MESSAGE_EDIT) => {
                    let edited = change.edited_message.as_option().map(|edited| Self::read(edited, open_vote));
                    Self { message: target, text: edited.and_then(|said| said.text), ..Self::of("edit") }
                }
                _ => Self::of("other"),
            };
        }
        if let Some(poll) = poll(message) {
            let options = poll_options(message).unwrap_or_default().into_iter().map(ToOwned::to_owned).collect();
            return Self { text: poll.name.clone(), options: Some(options), ..Self::of("poll") };
        }
        if let Some(update) = message.poll_update_message.as_option() {
            let target = update.poll_creation_message_key.as_option().and_then(|key| key.id.clone());
            return Self { message: target, options: open_vote(update), ..Self::of("vote") };
        }
        Self::read_place_or_card(message).or_else(|| Self::read_file(message)).unwrap_or_else(|| Self::of("other"))
    }

    fn read_place_or_card(message: &Message) -> Option<Self> {
        if let Some(location) = message.location_message.as_option() {
            let coordinates = location.degrees_latitude.zip(location.degrees_longitude);
            return Some(Self {
                coordinates,
                name: location.name.clone(),
                text: location.address.clone(),
                ..Self::of("location")
            });
        }
        let contact = message.contact_message.as_option()?;
        Some(Self { name: contact.display_name.clone(), vcard: contact.vcard.clone(), ..Self::of("contact") })
    }

    fn read_file(message: &Message) -> Option<Self> {
        if let Some(image) = message.image_message.as_option() {
            let said = Self { text: image.caption.clone(), ..Self::of("image") };
            return Some(
                said.with_file(image.mimetype.as_ref(), image.file_length).in_context(image.context_info.as_option()),
            );
        }
        if let Some(video) = message.video_message.as_option() {
            let said = Self { text: video.caption.clone(), ..Self::of("video") };
            return Some(
                said.with_file(video.mimetype.as_ref(), video.file_length).in_context(video.context_info.as_option()),
            );
        }
        if let Some(audio) = message.audio_message.as_option() {
            let said = Self::of(if audio.ptt == Some(true) { "voice" } else { "audio" });
            return Some(
                said.with_file(audio.mimetype.as_ref(), audio.file_length).in_context(audio.context_info.as_option()),
            );
        }
        if let Some(document) = message.document_message.as_option() {
            let said =
                Self { text: document.caption.clone(), filename: document.file_name.clone(), ..Self::of("document") };
            return Some(
                said.with_file(document.mimetype.as_ref(), document.file_length)
                    .in_context(document.context_info.as_option()),
            );
        }
        let sticker = message.sticker_message.as_option()?;
        let said = Self::of("sticker").with_file(sticker.mimetype.as_ref(), sticker.file_length);
        Some(said.in_context(sticker.context_info.as_option()))
    }

    fn with_file(mut self, mimetype: Option<&String>, size: Option<u64>) -> Self {
        self.mimetype = mimetype.cloned();
        self.size = size;
        self
    }
}

/// The file that a message refers to.
pub(super) fn attachment(message: &Message) -> Option<Attachment> {
    let message = inner(message);
    let found = |kind, path: &Option<String>, key: &Option<Vec<u8>>| {
        Some(Attachment { kind, direct_path: path.clone()?, media_key: key.clone()? })
    };
    if let Some(image) = message.image_message.as_option() {
        return found(MediaType::Image, &image.direct_path, &image.media_key);
    }
    if let Some(video) = message.video_message.as_option() {
        return found(MediaType::Video, &video.direct_path, &video.media_key);
    }
    if let Some(audio) = message.audio_message.as_option() {
        return found(MediaType::Audio, &audio.direct_path, &audio.media_key);
    }
    if let Some(document) = message.document_message.as_option() {
        return found(MediaType::Document, &document.direct_path, &document.media_key);
    }
    let sticker = message.sticker_message.as_option()?;
    found(MediaType::Sticker, &sticker.direct_path, &sticker.media_key)
}

/// Opens a vote with the poll it is about. Its author and its voter may each be known by number or by hidden id.
pub(super) fn open_vote(
    update: &PollUpdateMessage,
    poll: &Message,
    by_number: PollVoteAddressing<'_>,
    by_lid: PollVoteAddressing<'_>,
) -> Option<Vec<String>> {
    let vote = update.vote.as_option()?;
    let secret = poll.message_context_info.as_option()?.message_secret.as_deref()?;
    let id = update.poll_creation_message_key.as_option()?.id.as_deref()?;
    let sealed = PollVoteCiphertext { enc_payload: vote.enc_payload.as_deref()?, enc_iv: vote.enc_iv.as_deref()? };
    let hashes = decrypt_poll_vote_with_fallback(sealed, secret, id, by_number, Some(by_lid)).ok()?;
    let options = poll_options(poll)?;
    let chosen = options.into_iter().filter(|option| hashes.iter().any(|hash| *hash == compute_option_hash(option)));
    Some(chosen.map(ToOwned::to_owned).collect())
}
