//! The table of sending: every status, linked or not, wanted or not, before every route that sends; and what a message may
//! be made of.

use serde_json::{Value, json};
use wagate::domain::outgoing::{Author, Content};
use wagate::domain::session::{Desired, Status};

use super::gateway::{Created, Gateway};

const CHAT: &str = "4915112345678@c.us";

/// Routes whose messages wait for a connection, with what each needs.
fn queued() -> [(&'static str, Value); 7] {
    [
        ("/v2/send/text", json!({ "message": "hello" })),
        ("/v2/send/location", json!({ "latitude": 1, "longitude": 2 })),
        ("/v2/send/contact", json!({ "name": "Jane", "phone_number": "+4915112345678" })),
        ("/v2/send/poll", json!({ "question": "When?", "options": ["now", "later"] })),
        ("/v2/send/reaction", json!({ "message_id": "3EB0AA", "reaction": "👍" })),
        ("/v2/messages/edit", json!({ "message_id": "3EB0AA", "message": "hello" })),
        ("/v2/messages/delete", json!({ "message_id": "3EB0AA" })),
    ]
}

/// Routes that need the connection itself.
fn direct() -> [(&'static str, Value); 2] {
    [("/v2/send/seen", json!({ "message_ids": ["3EB0AA"] })), ("/v2/send/typing", json!({ "state": "recording" }))]
}

async fn unlimited() -> Gateway {
    Gateway::with(|config| config.limits.api_burst = 1_000_000).await
}

fn with_chat(mut fields: Value) -> Value {
    fields["chatId"] = CHAT.into();
    fields
}

#[tokio::test]
async fn every_state_answers_every_route_as_the_table_of_sending_says() {
    let gateway = unlimited().await;
    let Created { id, token } = gateway.create().await;
    gateway.get("/v2/session/info", &token).await;
    for status in Status::ALL.iter().copied() {
        for (linked, desired) in
            [(false, Desired::Running), (false, Desired::Stopped), (true, Desired::Running), (true, Desired::Stopped)]
        {
            gateway.script.set(id, |view| (view.status, view.linked, view.desired) = (status, linked, desired));
            let waits = match (status, linked, desired) {
                (Status::Working, true, Desired::Running) => 200,
                (Status::Starting, true, Desired::Running) => 202,
                (_, _, _) => 422,
            };
            let connected = if status == Status::Working { 200 } else { 422 };
            let routes = queued().map(|route| (route, waits)).into_iter();
            for ((path, fields), expected) in routes.chain(direct().map(|route| (route, connected))) {
                let answer = gateway.post(path, &token, with_chat(fields)).await;
                let state = (status, linked, desired);
                assert_eq!(answer.status.as_u16(), expected, "{path} at {state:?}: {}", answer.text());
                let body = answer.json();
                match expected {
                    200 | 202 => assert!(body["code"].is_null()),
                    _ => {
                        assert_eq!(body["code"], "session_status_mismatch", "{path} at {state:?}");
                        assert_eq!((&body["expected"], &body["session_status"]), (&json!(["WORKING"]), &json!(status)));
                    }
                }
                if let (true, Some(sent)) = (expected != 422, body["status"].as_str()) {
                    assert_eq!(sent, if expected == 200 { "sent" } else { "queued" }, "{path}");
                }
            }
        }
    }
}

#[tokio::test]
async fn what_no_message_can_be_made_of_is_named() {
    let gateway = unlimited().await;
    let Created { id, token } = gateway.create().await;
    gateway.get("/v2/session/info", &token).await;
    gateway.script.link(id);
    gateway.script.set(id, |view| view.desired = Desired::Running);
    let long = "x".repeat(4_097);
    for (path, fields, wrong) in [
        ("/v2/send/text", json!({ "chatId": CHAT }), "message"),
        ("/v2/send/text", json!({ "chatId": CHAT, "message": " \n" }), "message"),
        ("/v2/send/text", json!({ "chatId": CHAT, "message": long }), "message"),
        ("/v2/send/text", json!({ "chatId": CHAT, "message": 7 }), "message"),
        ("/v2/send/text", json!({ "message": "hi" }), "chatId"),
        ("/v2/send/text", json!({ "chatId": "status@broadcast", "message": "hi" }), "chatId"),
        ("/v2/send/text", json!({ "chatId": CHAT, "message": "hi", "ttl": 86_401 }), "ttl"),
        ("/v2/send/text", json!({ "chatId": CHAT, "message": "hi", "over": "drop" }), "over"),
        ("/v2/send/text", json!({ "chatId": CHAT, "message": "hi", "reply_to": "a b" }), "reply_to"),
        ("/v2/send/text", json!({ "chatId": CHAT, "message": "hi", "mentions": ["x"] }), "mentions"),
        ("/v2/send/location", json!({ "chatId": CHAT, "latitude": 91, "longitude": 0 }), "latitude"),
        ("/v2/send/location", json!({ "chatId": CHAT, "latitude": "north", "longitude": 0 }), "latitude"),
        ("/v2/send/contact", json!({ "chatId": CHAT, "name": "Jane" }), "phone_number"),
        ("/v2/send/contact", json!({ "chatId": CHAT, "name": "Jane", "vcard": "Jane" }), "vcard"),
        ("/v2/send/contact", json!({ "chatId": CHAT, "contacts": [{ "name": "Jane" }] }), "contacts"),
        ("/v2/send/poll", json!({ "chatId": CHAT, "question": "?", "options": ["one"] }), "options"),
        ("/v2/send/poll", json!({ "chatId": CHAT, "question": "?", "options": "a,a" }), "options"),
        ("/v2/send/poll", json!({ "chatId": CHAT, "question": "?", "options": "a,b", "selectable": 3 }), "selectable"),
        ("/v2/send/reaction", json!({ "chatId": CHAT, "message_id": "3EB0", "reaction": "ok" }), "reaction"),
        ("/v2/send/reaction", json!({ "chatId": CHAT, "reaction": "👍" }), "message_id"),
        ("/v2/send/seen", json!({ "chatId": CHAT, "message_ids": [] }), "message_ids"),
        ("/v2/send/seen", json!({ "chatId": "120363025246125486@g.us", "message_ids": ["A"] }), "participant"),
        ("/v2/send/typing", json!({ "chatId": CHAT, "state": "sleeping" }), "state"),
        ("/v2/messages/delete", json!({ "chatId": CHAT, "message_id": "A", "participant": CHAT }), "participant"),
    ] {
        let answer = gateway.post(path, &token, fields.clone()).await;
        assert_eq!(answer.status, 400, "{path} {fields}: {}", answer.text());
        let body = answer.json();
        let names: Vec<&str> =
            body["parameters"].as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
        assert_eq!(names, [wrong], "{path} {fields}");
    }
    assert!(gateway.script.letters.lock().is_empty());
}

#[tokio::test]
async fn who_wrote_a_message_that_another_is_about_follows_from_what_is_known() {
    let gateway = unlimited().await;
    let Created { id, token } = gateway.create().await;
    gateway.get("/v2/session/info", &token).await;
    gateway.script.link(id);
    gateway.script.set(id, |view| view.desired = Desired::Running);
    let sent = gateway.post("/v2/send/text", &token, with_chat(json!({ "message": "mine" }))).await.json();
    let group = "120363025246125486@g.us";
    for (fields, expected) in [
        (with_chat(json!({ "message_id": sent["id"] })), None),
        (with_chat(json!({ "message_id": "3EB0AA" })), Some(CHAT)),
        (with_chat(json!({ "message_id": "3EB0AA", "from_me": true })), None),
        (json!({ "chatId": group, "message_id": "3EB0AA", "participant": "201012345678" }), Some("201012345678@c.us")),
    ] {
        let answer = gateway.post("/v2/send/reaction", &token, fields.clone()).await;
        assert_eq!(answer.status, 200, "{fields}: {}", answer.text());
        let letters = gateway.script.letters.lock();
        let Content::Reaction { target, emoji: None } = &letters.last().unwrap().message.content else {
            panic!("no reaction: {letters:?}")
        };
        let author = match &target.author {
            Author::Me => None,
            Author::Other(other) => Some(other.to_string()),
        };
        assert_eq!(author.as_deref(), expected, "{fields}");
    }
    // The words that are answered are quoted where they are known.
    let fields = with_chat(json!({ "message": "and another", "reply_to": sent["id"] }));
    gateway.post("/v2/send/text", &token, fields).await;
    let letters = gateway.script.letters.lock();
    let Content::Text { quote: Some(quote), .. } = &letters.last().unwrap().message.content else {
        panic!("no quote: {letters:?}")
    };
    assert_eq!(quote.text.as_ref().map(wagate::domain::outgoing::Words::as_str), Some("mine"));
}
