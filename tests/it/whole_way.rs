//! The whole way, in both directions and for every kind: what a phone sends reaches a webhook, and what the API sends
//! reaches the phone, and the webhook is told of that too.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::network::http;
use crate::support::receiver::{Received, Receiver};
use crate::support::wait::until;

struct Way {
    gateway: Gateway,
    receiver: Receiver,
    instance: String,
    /// The instance's own number.
    own: String,
    /// Somebody else's.
    other: String,
}

impl Way {
    async fn new() -> Self {
        let gateway = Gateway::with(|config| config.webhook.allow_private = vec!["127.0.0.1".into()]).await;
        let receiver = Receiver::start().await;
        let (status, hook) = gateway.client.post("/v2/webhooks", &json!({ "url": receiver.url() })).await;
        assert_eq!(status, StatusCode::CREATED, "{hook}");
        let (instance, own) = gateway.client.linked(&gateway.network).await;
        let other = gateway.network.phone().await;
        Self { gateway, receiver, instance, own, other }
    }

    /// The other phone does something to the instance's; the answer.
    async fn phone(&self, what: &str, mut request: Value) -> Value {
        request["to"] = json!(self.own);
        let (status, answer) = self.gateway.network.post(&format!("/phones/{}/{what}", self.other), &request).await;
        assert!(status.is_success(), "{request}: {answer}");
        answer
    }

    /// The id of a message that the API sends.
    async fn send(&self, route: &str, mut request: Value) -> String {
        request["instance_id"] = json!(self.instance);
        request["chatId"] = json!(self.other);
        let (status, answer) = self.gateway.client.post(route, &request).await;
        assert_eq!(status, StatusCode::OK, "{route}: {answer}");
        answer["id"].as_str().expect("it has an id").to_owned()
    }

    /// Waits until the webhook was told an event of this kind whose payload `is_it`.
    async fn told(&self, kind: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{kind} reaches the webhook"), || async {
            let received = self.receiver.received();
            let mut events = received.iter().map(Received::json);
            events.find(|event| event["event"] == kind && is_it(&event["payload"]))
        })
        .await
    }
}

fn file(kind: &str) -> (Vec<u8>, &'static str) {
    let (head, mimetype): (&[u8], _) = match kind {
        "image" => (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x0a\0\0\0\x0a\x08\x02\0\0\0\0\0\0\0", "image/png"),
        "video" => (b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41", "video/mp4"),
        "audio" => (b"ID3\x03\0\0\0\0\0\0", "audio/mpeg"),
        "voice" => (
            b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0",
            "audio/ogg; codecs=opus",
        ),
        "sticker" => (b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x01\0\xff\x01\0", "image/webp"),
        "pdf" => (b"%PDF-1.7\n", "application/pdf"),
        _ => (b"a,b\n", "text/csv"),
    };
    ([head, &[7; 3_000]].concat(), mimetype)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_phone_does_reaches_the_webhook() {
    let way = Way::new().await;
    for (content, kind) in [
        (json!({ "kind": "text", "text": "hello" }), "text"),
        (json!({ "kind": "location", "latitude": 30.0, "longitude": 31.2 }), "location"),
        (json!({ "kind": "contact", "name": "Mona", "number": "15550100007" }), "contact"),
        (json!({ "kind": "image" }), "image"),
        (json!({ "kind": "video" }), "video"),
        (json!({ "kind": "audio" }), "audio"),
        (json!({ "kind": "voice" }), "voice"),
        (json!({ "kind": "document", "filename": "a.csv" }), "document"),
        (json!({ "kind": "sticker" }), "sticker"),
    ] {
        let mut request = content;
        let (bytes, _) = file(kind);
        let has_file = !["text", "location", "contact"].contains(&kind);
        if has_file {
            request["data"] = json!(BASE64_STANDARD.encode(&bytes));
        }
        let sent = way.phone("send", request).await;
        let event = way.told("message", |payload| payload["id"] == sent["id"]).await;
        assert_eq!((&event["payload"]["type"], &event["instance_id"]), (&json!(kind), &json!(way.instance)), "{event}");
        assert_eq!(event["me"]["id"], format!("{}@c.us", way.own));
        if has_file {
            let path = event["payload"]["media"]["url"].as_str().unwrap();
            let url = format!("{}{path}?instance_id={}", way.gateway.url, way.instance);
            let answer = http().get(url).bearer_auth(way.gateway.client.key()).send().await.unwrap();
            assert!(answer.bytes().await.unwrap() == bytes, "{kind}: the file is another one");
        }
    }
    let poll = way.phone("send", json!({ "kind": "poll", "name": "which?", "options": ["tea", "coffee"] })).await;
    let vote = json!({ "kind": "vote", "message": poll["id"], "options": ["tea"] });
    let vote = way.phone("send", vote).await;
    let event = way.told("poll.vote", |payload| payload["id"] == vote["id"]).await;
    assert_eq!(event["payload"]["vote"]["selectedOptions"], json!(["tea"]));
    let text = way.phone("send", json!({ "kind": "text", "text": "hallo" })).await;
    for (content, kind, about) in [
        (json!({ "kind": "reaction", "emoji": "👍" }), "message.reaction", "/reaction/messageId"),
        (json!({ "kind": "edit", "text": "hello" }), "message.edited", "/editedMessageId"),
        (json!({ "kind": "revoke" }), "message.revoked", "/revokedMessageId"),
    ] {
        let mut request = content;
        request["message"] = text["id"].clone();
        let sent = way.phone("send", request).await;
        let event = way.told(kind, |payload| payload["id"] == sent["id"]).await;
        assert_eq!(event["payload"].pointer(about), Some(&text["id"]), "{event}");
    }

    way.phone("typing", json!({ "state": "composing" })).await;
    way.told("presence.update", |payload| payload["presences"][0]["lastKnownPresence"] == "typing").await;
    let call = way.phone("call", json!({ "video": true })).await;
    let event = way.told("call.received", |payload| payload["id"] == call["call"]).await;
    let other = json!(format!("{}@c.us", way.other));
    assert_eq!((&event["payload"]["isVideo"], &event["payload"]["from"]), (&json!(true), &other));
    way.phone("hang-up", json!({ "call": call["call"] })).await;
    way.told("call.rejected", |payload| payload["id"] == call["call"]).await;

    let group = json!({ "creator": way.other, "subject": "trip", "participants": [way.own] });
    let (_, group) = way.gateway.network.post("/groups", &group).await;
    way.told("group.v2.join", |payload| payload["group"]["id"] == group["jid"]).await;

    let mut numbers: Vec<i64> = way.receiver.received().iter().map(Received::seq).collect();
    assert!(numbers.is_sorted(), "{numbers:?}");
    numbers.dedup();
    assert!(numbers.iter().copied().eq(1..=i64::try_from(numbers.len()).unwrap()), "no gap: {numbers:?}");
    way.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_the_api_sends_reaches_the_phone_and_is_told() {
    let way = Way::new().await;
    let mut sent = Vec::new();
    for (route, request, kind) in [
        ("/v2/send/text", json!({ "message": "hello" }), "text"),
        ("/v2/send/location", json!({ "latitude": 30.0, "longitude": 31.2 }), "location"),
        ("/v2/send/contact", json!({ "name": "Mona", "phone_number": "15550100007" }), "contact"),
        ("/v2/send/poll", json!({ "question": "which?", "options": ["tea", "coffee"] }), "poll"),
        ("/v2/send/image", json!({}), "image"),
        ("/v2/send/video", json!({}), "video"),
        ("/v2/send/audio", json!({}), "audio"),
        ("/v2/send/voice", json!({}), "voice"),
        ("/v2/send/pdf", json!({}), "document"),
        ("/v2/send/document", json!({ "filename": "a.csv", "mimetype": "text/csv" }), "document"),
        ("/v2/send/sticker", json!({}), "sticker"),
    ] {
        let mut request = request;
        if !["text", "location", "contact", "poll"].contains(&kind) {
            let (bytes, _) = file(route.rsplit('/').next().unwrap());
            request["file"] = json!({ "data": BASE64_STANDARD.encode(bytes) });
        }
        let id = way.send(route, request).await;
        let event = way.told("message.any", |payload| payload["id"] == json!(id)).await;
        let payload = &event["payload"];
        assert_eq!((&payload["type"], &payload["fromMe"]), (&json!(kind), &json!(true)), "{route}: {event}");
        assert_eq!(payload["to"], format!("{}@c.us", way.other), "{route}");
        assert!(payload["chat"]["lid"].is_string(), "{route}: {payload}");
        sent.push((id, kind));
    }
    let text = sent[0].0.clone();
    for (route, request, event, kind) in [
        ("/v2/send/reaction", json!({ "reaction": "👍" }), "message.reaction", "reaction"),
        ("/v2/messages/edit", json!({ "message": "Hello!" }), "message.edited", "edit"),
        ("/v2/messages/delete", json!({}), "message.revoked", "revoke"),
    ] {
        let mut request = request;
        request["message_id"] = json!(text);
        let id = way.send(route, request).await;
        way.told(event, |payload| payload["id"] == json!(id) && payload["fromMe"] == true).await;
        sent.push((id, kind));
    }
    let inbox = until("everything is with the phone", || async {
        let inbox = way.gateway.network.get(&format!("/phones/{}/inbox", way.other)).await;
        (inbox.as_array().unwrap().len() == sent.len()).then_some(inbox)
    })
    .await;
    for (item, (id, kind)) in inbox.as_array().unwrap().iter().zip(&sent) {
        assert_eq!((&item["id"], &item["kind"], &item["copies"]), (&json!(id), &json!(kind), &json!(1)));
    }
    let (status, _) = way.gateway.network.post(&format!("/phones/{}/read", way.other), &json!({})).await;
    assert!(status.is_success());
    way.told("message.ack", |payload| payload["id"] == json!(sent[1].0) && payload["ackName"] == "READ").await;

    // A vote on a poll that was sent from here can be opened here.
    let poll = &sent[3].0;
    let vote = way.phone("send", json!({ "kind": "vote", "message": poll, "options": ["tea"] })).await;
    let event = way.told("poll.vote", |payload| payload["id"] == vote["id"]).await;
    assert_eq!(event["payload"]["vote"]["selectedOptions"], json!(["tea"]));
    way.gateway.stop().await;
}
