//! Every kind of message, both ways.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use buffa::MessageField;
use serde_json::json;
use wacore::download::MediaType;
use waproto::whatsapp::message::{ContactMessage, ExtendedTextMessage, LocationMessage, StickerMessage};
use waproto::whatsapp::{ContextInfo, MessageKey};
use whatsapp_rust::RevokeType;
use whatsapp_rust::UploadOptions;
use whatsapp_rust::media::{
    AudioOptions, DocumentOptions, ImageOptions, VideoOptions, audio_message, document_message, image_message,
    video_message,
};

use super::*;

fn content(value: serde_json::Value) -> Content {
    serde_json::from_value(value).unwrap()
}

impl Pair {
    /// The other phone sends this to the client's account, which receives it.
    async fn receive(&mut self, value: serde_json::Value) -> (String, Message) {
        let sent = self.sandbox.send(&self.other.number, &self.own_number(), &content(value)).unwrap();
        let message = self.client.message().await;
        assert_eq!(message.info.id, sent.id);
        (sent.id, (*message.message).clone())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_kind_reach_a_linked_device_that_can_open_them() {
    let mut pair = Pair::new().await;
    let file = b"not really a picture".to_vec();
    let data = BASE64_STANDARD.encode(&file);
    let client = pair.client.inner();

    let (_, message) = pair.receive(json!({ "kind": "image", "data": data, "caption": "look" })).await;
    let image = message.image_message.as_option().unwrap();
    assert_eq!(image.caption.as_deref(), Some("look"));
    assert_eq!(client.download(image).await.unwrap(), file);

    let (_, message) = pair.receive(json!({ "kind": "video", "data": data })).await;
    assert_eq!(client.download(message.video_message.as_option().unwrap()).await.unwrap(), file);

    for (kind, is_voice) in [("audio", false), ("voice", true)] {
        let (_, message) = pair.receive(json!({ "kind": kind, "data": data })).await;
        let audio = message.audio_message.as_option().unwrap();
        assert_eq!(audio.ptt, Some(is_voice));
        assert_eq!(client.download(audio).await.unwrap(), file);
    }

    let document = json!({ "kind": "document", "data": data, "filename": "a.pdf", "mimetype": "application/pdf" });
    let (_, message) = pair.receive(document).await;
    let document = message.document_message.as_option().unwrap();
    assert_eq!(document.file_name.as_deref(), Some("a.pdf"));
    assert_eq!(client.download(document).await.unwrap(), file);

    let (_, message) = pair.receive(json!({ "kind": "sticker", "data": data })).await;
    assert_eq!(client.download(message.sticker_message.as_option().unwrap()).await.unwrap(), file);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_every_kind_reach_a_phone_that_can_open_them() {
    let pair = Pair::new().await;
    let client = pair.client.inner();
    let file = b"really no film".to_vec();
    let upload = async |kind| client.upload(file.clone(), kind, UploadOptions::new()).await.unwrap();
    let sticker = upload(MediaType::Sticker).await;
    let sticker = StickerMessage {
        mimetype: Some("image/webp".to_owned()),
        url: Some(sticker.url),
        direct_path: Some(sticker.direct_path),
        media_key: Some(sticker.media_key.to_vec()),
        file_sha256: Some(sticker.file_sha256.to_vec()),
        file_enc_sha256: Some(sticker.file_enc_sha256.to_vec()),
        file_length: Some(sticker.file_length),
        ..Default::default()
    };
    let voice = AudioOptions { ptt: Some(true), ..Default::default() };
    let named = DocumentOptions { file_name: Some("b.pdf".to_owned()), ..Default::default() };
    let caption = ImageOptions { caption: Some("see".to_owned()), ..Default::default() };
    let messages = [
        ("image", image_message(upload(MediaType::Image).await, caption)),
        ("video", video_message(upload(MediaType::Video).await, VideoOptions::default())),
        ("audio", audio_message(upload(MediaType::Audio).await, AudioOptions::default())),
        ("voice", audio_message(upload(MediaType::Audio).await, voice)),
        ("document", document_message(upload(MediaType::Document).await, named)),
        ("sticker", Message { sticker_message: MessageField::some(sticker), ..Default::default() }),
    ];
    for (count, (kind, message)) in messages.into_iter().enumerate() {
        let sent = client.send_message(pair.other_jid(), message).await.unwrap();
        let item = pair.inbox(count + 1).await.remove(count);
        assert_eq!((item.id.as_str(), item.said.kind.as_str()), (sent.message_id.as_str(), kind));
        assert_eq!(item.said.size, Some(file.len() as u64), "{kind}");
        assert_eq!(pair.sandbox.file(&pair.other.number, &item.id).unwrap(), file, "{kind}");
    }
    let inbox = pair.inbox(6).await;
    assert_eq!(inbox[0].said.text.as_deref(), Some("see"));
    assert_eq!(inbox[4].said.filename.as_deref(), Some("b.pdf"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_cards_replies_and_mentions_reach_a_linked_device() {
    let mut pair = Pair::new().await;
    let (_, message) = pair.receive(json!({ "kind": "location", "latitude": 30.0, "longitude": 31.2 })).await;
    let location = message.location_message.as_option().unwrap();
    assert_eq!((location.degrees_latitude, location.degrees_longitude), (Some(30.0), Some(31.2)));

    let (_, message) = pair.receive(json!({ "kind": "contact", "name": "Mona", "number": "15550100007" })).await;
    assert!(message.contact_message.as_option().unwrap().vcard.as_ref().unwrap().contains("waid=15550100007"));

    let asked = pair.say("shall we").await;
    pair.inbox(1).await;
    let own = pair.own_number();
    let reply = json!({ "kind": "text", "text": "yes", "reply_to": asked, "mentions": [own] });
    let (_, message) = pair.receive(reply).await;
    let extended = message.extended_text_message.as_option().unwrap();
    let context = extended.context_info.as_option().unwrap();
    assert_eq!(context.stanza_id.as_ref(), Some(&asked));
    assert_eq!(context.quoted_message.as_option().and_then(words), Some("shall we"));
    assert_eq!(context.mentioned_jid, [format!("{own}@s.whatsapp.net")]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn places_cards_replies_and_mentions_reach_a_phone() {
    let mut pair = Pair::new().await;
    let client = pair.client.inner();
    let location = LocationMessage { degrees_latitude: Some(1.5), degrees_longitude: Some(2.5), ..Default::default() };
    let contact = ContactMessage {
        display_name: Some("Mona".to_owned()),
        vcard: Some("BEGIN:VCARD\nEND:VCARD".to_owned()),
        ..Default::default()
    };
    let heard = pair.hear("say something");
    pair.client.message().await;
    let context = ContextInfo {
        stanza_id: Some(heard.clone()),
        participant: Some(pair.other.jid.clone()),
        mentioned_jid: vec![pair.other.jid.clone()],
        ..Default::default()
    };
    let extended = ExtendedTextMessage {
        text: Some("something".to_owned()),
        context_info: MessageField::some(context),
        ..Default::default()
    };
    for message in [
        Message { location_message: MessageField::some(location), ..Default::default() },
        Message { contact_message: MessageField::some(contact), ..Default::default() },
        Message { extended_text_message: MessageField::some(extended), ..Default::default() },
    ] {
        client.send_message(pair.other_jid(), message).await.unwrap();
    }
    let inbox = pair.inbox(3).await;
    assert_eq!(inbox[0].said.coordinates, Some((1.5, 2.5)));
    assert_eq!((inbox[1].said.kind.as_str(), inbox[1].said.name.as_deref()), ("contact", Some("Mona")));
    assert_eq!(inbox[2].said.message, Some(heard));
    assert_eq!(inbox[2].said.mentions, [pair.other.jid.clone()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reactions_edits_and_deletions_go_both_ways() {
    let mut pair = Pair::new().await;
    let client = pair.client.inner();
    let (mine, _) = pair.receive(json!({ "kind": "text", "text": "hallo" })).await;
    let (_, message) = pair.receive(json!({ "kind": "edit", "message": mine, "text": "hello" })).await;
    let change = message.protocol_message.as_option().unwrap();
    assert_eq!(change.edited_message.as_option().and_then(words), Some("hello"));
    let (_, message) = pair.receive(json!({ "kind": "revoke", "message": mine })).await;
    let key = message.protocol_message.as_option().unwrap().key.as_option().unwrap().clone();
    assert_eq!(key.id.as_ref(), Some(&mine));

    let theirs = pair.say("i like it").await;
    pair.inbox(1).await;
    let (_, message) = pair.receive(json!({ "kind": "reaction", "message": theirs, "emoji": "👍" })).await;
    let reaction = message.reaction_message.as_option().unwrap();
    assert_eq!(reaction.text.as_deref(), Some("👍"));
    assert_eq!(reaction.key.as_option().unwrap().id.as_ref(), Some(&theirs));

    let key = MessageKey {
        remote_jid: Some(pair.other.jid.clone()),
        from_me: Some(false),
        id: Some(mine.clone()),
        participant: None,
    };
    client.send_reaction(pair.other_jid(), key, "🎉").await.unwrap();
    client.edit_message(pair.other_jid(), theirs.clone(), text("i love it")).await.unwrap();
    client.revoke_message(pair.other_jid(), theirs.clone(), RevokeType::Sender).await.unwrap();
    let inbox = pair.inbox(4).await;
    let said =
        |at: usize| (inbox[at].said.kind.as_str(), inbox[at].said.text.as_deref(), inbox[at].said.message.clone());
    assert_eq!(said(1), ("reaction", Some("🎉"), Some(mine)));
    assert_eq!(said(2), ("edit", Some("i love it"), Some(theirs.clone())));
    assert_eq!(said(3), ("revoke", None, Some(theirs)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn polls_and_votes_go_both_ways() {
    let mut pair = Pair::new().await;
    let client = pair.client.inner();
    let options = ["tea".to_owned(), "coffee".to_owned()];
    let (sent, secret) = client.polls().create(pair.other_jid(), "which?", &options, 1).await.unwrap();
    let poll = pair.inbox(1).await.remove(0);
    assert_eq!((poll.said.kind.as_str(), poll.said.options.as_deref()), ("poll", Some(options.as_slice())));
    let vote = json!({ "kind": "vote", "message": sent.message_id, "options": ["coffee"] });
    let (_, message) = pair.receive(vote).await;
    let vote = message.poll_update_message.as_option().unwrap().vote.as_option().unwrap();
    let own: Jid = format!("{}@s.whatsapp.net", pair.own_number()).parse().unwrap();
    let sealed = wacore::poll::PollVoteCiphertext {
        enc_payload: vote.enc_payload.as_deref().unwrap(),
        enc_iv: vote.enc_iv.as_deref().unwrap(),
    };
    let chosen = client.polls().decrypt_vote(sealed, &secret, &sent.message_id, &own, &pair.other_jid()).await.unwrap();
    assert_eq!(chosen, [wacore::poll::compute_option_hash("coffee").to_vec()]);

    let question = json!({ "kind": "poll", "name": "when?", "options": ["now", "later"] });
    let (id, message) = pair.receive(question).await;
    let secret = message.message_context_info.as_option().unwrap().message_secret.clone().unwrap();
    client.polls().vote(pair.other_jid(), &id, &pair.other_jid(), &secret, &["later".to_owned()]).await.unwrap();
    let vote = pair.inbox(2).await.remove(1);
    assert_eq!((vote.said.kind.as_str(), vote.said.message), ("vote", Some(id)));
    assert_eq!(vote.said.options, Some(vec!["later".to_owned()]));
}
