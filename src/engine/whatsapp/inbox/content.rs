//! What a decrypted message says: from WhatsApp's protobuf to the payloads of events. Pure.

use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{ContactMessage, PollCreationMessage, PollUpdateMessage, ProtocolMessage};
use waproto::whatsapp::{ContextInfo, Message};

use crate::domain::media_reference::MediaReference;
use crate::domain::payload::{Location, MessageKind, Poll, ReplyTo, Said};

use super::media::Attached;

/// Wrappers may be nested; nobody nests them deeper than this.
const DEPTH: usize = 8;

/// What a message is to whoever is told of it.
pub(super) enum Content<'a> {
    /// Something that was said, perhaps with a file.
    Said(Box<Said>, Option<MediaReference>),
    /// A reaction to a message.
    Reaction {
        /// The message's id.
        target: &'a str,
        /// The emoji; empty to take it back.
        text: &'a str,
    },
    /// Another text for a message.
    Edit {
        /// The message's id.
        target: &'a str,
        /// What it says now.
        said: Box<Said>,
    },
    /// A message was deleted for everybody.
    Revoke {
        /// The message's id.
        target: &'a str,
    },
    /// A vote in a poll.
    Vote {
        /// The poll's id.
        poll: &'a str,
        /// The sealed vote.
        update: &'a PollUpdateMessage,
    },
    /// Something between clients: keys, settings, history.
    Nothing,
}

/// Reads a message.
pub(super) fn read(message: &Message) -> Content<'_> {
    let (message, is_view_once) = unwrap(message);
    if let Some(change) = message.protocol_message.as_option() {
        return changed(change);
    }
    if let Some(reaction) = message.reaction_message.as_option() {
        let text = reaction.text.as_deref().unwrap_or_default();
        let target = reaction.key.as_option().and_then(|key| key.id.as_deref());
        return target.map_or(Content::Nothing, |target| Content::Reaction { target, text });
    }
    if let Some(update) = message.poll_update_message.as_option() {
        let poll = update.poll_creation_message_key.as_option().and_then(|key| key.id.as_deref());
        return poll.map_or(Content::Nothing, |poll| Content::Vote { poll, update });
    }
    let (mut said, attached) = said(message);
    if said.r#type == MessageKind::Unsupported && is_between_clients(message) {
        return Content::Nothing;
    }
    said.is_view_once |= is_view_once;
    Content::Said(Box::new(said), attached)
}

fn changed(change: &ProtocolMessage) -> Content<'_> {
    let Some(target) = change.key.as_option().and_then(|key| key.id.as_deref()) else { return Content::Nothing };
    match (change.r#type, change.edited_message.as_option()) {
        (Some(Type::REVOKE), _) => Content::Revoke { target },
        (_, Some(edited)) => Content::Edit { target, said: Box::new(said(unwrap(edited).0).0) },
        _ => Content::Nothing,
    }
}

/// The message itself, out of the wrappers that say how it is to be shown; and whether that is once.
fn unwrap(message: &Message) -> (&Message, bool) {
    let mut current = message;
    let mut is_view_once = false;
    for _ in 0..DEPTH {
        let once = [&current.view_once_message, &current.view_once_message_v2, &current.view_once_message_v2_extension];
        let others = [
            &current.ephemeral_message,
            &current.document_with_caption_message,
            &current.lottie_sticker_message,
            &current.group_mentioned_message,
            &current.bot_invoke_message,
            &current.associated_child_message,
            &current.spoiler_message,
            &current.poll_creation_message_v4,
            &current.poll_creation_option_image_message,
            &current.edited_message,
        ];
        if let Some(message) = once.into_iter().find_map(|wrapper| wrapper.as_option()?.message.as_option()) {
            is_view_once = true;
            current = message;
        } else if let Some(message) = others.into_iter().find_map(|wrapper| wrapper.as_option()?.message.as_option()) {
            current = message;
        } else if let Some(sent) = current.device_sent_message.as_option().and_then(|sent| sent.message.as_option()) {
            current = sent;
        } else {
            break;
        }
    }
    (current, is_view_once)
}

/// Whether there is nothing in it that a phone would show.
fn is_between_clients(message: &Message) -> bool {
    message.sticker_sync_rmr_message.is_set()
        || message.message_history_bundle.is_set()
        || message.message_history_notice.is_set()
        || message.fast_ratchet_key_sender_key_distribution_message.is_set()
        // The head of an album: its pictures come one by one.
        || message.album_message.is_set()
        || {
            let mut rest = message.clone();
            rest.sender_key_distribution_message.take();
            rest.message_context_info.take();
            rest == Message::default()
        }
}

/// What an unwrapped message says, and where its file lies.
fn said(message: &Message) -> (Said, Option<MediaReference>) {
    if let Some(text) = &message.conversation {
        return (Said { body: Some(text.clone()), ..Said::nothing(MessageKind::Text) }, None);
    }
    if let Some(extended) = message.extended_text_message.as_option() {
        let said = Said { body: extended.text.clone(), ..Said::nothing(MessageKind::Text) };
        return (in_context(said, extended.context_info.as_option()), None);
    }
    if let Some(attached) = Attached::read(message) {
        let (said, context, reference) = attached.told();
        return (in_context(said, context), reference);
    }
    if let Some(place) = message.location_message.as_option() {
        let kind = if place.is_live == Some(true) { MessageKind::LiveLocation } else { MessageKind::Location };
        let location = Location {
            latitude: place.degrees_latitude.unwrap_or_default(),
            longitude: place.degrees_longitude.unwrap_or_default(),
            name: place.name.clone(),
            description: place.address.clone().or_else(|| place.comment.clone()),
        };
        return (in_context(located(kind, location), place.context_info.as_option()), None);
    }
    if let Some(place) = message.live_location_message.as_option() {
        let location = Location {
            latitude: place.degrees_latitude.unwrap_or_default(),
            longitude: place.degrees_longitude.unwrap_or_default(),
            name: None,
            description: place.caption.clone(),
        };
        return (in_context(located(MessageKind::LiveLocation, location), place.context_info.as_option()), None);
    }
    if let Some(card) = message.contact_message.as_option() {
        return (in_context(cards([card]), card.context_info.as_option()), None);
    }
    if let Some(several) = message.contacts_array_message.as_option() {
        return (in_context(cards(&several.contacts), several.context_info.as_option()), None);
    }
    if let Some(question) = poll(message) {
        let poll = Poll {
            name: question.name.clone().unwrap_or_default(),
            options: question.options.iter().filter_map(|option| option.option_name.clone()).collect(),
            // 0 means any number.
            multiple_answers: question.selectable_options_count != Some(1),
        };
        let said = Said { body: question.name.clone(), poll: Some(poll), ..Said::nothing(MessageKind::Poll) };
        return (in_context(said, question.context_info.as_option()), None);
    }
    if let Some(answer) = message.list_response_message.as_option() {
        let said = Said { body: answer.title.clone(), ..Said::nothing(MessageKind::Text) };
        return (in_context(said, answer.context_info.as_option()), None);
    }
    if let Some(answer) = message.template_button_reply_message.as_option() {
        let said = Said { body: answer.selected_display_text.clone(), ..Said::nothing(MessageKind::Text) };
        return (in_context(said, answer.context_info.as_option()), None);
    }
    (Said::nothing(MessageKind::Unsupported), None)
}

fn located(kind: MessageKind, location: Location) -> Said {
    Said { body: location.description.clone(), location: Some(location), ..Said::nothing(kind) }
}

fn cards<'a>(cards: impl IntoIterator<Item = &'a ContactMessage>) -> Said {
    let v_cards = cards.into_iter().filter_map(|card| card.vcard.clone()).collect();
    Said { v_cards, ..Said::nothing(MessageKind::Contact) }
}

fn poll(message: &Message) -> Option<&PollCreationMessage> {
    let polls = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
        &message.poll_creation_message_v6,
    ];
    polls.into_iter().find_map(|poll| poll.as_option())
}

/// What a message says of others: which it answers, whom it mentions. The addresses are WhatsApp's own until somebody
/// looks them up.
fn in_context(mut said: Said, context: Option<&ContextInfo>) -> Said {
    let Some(context) = context else { return said };
    said.mentions.clone_from(&context.mentioned_jid);
    said.is_forwarded = context.is_forwarded == Some(true);
    said.ephemeral = context.expiration.filter(|seconds| *seconds > 0);
    said.reply_to = context.stanza_id.as_ref().filter(|id| !id.is_empty()).map(|id| ReplyTo {
        id: id.clone(),
        participant: context.participant.clone(),
        body: context.quoted_message.as_option().and_then(|quoted| self::said(unwrap(quoted).0).0.body),
    });
    said
}

// Making messages by hand takes the protobuf library, which is there with the sandbox.
#[cfg(all(test, feature = "sandbox"))]
mod tests;
