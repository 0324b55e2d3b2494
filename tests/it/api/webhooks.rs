//! Setting webhooks up, by the account and by an instance.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;
use wagate::domain::account::AccountId;
use wagate::domain::token::{Scope, TokenKind};
use wagate::store::token::Holder;

use super::gateway::{Answer, Gateway, key};
use crate::support::receiver::{Receiver, Reply};

const WEBHOOKS: &str = "/v2/webhooks";
const OF_SESSION: &str = "/v2/session/webhook";
const URL: &str = "https://example.com/hook?key=1";

async fn delete(gateway: &Gateway, path: &str, token: &str) -> Answer {
    Answer::of(gateway.request("DELETE", path).bearer_auth(token)).await
}

async fn with_loopback() -> Gateway {
    Gateway::with(|config| config.webhook.allow_private = vec!["127.0.0.1".into()]).await
}

/// A new webhook's path and the answer that made it.
async fn make(gateway: &Gateway, body: Value) -> (String, Value) {
    let answer = gateway.post(WEBHOOKS, gateway.key.expose(), body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let made = answer.json();
    (format!("{WEBHOOKS}/{}", made["webhook_id"].as_str().unwrap()), made)
}

#[tokio::test]
async fn a_webhook_is_made_shown_changed_and_deleted() {
    let gateway = Gateway::start().await;
    let key = gateway.key.expose();
    let (path, made) = make(
        &gateway,
        json!({"url": URL, "events": ["message", "session.status"], "headers": {"Authorization": "Bearer hidden"}}),
    )
    .await;
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(
        (&made["enabled"], &made["order"], &made["instance_id"]),
        (&json!(true), &json!("strict"), &json!(null))
    );
    assert_eq!((&made["events"], &made["headers"]), (&json!(["message", "session.status"]), &json!(["authorization"])));

    let mut shown = gateway.get(&path, key).await.json();
    assert_eq!(shown.get("secret"), None, "shown once");
    assert_eq!(shown["secrets"][0]["expires_at"], json!(null));
    shown["secret"] = made["secret"].clone();
    assert_eq!(shown, made);
    let listed = gateway.get(WEBHOOKS, key).await.json();
    assert_eq!((listed["webhooks"].as_array().unwrap().len(), &listed["next_cursor"]), (1, &json!(null)));

    let body =
        json!({"url": "https://example.org/", "events": "*", "order": "relaxed", "enabled": false, "headers": {}});
    let changed = gateway.post(&path, key, body).await.json();
    assert_eq!(changed["url"], "https://example.org/");
    assert_eq!(
        (&changed["events"], &changed["order"], &changed["headers"]),
        (&json!([]), &json!("relaxed"), &json!([]))
    );
    assert_eq!((&changed["enabled"], &changed["disabled"]["reason"]), (&json!(false), &json!("owner")));
    let enabled = gateway.post(&path, key, json!({"enabled": true})).await.json();
    assert_eq!((&enabled["enabled"], &enabled["disabled"]), (&json!(true), &json!(null)));

    assert_eq!(delete(&gateway, &path, key).await.json()["deleted"], true);
    for method in ["GET", "POST", "DELETE"] {
        let answer = Answer::of(gateway.request(method, &path).bearer_auth(key)).await;
        assert_eq!(answer.error(), (404, "webhook_not_found".into()), "{method}");
    }
    let actions: Vec<String> = gateway.audit().await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["webhook.created", "webhook.changed", "webhook.changed", "webhook.deleted"]);
}

#[tokio::test]
async fn the_database_and_the_audit_log_hold_no_secret_of_a_webhook_in_clear() {
    let gateway = Gateway::start().await;
    let body = json!({"url": URL, "headers": {"X-Key": "hidden"}, "secret": "the-receivers-own-secret"});
    let request = gateway.request("POST", WEBHOOKS).bearer_auth(gateway.key.expose()).header("Idempotency-Key", "k");
    let answer = Answer::of(request.json(&body)).await;
    assert_eq!(answer.json()["secret"], json!(null), "the caller knows it");
    for table in ["webhook_endpoint", "idempotency_key", "audit_log", "kept_secret"] {
        let query = sqlx::AssertSqlSafe(format!("SELECT string_agg(t::text, '') FROM {table} t"));
        let text: Option<String> = sqlx::query_scalar(query).fetch_one(gateway.database.pool()).await.unwrap();
        for secret in ["hidden", "the-receivers-own-secret"] {
            assert!(!text.as_deref().unwrap_or_default().contains(secret), "{secret} in {table}");
        }
    }
}

#[tokio::test]
async fn every_parameter_that_cannot_be_used_is_named() {
    let gateway = Gateway::start().await;
    for (name, value) in [
        ("url", json!("http://127.0.0.1/")),
        ("url", json!("http://user:pass@example.com/")),
        ("url", json!("example.com")),
        ("events", json!("nonsense")),
        ("events", json!([1])),
        ("order", json!("sideways")),
        ("headers", json!({"Host": "evil"})),
        ("headers", json!({"X-A": "a\r\nb"})),
        ("headers", json!({"X-A": 1})),
        ("secret", json!("short")),
    ] {
        let answer = gateway.post(WEBHOOKS, gateway.key.expose(), json!({name: value, "enabled": "maybe"})).await;
        let named: Vec<Value> =
            answer.json()["parameters"].as_array().unwrap().iter().map(|problem| problem["name"].clone()).collect();
        assert!(named.contains(&json!(name)) && named.contains(&json!("enabled")), "{name}: {}", answer.text());
    }
    let answer = gateway.post(WEBHOOKS, gateway.key.expose(), json!({})).await;
    assert_eq!(answer.error(), (400, "missing_parameter".into()));
}

#[tokio::test]
async fn a_creation_that_is_repeated_makes_one_webhook_and_tells_its_secret_for_ten_minutes() {
    let gateway = Gateway::start().await;
    let ask = || {
        let request = gateway.request("POST", WEBHOOKS).bearer_auth(gateway.key.expose());
        Answer::of(request.header("Idempotency-Key", "hook-1").json(&json!({"url": URL})))
    };
    let first = ask().await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    let again = ask().await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.json(), first.json());
    gateway.clock.advance(TimeDelta::minutes(10));
    assert_eq!(ask().await.json()["secret"], json!(null));
    let listed = gateway.get(WEBHOOKS, gateway.key.expose()).await.json();
    assert_eq!(listed["webhooks"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn an_account_has_no_more_webhooks_than_it_may() {
    let gateway = Gateway::with(|config| config.limits.webhooks_per_account = 2).await;
    for _ in 0..2 {
        make(&gateway, json!({"url": URL})).await;
    }
    let refused = gateway.post(WEBHOOKS, gateway.key.expose(), json!({"url": URL})).await;
    assert_eq!(refused.error(), (403, "quota_reached".into()));
    let config = json!({"config": {"webhooks": [{"url": URL}]}});
    let refused = gateway.post("/v2/session/create", gateway.key.expose(), config).await;
    assert_eq!(refused.error(), (403, "quota_reached".into()));
}

#[tokio::test]
async fn webhooks_are_listed_page_by_page_and_by_instance() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    for instance in [None, Some(id), None] {
        make(&gateway, json!({"url": URL, "instance_id": instance})).await;
        gateway.clock.advance(TimeDelta::seconds(1));
    }
    let key = gateway.key.expose();
    let first = gateway.get(&format!("{WEBHOOKS}?limit=2"), key).await.json();
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = gateway.get(&format!("{WEBHOOKS}?limit=2&cursor={cursor}"), key).await.json();
    let count = |page: &Value| page["webhooks"].as_array().unwrap().len();
    assert_eq!((count(&first), count(&second), &second["next_cursor"]), (2, 1, &json!(null)));
    assert_eq!(count(&gateway.get(&format!("{WEBHOOKS}?instance_id={id}"), key).await.json()), 1);
}

#[tokio::test]
async fn another_tenants_webhook_is_as_absent_as_none() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 77);
    gateway.add_account(AccountId(Uuid::from_u128(77)), &stranger, |_| {}).await;
    let (path, _) = make(&gateway, json!({"url": URL})).await;
    let absent = format!("{WEBHOOKS}/whk_00000000000000000000000000000000");
    for (method, suffix) in [
        ("GET", ""),
        ("POST", ""),
        ("DELETE", ""),
        ("POST", "/rotate-secret"),
        ("POST", "/test"),
        ("GET", "/deliveries"),
        ("GET", "/dead-letters"),
        ("POST", "/replay?dead_letters=true"),
    ] {
        let ask = |path: String| Answer::of(gateway.request(method, &path).bearer_auth(stranger.expose()));
        let (foreign, none) = (ask(format!("{path}{suffix}")).await, ask(format!("{absent}{suffix}")).await);
        assert_eq!(foreign.error(), (404, "webhook_not_found".into()), "{method} {suffix}");
        let told = |answer: &Answer| {
            let mut body = answer.json();
            body["request_id"].take();
            body
        };
        assert_eq!(told(&foreign), told(&none), "{method} {suffix}");
    }
    assert_eq!(gateway.get(WEBHOOKS, stranger.expose()).await.json()["webhooks"], json!([]));
    let id = gateway.create().await.id;
    let answer = gateway.post(WEBHOOKS, stranger.expose(), json!({"url": URL, "instance_id": id})).await;
    assert_eq!(answer.error(), (404, "session_not_found".into()));
}

#[tokio::test]
async fn a_test_tells_what_came_of_it_and_stands_among_the_deliveries() {
    let gateway = with_loopback().await;
    let receiver = Receiver::start().await;
    let (path, _) = make(&gateway, json!({"url": receiver.url(), "headers": {"X-Shop": "7"}})).await;
    let key = gateway.key.expose();
    let tested = gateway.post(&format!("{path}/test"), key, json!({})).await.json();
    assert_eq!(
        (&tested["delivered"], &tested["outcome"], &tested["status"]),
        (&json!(true), &json!("delivered"), &json!(200))
    );
    let received = receiver.received().remove(0);
    assert_eq!((received.json()["event"].as_str(), received.seq()), (Some("webhook.test"), 0));
    assert_eq!(received.json()["id"], tested["event_id"]);
    assert_eq!(received.header("webhook-id"), tested["event_id"].as_str().unwrap());
    assert!(received.header("webhook-signature").starts_with("v1,") && received.header("x-shop") == "7");

    receiver.answer(|_| Reply::Status(500));
    let tested = gateway.post(&format!("{path}/test"), key, json!({})).await.json();
    assert_eq!(
        (&tested["delivered"], &tested["outcome"], &tested["status"]),
        (&json!(false), &json!("refused"), &json!(500))
    );
    let page = gateway.get(&format!("{path}/deliveries?limit=1"), key).await.json();
    assert_eq!(
        (&page["deliveries"][0]["status"], &page["deliveries"][0]["event"]),
        (&json!(500), &json!("webhook.test"))
    );
    let next = page["next_cursor"].as_str().unwrap();
    let page = gateway.get(&format!("{path}/deliveries?cursor={next}"), key).await.json();
    assert_eq!((page["deliveries"].as_array().unwrap().len(), &page["deliveries"][0]["status"]), (1, &json!(200)));
}

#[tokio::test]
async fn a_rotated_secret_is_told_once_and_the_old_one_goes_on_for_as_long_as_wished() {
    let gateway = with_loopback().await;
    let receiver = Receiver::start().await;
    let (path, made) = make(&gateway, json!({"url": receiver.url()})).await;
    let key = gateway.key.expose();
    let rotated = gateway.post(&format!("{path}/rotate-secret"), key, json!({"overlap": 60})).await.json();
    assert_ne!(rotated["secret"], made["secret"]);
    assert_eq!(rotated["secrets"][1]["expires_at"], "2026-11-24T21:01:00Z");
    let signatures = |index: usize| receiver.received()[index].header("webhook-signature").split(' ').count();
    gateway.post(&format!("{path}/test"), key, json!({})).await;
    gateway.clock.advance(TimeDelta::seconds(60));
    gateway.post(&format!("{path}/test"), key, json!({})).await;
    gateway.post(&format!("{path}/rotate-secret"), key, json!({"overlap": 0})).await;
    gateway.post(&format!("{path}/test"), key, json!({})).await;
    assert_eq!([signatures(0), signatures(1), signatures(2)], [2, 1, 1]);
}

#[tokio::test]
async fn an_instance_has_one_webhook_of_its_own_as_wawps_clients_know_it() {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    let token = &created.token;
    let none = json!({"webhook": null, "secret": null});
    assert_eq!(gateway.get(OF_SESSION, token).await.json(), none);
    assert_eq!(gateway.post(OF_SESSION, token, json!({})).await.error(), (400, "missing_parameter".into()));
    let made = gateway.post(OF_SESSION, token, json!({"url": URL, "events": "message"})).await.json();
    assert!(made["secret"].as_str().unwrap().starts_with("whsec_"));
    assert_eq!(made["webhook"]["instance_id"], json!(created.id));
    let changed = gateway.post(OF_SESSION, token, json!({"url": "https://example.org/x?key=2"})).await.json();
    assert_eq!(changed["webhook"]["webhook_id"], made["webhook"]["webhook_id"], "it is changed and not another");
    assert_eq!((&changed["webhook"]["events"], &changed["secret"]), (&json!(["message"]), &json!(null)));
    let info = gateway.get("/v2/session/info", token).await.json();
    let listed = json!([{
        "webhook_id": made["webhook"]["webhook_id"], "url": "https://example.org/x", "events": ["message"], "enabled": true,
    }]);
    assert_eq!(info["config"]["webhooks"], listed);
    assert_eq!(
        gateway.get("/v2/session/list", gateway.key.expose()).await.json()["sessions"][0]["config"]["webhooks"],
        listed
    );
    for _ in 0..2 {
        assert_eq!(delete(&gateway, OF_SESSION, token).await.json(), none);
    }
    assert_eq!(gateway.get("/v2/session/info", token).await.json()["config"]["webhooks"], json!([]));

    for (seed, scope, status) in [(1, Scope::Control, 200), (2, Scope::Read, 403), (3, Scope::Send, 403)] {
        let token = key(TokenKind::Instance, 300 + seed);
        gateway.add_token(&token, Holder::Instance(gateway.account, created.id), &[scope], None).await;
        assert_eq!(gateway.post(OF_SESSION, token.expose(), json!({"url": URL})).await.status, status, "{scope:?}");
    }
}

#[tokio::test]
async fn an_instance_is_created_with_its_webhooks_in_wahas_shape_or_not_at_all() {
    let gateway = Gateway::start().await;
    let key = gateway.key.expose();
    let webhook = json!({
        "url": URL, "events": ["message.any"], "hmac": {"key": "your-secret-key-16"},
        "customHeaders": [{"name": "X-Shop", "value": "7"}],
    });
    let created = gateway.post("/v2/session/create", key, json!({"config": {"webhooks": [webhook]}})).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let listed = gateway.get(WEBHOOKS, key).await.json();
    let made = &listed["webhooks"][0];
    assert_eq!(made["instance_id"], created.json()["instance_id"]);
    assert_eq!((&made["events"], &made["headers"]), (&json!(["message.any"]), &json!(["x-shop"])));
    for webhooks in
        [json!([{}]), json!([{"url": "http://localhost/"}]), json!({}), json!([{"url": URL, "retries": {}}])]
    {
        let refused = gateway.post("/v2/session/create", key, json!({"config": {"webhooks": webhooks}})).await;
        assert_eq!(refused.error(), (400, "invalid_parameter".into()), "{webhooks}");
    }
    let sessions = gateway.get("/v2/session/list", key).await.json();
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_replay_names_one_thing_to_be_told_again() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let (path, _) = make(&gateway, json!({"url": URL})).await;
    let path = format!("{path}/replay");
    let key = gateway.key.expose();
    for body in [
        json!({}),
        json!({"from_seq": 1, "to_seq": 2}),
        json!({"instance_id": id, "from_seq": 1}),
        json!({"event_id": "evt_nonsense"}),
        json!({"event_id": format!("evt_{id}_1"), "dead_letters": true}),
    ] {
        assert_eq!(gateway.post(&path, key, body.clone()).await.status, 400, "{body}");
    }
    for body in [
        // The log holds less.
        json!({"event_id": format!("evt_{id}_900")}),
        json!({"instance_id": id, "from_seq": 900, "to_seq": 901}),
        json!({"dead_letters": true}),
        json!({"dead_letters": true, "instance_id": id}),
    ] {
        let answer = gateway.post(&path, key, body.clone()).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (202, json!({"queued": 0, "waiting": 0})), "{body}");
    }
    let foreign = gateway.post(&path, key, json!({"event_id": "evt_000000000000_1"})).await;
    assert_eq!(foreign.error(), (404, "session_not_found".into()));
}
