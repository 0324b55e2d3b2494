//! Every kind of message, in WAHA's words.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use wagate::domain::instance::InstanceId;
use wagate::domain::media_reference::MediaKind;
use wagate::store::message_reference;

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_told_with_whom_it_is_from_and_answers_with_what_they_answer() {
    let pair = Pair::new().await;
    let first = pair.hear(text("shall we")).await;
    let told = pair.told(EventKind::Message, &first).await;
    assert_eq!(told["body"], "shall we");
    assert_eq!((&told["type"], &told["fromMe"], &told["hasMedia"]), (&json!("text"), &json!(false), &json!(false)));
    assert_eq!((&told["from"], &told["participant"]), (&json!(pair.other_id()), &Value::Null));
    assert_eq!(told["chat"]["phone"], pair.other_id());
    assert!(told["chat"]["lid"].as_str().unwrap().ends_with("@lid"), "{told}");
    assert_eq!(told["chat"], told["sender"]);
    assert!(told["timestamp"].as_i64().unwrap() > 1_600_000_000);

    let answer = json!({ "kind": "text", "text": "yes", "reply_to": first, "mentions": [pair.own] });
    let answer = pair.hear(answer).await;
    let told = pair.told(EventKind::Message, &answer).await;
    assert_eq!((&told["replyTo"]["id"], &told["replyTo"]["body"]), (&json!(first), &json!("shall we")));
    assert_eq!(
        (&told["replyTo"]["participant"], &told["mentions"]),
        (&json!(pair.other_id()), &json!([pair.own_id()]))
    );

    let log = pair.log().await;
    let me = &log[0].content.as_ref().unwrap().me;
    assert_eq!(me["id"], pair.own_id());
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_kind_are_told_and_what_fetches_them_is_kept_sealed() {
    let pair = Pair::new().await;
    let id = InstanceId::parse(&pair.instance).unwrap();
    let file = b"really no picture".to_vec();
    let data = BASE64_STANDARD.encode(&file);
    let cipher = pair.gateway.cipher(&pair.instance).await;
    for (kind, more, reference) in [
        ("image", json!({ "caption": "look" }), MediaKind::Image),
        ("video", json!({}), MediaKind::Video),
        ("audio", json!({}), MediaKind::Audio),
        ("voice", json!({}), MediaKind::Audio),
        ("document", json!({ "filename": "a.pdf", "mimetype": "application/pdf" }), MediaKind::Document),
        ("sticker", json!({}), MediaKind::Sticker),
    ] {
        let mut content = more;
        content["kind"] = json!(kind);
        content["data"] = json!(data);
        let message = pair.hear(content.clone()).await;
        let told = pair.told(EventKind::Message, &message).await;
        assert_eq!(
            (&told["type"], &told["hasMedia"], &told["body"]),
            (&json!(kind), &json!(true), &content["caption"])
        );
        assert_eq!(told["media"]["url"], format!("/v2/media/{message}"));
        assert_eq!((&told["media"]["size"], &told["media"]["filename"]), (&json!(file.len()), &content["filename"]));
        let mut conn = pair.gateway.database.pool().acquire().await.unwrap();
        let kept = message_reference::media(&mut conn, &cipher, id, &message).await.unwrap().unwrap();
        assert_eq!((kept.kind, kept.media_key.len(), kept.size), (reference, 32, Some(file.len() as u64)));
        assert!(message_reference::media(&mut conn, &cipher, id, "another").await.unwrap().is_none());
    }
    let rows: Vec<String> = sqlx::query_scalar("SELECT encode(content, 'escape') FROM message_reference")
        .fetch_all(pair.gateway.database.pool())
        .await
        .unwrap();
    assert!(rows.len() == 6 && rows.iter().all(|row| !row.contains("direct_path") && !row.contains("a.pdf")));
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_may_be_seen_once_is_for_phones_and_told_without_it() {
    let pair = Pair::new().await;
    let data = BASE64_STANDARD.encode(b"seen once");
    let message = pair.hear(json!({ "kind": "image", "data": data, "view_once": true })).await;
    pair.is_given_up(&message).await;
    let told = pair.told(EventKind::Message, &message).await;
    assert_eq!((&told["type"], &told["isViewOnce"]), (&json!("undecryptable"), &json!(true)));
    assert_eq!((&told["hasMedia"], &told["from"]), (&json!(false), &json!(pair.other_id())));
    let inbox = pair.gateway.network.get(&format!("/phones/{}/inbox", pair.own)).await;
    assert_eq!((&inbox[0]["id"], &inbox[0]["kind"]), (&json!(message), &json!("image")), "the phone has it");
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_cannot_be_read_is_asked_for_again_and_told_once() {
    let pair = Pair::new().await;
    pair.gateway.network.fault(&json!({ "kind": "garbled", "count": 2 })).await;
    let message = pair.hear(text("legible")).await;
    let told = pair.told(EventKind::Message, &message).await;
    assert_eq!((&told["type"], &told["body"]), (&json!("text"), &json!("legible")));
    let last = pair.hear(text("last")).await;
    pair.told(EventKind::Message, &last).await;
    pair.stop().await;
    assert_eq!(pair.log().await.iter().filter(|event| event.kind == EventKind::Message).count(), 2);
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_nobody_can_read_is_told_as_such() {
    let pair = Pair::new().await;
    let garbled = pair.gateway.network.fault(&json!({ "kind": "garbled" })).await;
    let message = pair.hear(text("illegible")).await;
    pair.is_given_up(&message).await;
    let told = pair.told(EventKind::Message, &message).await;
    assert_eq!((&told["type"], &told["body"]), (&json!("undecryptable"), &Value::Null));
    assert_eq!((&told["from"], &told["isViewOnce"]), (&json!(pair.other_id()), &json!(false)));
    pair.gateway.network.mend(&garbled).await;
    pair.start().await;
    let next = pair.hear(text("legible again")).await;
    pair.told(EventKind::Message, &next).await;
    pair.gateway.stop().await;
}

impl Pair {
    /// Nobody waits any longer for a message to become readable: a run that ends says so of all it waits for.
    async fn is_given_up(&self, message: &str) {
        until("the gateway has heard of the message", || async {
            self.stop().await;
            let is_told = self.log().await.iter().any(|event| payload(event)["id"] == message);
            if !is_told {
                self.start().await;
                self.gateway.client.reaches(&self.instance, "WORKING").await;
            }
            is_told.then_some(())
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn places_cards_and_polls_are_told() {
    let pair = Pair::new().await;
    let place = json!({ "kind": "location", "latitude": 30.0, "longitude": 31.2, "name": "Tower", "address": "Cairo" });
    let place = pair.hear(place).await;
    let told = pair.told(EventKind::Message, &place).await;
    assert_eq!(told["type"], "location");
    assert_eq!(
        told["location"],
        json!({ "latitude": 30.0, "longitude": 31.2, "name": "Tower", "description": "Cairo" })
    );
    let card = pair.hear(json!({ "kind": "contact", "name": "Mona", "number": "15550100007" })).await;
    let told = pair.told(EventKind::Message, &card).await;
    assert_eq!(told["type"], "contact");
    assert!(told["vCards"][0].as_str().unwrap().contains("waid=15550100007"));
    let poll = pair.hear(json!({ "kind": "poll", "name": "which?", "options": ["tea", "coffee"] })).await;
    let told = pair.told(EventKind::Message, &poll).await;
    assert_eq!(told["type"], "poll");
    assert_eq!(told["poll"], json!({ "name": "which?", "options": ["tea", "coffee"], "multipleAnswers": false }));
    let vote = pair.hear(json!({ "kind": "vote", "message": poll, "options": ["coffee"] })).await;
    let told = pair.told(EventKind::PollVote, &vote).await;
    assert_eq!((&told["poll"]["id"], &told["vote"]["selectedOptions"]), (&json!(poll), &json!(["coffee"])));
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reactions_edits_and_deletions_are_told_of_the_message_they_are_about() {
    let pair = Pair::new().await;
    let message = pair.hear(text("hallo")).await;
    let reaction = pair.hear(json!({ "kind": "reaction", "message": message, "emoji": "👍" })).await;
    let told = pair.told(EventKind::MessageReaction, &reaction).await;
    assert_eq!(told["reaction"], json!({ "text": "👍", "messageId": message }));
    let edit = pair.hear(json!({ "kind": "edit", "message": message, "text": "hello" })).await;
    let told = pair.told(EventKind::MessageEdited, &edit).await;
    assert_eq!((&told["editedMessageId"], &told["body"]), (&json!(message), &json!("hello")));
    let revoke = pair.hear(json!({ "kind": "revoke", "message": message })).await;
    let told = pair.told(EventKind::MessageRevoked, &revoke).await;
    assert_eq!((&told["revokedMessageId"], &told["from"]), (&json!(message), &json!(pair.other_id())));
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_instances_own_phone_sends_is_told_as_its_own() {
    let pair = Pair::new().await;
    let sent = say(&pair.gateway.network, &pair.own, &pair.other, text("from the phone")).await;
    let told = pair.told(EventKind::MessageOwn, &sent).await;
    assert_eq!((&told["fromMe"], &told["body"]), (&json!(true), &json!("from the phone")));
    assert_eq!((&told["from"], &told["to"]), (&json!(pair.own_id()), &json!(pair.other_id())));
    assert_eq!(told["chat"]["phone"], pair.other_id());
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_in_a_group_names_the_group_and_who_wrote_it() {
    let pair = Pair::new().await;
    let network = &pair.gateway.network;
    let group = json!({ "creator": pair.other, "subject": "trip", "participants": [pair.own] });
    let (status, group) = network.post("/groups", &group).await;
    assert!(status.is_success(), "{group}");
    let group = group["jid"].as_str().expect("it has an address");
    let sent = say(network, &pair.other, group, text("who comes?")).await;
    let told = pair.told(EventKind::Message, &sent).await;
    assert_eq!((&told["from"], &told["participant"]), (&json!(group), &json!(pair.other_id())));
    assert_eq!((&told["chat"]["group"], &told["sender"]["phone"]), (&json!(group), &json!(pair.other_id())));
    pair.gateway.stop().await;
}
