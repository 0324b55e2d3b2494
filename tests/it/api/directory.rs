//! People, chats and groups: what is asked of the session, what is answered, and what refusals look like.

use std::time::Duration;

use serde_json::{Value, json};
use wagate::domain::session::{Reason, Status};
use wagate::domain::token::{Scope, TokenKind};
use wagate::store::token::Holder;

use super::gateway::{Answer, Created, Gateway, key};
use super::script::Refusal;

const GROUP: &str = "120363025246125486@g.us";

async fn linked() -> (Gateway, Created) {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    gateway.script.link(created.id);
    (gateway, created)
}

impl Gateway {
    async fn delete(&self, path: &str, token: &str, body: Value) -> Answer {
        Answer::of(self.request("DELETE", path).bearer_auth(token).json(&body)).await
    }

    fn last_call(&self) -> String {
        self.script.calls.lock().last().cloned().unwrap()
    }
}

/// Each operation, asked as it should be.
fn operations() -> Vec<(&'static str, String, Value)> {
    let people = json!({ "participants": ["201012345678"] });
    vec![
        ("GET", "/v2/contacts/check?phone=201012345678".into(), json!({})),
        ("POST", "/v2/contacts/check".into(), json!({ "phones": ["201012345678"] })),
        ("GET", "/v2/contacts/profile-picture?chatId=201012345678".into(), json!({})),
        ("POST", "/v2/chats/read".into(), json!({ "chatId": GROUP })),
        ("POST", "/v2/chats/unread".into(), json!({ "chatId": GROUP })),
        ("POST", "/v2/chats/archive".into(), json!({ "chatId": GROUP })),
        ("POST", "/v2/chats/unarchive".into(), json!({ "chatId": GROUP })),
        ("GET", "/v2/groups".into(), json!({})),
        ("POST", "/v2/groups".into(), json!({ "name": "Tea", "participants": ["201012345678"] })),
        ("GET", format!("/v2/groups/{GROUP}"), json!({})),
        ("GET", format!("/v2/groups/{GROUP}/invite-code"), json!({})),
        ("POST", format!("/v2/groups/{GROUP}/invite-code/revoke"), json!({})),
        ("POST", format!("/v2/groups/{GROUP}/participants"), people.clone()),
        ("DELETE", format!("/v2/groups/{GROUP}/participants"), people),
        ("POST", format!("/v2/groups/{GROUP}/leave"), json!({})),
    ]
}

async fn ask(gateway: &Gateway, token: &str, (method, path, body): &(&str, String, Value)) -> Answer {
    Answer::of(gateway.request(method, path).bearer_auth(token).json(body)).await
}

#[tokio::test]
async fn a_number_is_checked_as_people_type_it() {
    let (gateway, Created { token, .. }) = linked().await;
    let answer = gateway.get("/v2/contacts/check?phone=%2B20+10+1234+5678", &token).await;
    let expected = json!({
        "phone": "201012345678", "numberExists": true, "chatId": "201012345678@c.us", "lid": "123456789012345@lid",
    });
    assert_eq!((answer.status.as_u16(), answer.json()), (200, expected));
    let answer = gateway.post("/v2/contacts/check", &token, json!({ "phone": 4_915_112_345_678_u64 })).await;
    let expected = json!({ "phone": "4915112345678", "numberExists": false, "chatId": null, "lid": null });
    assert_eq!(answer.json(), expected);
}

#[tokio::test]
async fn several_numbers_are_answered_in_their_order() {
    let (gateway, Created { token, .. }) = linked().await;
    let answer = gateway.get("/v2/contacts/check?phones=4915112345678,201012345678", &token).await;
    let results = answer.json()["results"].as_array().unwrap().clone();
    let told: Vec<(&str, bool)> = results
        .iter()
        .map(|result| (result["phone"].as_str().unwrap(), result["numberExists"].as_bool().unwrap()))
        .collect();
    assert_eq!(told, [("4915112345678", false), ("201012345678", true)]);
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    let (gateway, Created { token, .. }) = linked().await;
    gateway.script.calls.lock().clear();
    let many: Vec<String> = (0..51).map(|number| format!("49151{number:08}")).collect();
    for (path, body, name) in [
        ("/v2/contacts/check", json!({}), "phone"),
        ("/v2/contacts/check", json!({ "phone": "twenty" }), "phone"),
        ("/v2/contacts/check", json!({ "phone": "201012345678", "phones": ["4915112345678"] }), "phone"),
        ("/v2/contacts/check", json!({ "phones": many }), "phones"),
        ("/v2/contacts/check", json!({ "phones": ["0201012345678"] }), "phones"),
        ("/v2/contacts/profile-picture", json!({}), "chatId"),
        ("/v2/contacts/profile-picture", json!({ "chatId": "status@broadcast" }), "chatId"),
        ("/v2/chats/read", json!({ "chatId": ["201012345678"] }), "chatId"),
        ("/v2/groups", json!({ "participants": ["201012345678"] }), "name"),
        ("/v2/groups", json!({ "name": "  ", "participants": ["201012345678"] }), "name"),
        ("/v2/groups", json!({ "name": "Tea" }), "participants"),
        ("/v2/groups", json!({ "name": "Tea", "participants": [] }), "participants"),
        ("/v2/groups", json!({ "name": "Tea", "participants": [GROUP] }), "participants"),
        ("/v2/groups", json!({ "name": "Tea", "participants": [{ "name": "Nadia" }] }), "participants"),
        ("/v2/groups/201012345678@c.us/leave", json!({}), "group_id"),
        ("/v2/groups/tea/leave", json!({}), "group_id"),
    ] {
        let answer = gateway.post(path, &token, body.clone()).await;
        assert_eq!(answer.status, 400, "{path} {body}: {}", answer.text());
        assert_eq!(answer.json()["parameters"][0]["name"], name, "{path} {body}");
        assert!(gateway.script.calls.lock().is_empty(), "no session was asked: {path} {body}");
    }
}

#[tokio::test]
async fn each_number_counts_for_the_limit_of_its_instance() {
    let (gateway, Created { token, .. }) = linked().await;
    let numbers: Vec<String> = (0..48).map(|number| format!("49151{number:08}")).collect();
    let answer = gateway.post("/v2/contacts/check", &token, json!({ "phones": numbers })).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.header("ratelimit-policy"), "\"contacts\";q=50;w=150");
    assert_eq!(answer.header("ratelimit"), "\"contacts\";r=2;t=144");
    let several = json!({ "phones": ["4915112345678", "4915112345679", "4915112345670"] });
    let refused = gateway.post("/v2/contacts/check", &token, several.clone()).await;
    assert_eq!((refused.error(), refused.header("retry-after")), ((429, "rate_limited".into()), "3"));
    assert_eq!(gateway.get("/v2/contacts/profile-picture?chatId=4915112345678", &token).await.status, 200);
    assert_eq!(gateway.get("/v2/contacts/check?phone=4915112345678", &token).await.status, 200);
    assert_eq!(gateway.get("/v2/contacts/check?phone=4915112345678", &token).await.status, 429);
    gateway.advance_ticks(Duration::from_secs(9));
    assert_eq!(gateway.post("/v2/contacts/check", &token, several).await.status, 200);
    let other = gateway.create().await;
    gateway.script.link(other.id);
    assert_eq!(gateway.get("/v2/contacts/check?phone=4915112345678", &other.token).await.status, 200);
}

#[tokio::test]
async fn a_picture_is_where_whatsapp_says_or_nowhere() {
    let (gateway, Created { token, .. }) = linked().await;
    let path = "/v2/contacts/profile-picture?chatId=";
    let answer = gateway.get(&format!("{path}201012345678@s.whatsapp.net"), &token).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "url": "https://pps.whatsapp.net/v/1.jpg" })));
    let answer = gateway.get(&format!("{path}{GROUP}"), &token).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "url": null })));
}

#[tokio::test]
async fn chats_are_marked() {
    let (gateway, Created { token, .. }) = linked().await;
    for (route, mark, word) in [
        ("read", "Read", "read"),
        ("unread", "Unread", "unread"),
        ("archive", "Archived", "archived"),
        ("unarchive", "Unarchived", "unarchived"),
    ] {
        let answer = gateway.post(&format!("/v2/chats/{route}"), &token, json!({ "chatId": "201012345678" })).await;
        assert_eq!(answer.json(), json!({ "chatId": "201012345678@c.us", "mark": word }));
        assert_eq!(gateway.last_call(), format!("mark_chat 201012345678@c.us {mark}"));
    }
}

#[tokio::test]
async fn groups_are_listed_and_shown() {
    let (gateway, Created { token, .. }) = linked().await;
    let group = json!({
        "id": GROUP, "name": "Tea", "description": null,
        "owner": { "id": "201012345678@c.us", "lid": "123456789012345@lid" },
        "created_at": "1970-01-01T00:00:00Z", "only_admins_send": false, "only_admins_edit": true, "size": 1,
        "participants": [{ "id": "201012345678@c.us", "lid": "123456789012345@lid", "role": "superadmin" }],
    });
    assert_eq!(gateway.get("/v2/groups", &token).await.json(), json!({ "groups": [group] }));
    let brief = gateway.get("/v2/groups?exclude=participants", &token).await.json();
    assert_eq!((&brief["groups"][0]["size"], &brief["groups"][0]["participants"]), (&json!(1), &Value::Null));
    for path in [GROUP, "120363025246125486%40g.us", "120363025246125486"] {
        assert_eq!(gateway.get(&format!("/v2/groups/{path}"), &token).await.json(), group, "{path}");
    }
}

#[tokio::test]
async fn a_group_is_made_once_for_one_key() {
    let (gateway, Created { token, .. }) = linked().await;
    let make = async |key: &str, name: &str| {
        let body = json!({ "name": name, "participants": [{ "id": "201012345678@c.us" }, "4915112345678"] });
        let request = gateway.request("POST", "/v2/groups").bearer_auth(&token).json(&body);
        Answer::of(request.header("idempotency-key", key)).await
    };
    let first = make("order-1", "Tea").await;
    assert_eq!((first.status.as_u16(), &first.json()["name"]), (201, &json!("Tea")), "{}", first.text());
    assert_eq!(gateway.last_call(), "create_group Tea 201012345678@c.us,4915112345678@c.us");
    let again = make("order-1", "Tea").await;
    assert_eq!((again.status, again.json()), (first.status, first.json()));
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(make("order-1", "Coffee").await.error(), (422, "idempotency_key_reused".into()));
    let calls = || gateway.script.calls.lock().iter().filter(|call| call.starts_with("create_group")).count();
    assert_eq!(calls(), 1);

    *gateway.script.directory_refusal.lock() = Some(Refusal::Silence);
    assert_eq!(make("order-2", "Tea").await.error(), (502, "upstream_timeout".into()));
    *gateway.script.directory_refusal.lock() = None;
    assert_eq!(make("order-2", "Tea").await.status, 201, "a refusal keeps no key");
}

#[tokio::test]
async fn invite_codes_come_with_their_links_and_a_revoked_one_is_another() {
    let (gateway, Created { token, .. }) = linked().await;
    let path = format!("/v2/groups/{GROUP}/invite-code");
    let expected = json!({ "inviteCode": "old", "link": "https://chat.whatsapp.com/old" });
    assert_eq!(gateway.get(&path, &token).await.json(), expected);
    let expected = json!({ "inviteCode": "new", "link": "https://chat.whatsapp.com/new" });
    assert_eq!(gateway.post(&format!("{path}/revoke"), &token, json!({})).await.json(), expected);
}

#[tokio::test]
async fn each_participant_has_an_outcome_of_their_own() {
    let (gateway, Created { token, .. }) = linked().await;
    let path = format!("/v2/groups/{GROUP}/participants");
    let people = json!({ "participants": "201012345678,123456789012345@lid" });
    let expected = json!({ "participants": [
        { "id": "201012345678@c.us", "lid": null, "outcome": "done", "code": 200 },
        { "id": "123456789012345@lid", "lid": "123456789012345@lid", "outcome": "invite_only", "code": 403 },
    ] });
    assert_eq!(gateway.post(&path, &token, people.clone()).await.json(), expected);
    assert!(gateway.last_call().contains(" Add "));
    assert_eq!(gateway.delete(&path, &token, people).await.json(), expected);
    assert!(gateway.last_call().contains(" Remove "));
    let answer = gateway.post(&format!("/v2/groups/{GROUP}/leave"), &token, json!({})).await;
    assert_eq!(answer.json(), json!({ "id": GROUP, "left": true }));
}

#[tokio::test]
async fn refusals_of_whatsapp_have_codes_of_their_own() {
    let (gateway, Created { token, .. }) = linked().await;
    for operation in operations() {
        let of_one_group = operation.1.contains(GROUP);
        for (refusal, expected, retry_after) in [
            (Refusal::Code(403), if of_one_group { (422, "group_forbidden") } else { (502, "upstream_refused") }, None),
            (Refusal::Code(404), if of_one_group { (422, "group_not_found") } else { (502, "upstream_refused") }, None),
            (Refusal::Code(406), (502, "upstream_refused"), Some("10")),
            (Refusal::Code(429), (429, "upstream_rate_limited"), Some("60")),
            (Refusal::Silence, (502, "upstream_timeout"), Some("10")),
            (Refusal::Nonsense, (502, "upstream_refused"), Some("10")),
        ] {
            *gateway.script.directory_refusal.lock() = Some(refusal);
            let answer = ask(&gateway, &token, &operation).await;
            assert_eq!(answer.error(), (expected.0, expected.1.into()), "{operation:?} {refusal:?}");
            if let Some(seconds) = retry_after {
                assert_eq!(answer.header("retry-after"), seconds, "{operation:?} {refusal:?}");
            }
            assert!(!answer.text().contains("201012345678"), "no address is repeated");
        }
    }
}

#[tokio::test]
async fn whoever_is_not_connected_is_told_whether_waiting_helps() {
    let (gateway, Created { id, token }) = linked().await;
    for (status, reason, linked, recovering) in [
        (Status::Stopped, None, true, false),
        (Status::Stopped, None, false, false),
        (Status::Starting, Some(Reason::Reconnecting), true, true),
        (Status::Starting, Some(Reason::Pairing), false, true),
        (Status::Starting, None, false, false),
        (Status::ScanQrCode, None, false, false),
        (Status::PasskeyRequired, None, false, false),
        (Status::Failed, Some(Reason::Banned), true, false),
    ] {
        gateway.script.set(id, |view| {
            (view.status, view.reason, view.linked) = (status, reason, linked);
            view.recovering = status != Status::Failed;
        });
        for operation in operations() {
            let answer = ask(&gateway, &token, &operation).await;
            assert_eq!(answer.error(), (422, "session_status_mismatch".into()), "{operation:?} at {status}");
            let body = answer.json();
            assert_eq!((&body["session_status"], &body["expected"]), (&json!(status.as_str()), &json!(["WORKING"])));
            assert_eq!(body["recovering"], recovering, "{operation:?} at {status} {reason:?} {linked}");
            assert_eq!(answer.header("retry-after").is_empty(), !recovering);
        }
    }
}

#[tokio::test]
async fn reading_needs_one_scope_and_changing_another() {
    let (gateway, Created { id, .. }) = linked().await;
    for (seed, scope) in [(70, Scope::Read), (71, Scope::Send), (72, Scope::Link), (73, Scope::Control)] {
        let token = key(TokenKind::Instance, seed);
        gateway.add_token(&token, Holder::Instance(gateway.account, id), &[scope], None).await;
        for operation in operations() {
            let (method, path, _) = &operation;
            let is_read = path.starts_with("/v2/contacts") || *method == "GET";
            let allowed = scope == if is_read { Scope::Read } else { Scope::Send };
            let answer = ask(&gateway, token.expose(), &operation).await;
            assert_eq!(answer.status != 403, allowed, "{operation:?} with {scope:?}: {}", answer.text());
        }
    }
}
