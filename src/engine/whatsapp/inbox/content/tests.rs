use buffa::MessageField;
use waproto::whatsapp::message::{
    AlbumMessage, ExtendedTextMessage, FutureProofMessage, ImageMessage, LiveLocationMessage, OrderMessage,
    SenderKeyDistributionMessage,
};
use waproto::whatsapp::{MessageContextInfo, MessageKey};

use super::*;

fn text(words: &str) -> Message {
    Message { conversation: Some(words.to_owned()), ..Default::default() }
}

fn wrapped(message: Message) -> MessageField<FutureProofMessage> {
    MessageField::some(FutureProofMessage { message: MessageField::some(message) })
}

fn told(message: &Message) -> (Said, Option<MediaReference>) {
    match read(message) {
        Content::Said(said, file) => (*said, file),
        Content::Reaction { .. }
        | Content::Edit { .. }
        | Content::Revoke { .. }
        | Content::Vote { .. }
        | Content::Nothing => panic!("it says something"),
    }
}

fn picture() -> ImageMessage {
    ImageMessage {
        mimetype: Some("image/jpeg".to_owned()),
        caption: Some("look".to_owned()),
        direct_path: Some("/v/1".to_owned()),
        media_key: Some(vec![7; 32]),
        file_sha256: Some(vec![1; 32]),
        file_enc_sha256: Some(vec![2; 32]),
        file_length: Some(20),
        ..Default::default()
    }
}

#[test]
fn a_message_is_read_out_of_every_wrapper() {
    let image = Message { image_message: MessageField::some(picture()), ..Default::default() };
    let once = Message { view_once_message_v2: wrapped(image.clone()), ..Default::default() };
    let ephemeral = Message { ephemeral_message: wrapped(once), ..Default::default() };
    let (said, file) = told(&ephemeral);
    assert_eq!((said.r#type, said.body.as_deref(), said.is_view_once), (MessageKind::Image, Some("look"), true));
    assert_eq!(file.unwrap().direct_path, "/v/1");
    let document = Message { document_with_caption_message: wrapped(image), ..Default::default() };
    assert!(!told(&document).0.is_view_once);
}

#[test]
fn wrappers_without_end_are_given_up() {
    let mut message = text("deep");
    for _ in 0..100 {
        message = Message { ephemeral_message: wrapped(message), ..Default::default() };
    }
    assert_eq!(told(&message).0.r#type, MessageKind::Unsupported);
}

#[test]
fn a_picture_whose_key_is_withheld_is_told_without_a_reference() {
    let image = ImageMessage { media_key: None, ..picture() };
    let (said, file) = told(&Message { image_message: MessageField::some(image), ..Default::default() });
    assert!(said.has_media && file.is_none());
}

#[test]
fn what_is_between_clients_is_not_told_and_what_is_unknown_is() {
    let keys = SenderKeyDistributionMessage { group_id: Some("1@g.us".to_owned()), ..Default::default() };
    let secret = MessageContextInfo { message_secret: Some(vec![1; 32]), ..Default::default() };
    for message in [
        Message::default(),
        Message { sender_key_distribution_message: MessageField::some(keys), ..Default::default() },
        Message { message_context_info: MessageField::some(secret), ..Default::default() },
        Message { album_message: MessageField::some(AlbumMessage::default()), ..Default::default() },
        Message { protocol_message: MessageField::some(ProtocolMessage::default()), ..Default::default() },
    ] {
        assert!(matches!(read(&message), Content::Nothing), "{message:?}");
    }
    let order = OrderMessage { order_id: Some("1".to_owned()), ..Default::default() };
    let order = Message { order_message: MessageField::some(order), ..Default::default() };
    assert_eq!(told(&order).0.r#type, MessageKind::Unsupported);
}

#[test]
fn an_answer_names_what_it_answers_and_quotes_it() {
    let context = ContextInfo {
        stanza_id: Some("A1".to_owned()),
        participant: Some("15550100001@s.whatsapp.net".to_owned()),
        quoted_message: MessageField::some(text("shall we")),
        mentioned_jid: vec!["15550100002@s.whatsapp.net".to_owned()],
        is_forwarded: Some(true),
        expiration: Some(86_400),
        ..Default::default()
    };
    let extended = ExtendedTextMessage {
        text: Some("yes".to_owned()),
        context_info: MessageField::some(context),
        ..Default::default()
    };
    let (said, _) = told(&Message { extended_text_message: MessageField::some(extended), ..Default::default() });
    let answered = said.reply_to.unwrap();
    assert_eq!((answered.id.as_str(), answered.body.as_deref()), ("A1", Some("shall we")));
    assert_eq!((said.is_forwarded, said.ephemeral, said.mentions.len()), (true, Some(86_400), 1));
}

#[test]
fn edits_and_deletions_name_the_message_they_are_about() {
    let key = MessageKey { id: Some("A1".to_owned()), ..Default::default() };
    let edit = ProtocolMessage {
        key: MessageField::some(key.clone()),
        r#type: Some(Type::MESSAGE_EDIT),
        edited_message: MessageField::some(text("hello")),
        ..Default::default()
    };
    let edit = Message { protocol_message: MessageField::some(edit), ..Default::default() };
    let edit = Message { edited_message: wrapped(edit), ..Default::default() };
    match read(&edit) {
        Content::Edit { target, said } => assert_eq!((target, said.body.as_deref()), ("A1", Some("hello"))),
        _ => panic!("it is an edit"),
    }
    let revoke = ProtocolMessage { key: MessageField::some(key), r#type: Some(Type::REVOKE), ..Default::default() };
    let revoke = Message { protocol_message: MessageField::some(revoke), ..Default::default() };
    assert!(matches!(read(&revoke), Content::Revoke { target: "A1" }));
}

#[test]
fn where_somebody_is_as_they_move_is_a_place_of_its_own_kind() {
    let live =
        LiveLocationMessage { degrees_latitude: Some(30.0), degrees_longitude: Some(31.2), ..Default::default() };
    let (said, _) = told(&Message { live_location_message: MessageField::some(live), ..Default::default() });
    assert_eq!((said.r#type, said.location.unwrap().longitude), (MessageKind::LiveLocation, 31.2));
}
