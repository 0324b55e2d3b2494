//! Our messages in WhatsApp's own form.

use buffa::MessageField;
use chrono::{DateTime, Utc};
use waproto::whatsapp::message::extended_text_message::PreviewType;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    ContactMessage, ContactsArrayMessage, ExtendedTextMessage, LocationMessage, PollContentType, PollCreationMessage,
    ProtocolMessage, ReactionMessage, poll_creation_message,
};
use waproto::whatsapp::{ContextInfo, Message as Written, MessageContextInfo, MessageKey};

use crate::domain::chat_id::ChatId;
use crate::domain::outgoing::{Author, Card, Content, LinkPreview, Message, Place, Poll, Quote, Target, Words};

/// The message as WhatsApp takes it. `own` is this account's address in the chat.
pub(super) fn message(message: &Message, own: &str, now: DateTime<Utc>) -> Written {
    let chat = &message.chat;
    let context = |quote: Option<&Quote>, mentions: &[ChatId]| context(own, quote, mentions);
    match &message.content {
        Content::Text { text: words, quote, mentions, preview } => {
            text(words, context(quote.as_ref(), mentions), preview.as_deref())
        }
        Content::Location { place, quote } => Written {
            location_message: MessageField::some(location(place, context(quote.as_ref(), &[]))),
            ..Default::default()
        },
        Content::Contact { cards, quote } => contacts(cards, context(quote.as_ref(), &[])),
        Content::Poll { poll: content, secret, quote } => poll(content, secret, context(quote.as_ref(), &[])),
        // One whose file was not uploaded is not handed to this client.
        Content::File { placed: None, .. } => Written::default(),
        Content::File { file, placed: Some(placed), caption, quote, mentions } => {
            super::file::message((file, placed), caption.as_ref(), context(quote.as_ref(), mentions), now)
        }
        Content::Reaction { target, emoji } => Written {
            reaction_message: MessageField::some(ReactionMessage {
                key: MessageField::some(key(chat, own, target)),
                text: Some(emoji.as_ref().map_or(String::new(), |emoji| emoji.as_str().to_owned())),
                sender_timestamp_ms: Some(now.timestamp_millis()),
                ..Default::default()
            }),
            ..Default::default()
        },
        Content::Edit { target, text: words, mentions } => {
            let target = Target { id: target.clone(), author: Author::Me };
            protocol(ProtocolMessage {
                key: MessageField::some(key(chat, own, &target)),
                r#type: Some(Type::MESSAGE_EDIT),
                edited_message: MessageField::some(text(words, context(None, mentions), None)),
                timestamp_ms: Some(now.timestamp_millis()),
                ..Default::default()
            })
        }
        Content::Revoke { target } => {
            let mut key = key(chat, own, target);
            // Of one's own message only its id is named here.
            if target.author == Author::Me {
                key.participant = None;
            }
            protocol(ProtocolMessage { key: MessageField::some(key), r#type: Some(Type::REVOKE), ..Default::default() })
        }
    }
}

fn protocol(message: ProtocolMessage) -> Written {
    Written { protocol_message: MessageField::some(message), ..Default::default() }
}

fn text(words: &Words, context: MessageField<ContextInfo>, preview: Option<&LinkPreview>) -> Written {
    let words = Some(words.as_str().to_owned());
    if context.is_unset() && preview.is_none() {
        return Written { conversation: words, ..Default::default() };
    }
    let mut extended = ExtendedTextMessage { text: words, context_info: context, ..Default::default() };
    if let Some(LinkPreview { link, title, description }) = preview {
        extended.matched_text = Some(link.clone());
        extended.title = Some(title.clone());
        extended.description.clone_from(description);
        extended.preview_type = Some(PreviewType::NONE);
    }
    Written { extended_text_message: MessageField::some(extended), ..Default::default() }
}

fn location(place: &Place, context: MessageField<ContextInfo>) -> LocationMessage {
    let (latitude, longitude) = place.coordinates();
    let owned = |words: &Option<Words>| words.as_ref().map(|words| words.as_str().to_owned());
    LocationMessage {
        degrees_latitude: Some(latitude),
        degrees_longitude: Some(longitude),
        name: owned(&place.name),
        address: owned(&place.address),
        context_info: context,
        ..Default::default()
    }
}

/// One card is a message of its own kind; several are a list of such.
fn contacts(cards: &[Card], context: MessageField<ContextInfo>) -> Written {
    let one = |card: &Card| ContactMessage {
        display_name: Some(card.name().to_owned()),
        vcard: Some(card.vcard().to_owned()),
        ..Default::default()
    };
    if let [card] = cards {
        let contact = ContactMessage { context_info: context, ..one(card) };
        return Written { contact_message: MessageField::some(contact), ..Default::default() };
    }
    let several = ContactsArrayMessage {
        display_name: Some(format!("{} contacts", cards.len())),
        contacts: cards.iter().map(one).collect(),
        context_info: context,
    };
    Written { contacts_array_message: MessageField::some(several), ..Default::default() }
}

fn poll(poll: &Poll, secret: &[u8; 32], context: MessageField<ContextInfo>) -> Written {
    let option = |name: &Words| poll_creation_message::Option {
        option_name: Some(name.as_str().to_owned()),
        ..Default::default()
    };
    let creation = PollCreationMessage {
        name: Some(poll.question.as_str().to_owned()),
        options: poll.options().iter().map(option).collect(),
        selectable_options_count: Some(poll.selectable()),
        poll_content_type: Some(PollContentType::TEXT),
        context_info: context,
        ..Default::default()
    };
    let secret = MessageContextInfo { message_secret: Some(secret.to_vec()), ..Default::default() };
    let mut written = Written { message_context_info: MessageField::some(secret), ..Default::default() };
    // WhatsApp's own web client: the third form for one choice, the first for several.
    if poll.selectable() == 1 {
        written.poll_creation_message_v3 = MessageField::some(creation);
    } else {
        written.poll_creation_message = MessageField::some(creation);
    }
    written
}

/// The key of a message in `chat`.
fn key(chat: &ChatId, own: &str, target: &Target) -> MessageKey {
    MessageKey {
        remote_jid: Some(chat.jid()),
        from_me: Some(target.author == Author::Me),
        id: Some(target.id.to_string()),
        // In a chat between two it goes without saying who wrote a message.
        participant: chat.is_group().then(|| author(own, &target.author)),
    }
}

fn author(own: &str, author: &Author) -> String {
    match author {
        Author::Other(other) => other.jid(),
        Author::Me => own.to_owned(),
    }
}

/// What a message answers and whom it mentions; unset if neither.
fn context(own: &str, quote: Option<&Quote>, mentions: &[ChatId]) -> MessageField<ContextInfo> {
    if quote.is_none() && mentions.is_empty() {
        return MessageField::none();
    }
    let mut context = ContextInfo { mentioned_jid: mentions.iter().map(ChatId::jid).collect(), ..Default::default() };
    if let Some(quote) = quote {
        context.stanza_id = Some(quote.target.id.to_string());
        context.participant = Some(author(own, &quote.target.author));
        // Without the quoted words a phone that has the message shows it all the same; one must be there.
        let words = quote.text.as_ref().map_or("", Words::as_str);
        context.quoted_message =
            MessageField::some(Written { conversation: Some(words.to_owned()), ..Default::default() });
    }
    MessageField::some(context)
}
