//! An instance's tokens: minted, listed, revoked, rotated by the account's key, and by nothing else.

use chrono::TimeDelta;
use serde_json::{Value, json};
use wagate::domain::account::AccountId;
use wagate::domain::token::{Scope, Token, TokenKind};
use wagate::store::token::Holder;

use super::gateway::{Answer, Gateway, key};
use super::script::later;

const TOKEN: &str = "/v2/session/token";
const ROTATE: &str = "/v2/session/token/rotate";

/// The four requests there are on an instance's tokens.
const REQUESTS: [(&str, &str); 4] = [("GET", TOKEN), ("POST", TOKEN), ("DELETE", TOKEN), ("POST", ROTATE)];

async fn ask(gateway: &Gateway, method: &str, path: &str, token: &str, body: Value) -> Answer {
    Answer::of(gateway.request(method, path).bearer_auth(token).json(&body)).await
}

async fn minted(gateway: &Gateway, body: Value) -> Value {
    let answer = gateway.post(TOKEN, gateway.key.expose(), body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

async fn listed(gateway: &Gateway, instance: &str) -> Vec<Value> {
    let answer = gateway.get(&format!("{TOKEN}?instance_id={instance}"), gateway.key.expose()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["tokens"].as_array().unwrap().clone()
}

/// One of a list.
fn one<'a>(listing: &'a [Value], token: &Value) -> &'a Value {
    listing.iter().find(|other| other["token_id"] == token["token_id"]).unwrap()
}

fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}"))
}

#[tokio::test]
async fn a_token_is_shown_once_and_does_what_it_was_minted_for() {
    let gateway = Gateway::start().await;
    let instance = gateway.create().await;
    let body = json!({"instance_id": instance.id, "scopes": "read, link", "name": "till 3", "expires_in": 60});
    let new = minted(&gateway, body).await;
    let token = text(&new, "access_token");
    assert_eq!(Token::parse(token).unwrap().kind(), TokenKind::Instance);
    assert_eq!(new["scopes"], json!(["read", "link"]));
    assert_eq!((&new["name"], &new["state"]), (&json!("till 3"), &json!("active")));
    assert_eq!(new["expires_at"], "2026-11-24T21:01:00Z");
    assert_eq!(gateway.get("/v2/session/info", token).await.status, 200);
    assert_eq!(gateway.post("/v2/session/stop", token, json!({})).await.error(), (403, "forbidden".into()));

    let listing = listed(&gateway, instance.id.as_str()).await;
    assert_eq!(listing.len(), 2, "the one of the creation is there too");
    assert_eq!(one(&listing, &new)["last4"], new["last4"]);
    let first = listing.iter().find(|token| token["token_id"] != new["token_id"]).unwrap();
    assert_eq!(first["scopes"], json!(["read", "link", "send", "control"]), "all four by default");
    assert!(!json!(listing).to_string().contains("wgi_"), "no list shows a secret");

    gateway.clock.advance(TimeDelta::seconds(60));
    assert_eq!(gateway.get("/v2/session/info", token).await.status, 401, "it ended when it was to");
    assert_eq!(one(&listed(&gateway, instance.id.as_str()).await, &new)["state"], "expired");
}

#[tokio::test]
async fn scopes_are_a_list_or_text_and_an_end_is_a_time_or_a_number_of_seconds() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let end = later(gateway.now(), 90).to_rfc3339();
    let new = minted(&gateway, json!({"instance_id": id, "scopes": ["send"], "expires_at": end})).await;
    assert_eq!((&new["scopes"], &new["expires_at"]), (&json!(["send"]), &json!("2026-11-24T21:01:30Z")));
    let new = minted(&gateway, json!({"instance_id": id})).await;
    assert_eq!((new["scopes"].as_array().unwrap().len(), &new["expires_at"]), (4, &Value::Null));
}

#[tokio::test]
async fn a_revoked_token_ends_at_once_and_revoking_it_again_is_no_error() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let new = minted(&gateway, json!({"instance_id": id})).await;
    let token = text(&new, "access_token");
    assert_eq!(gateway.get("/v2/session/info", token).await.status, 200, "it is remembered now");
    let path = format!("{TOKEN}?instance_id={id}&token_id={}", text(&new, "token_id"));
    for _ in 0..2 {
        let answer = Answer::of(gateway.request("DELETE", &path).bearer_auth(gateway.key.expose())).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!({"token_id": new["token_id"], "revoked": true}));
        assert_eq!(gateway.get("/v2/session/info", token).await.error(), (401, "unauthorized".into()));
    }
    assert_eq!(one(&listed(&gateway, id.as_str()).await, &new)["state"], "revoked");
    let actions: Vec<String> = gateway.audit().await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["instance.created", "token.minted", "token.revoked"], "each was done once");
}

#[tokio::test]
async fn a_rotated_token_goes_on_for_its_overlap_and_is_replaced_once() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let old = minted(&gateway, json!({"instance_id": id, "scopes": "read", "name": "till"})).await;
    assert_eq!(gateway.get("/v2/session/info", text(&old, "access_token")).await.status, 200);
    let body = json!({"instance_id": id, "token_id": old["token_id"], "overlap": 30});
    let answer = gateway.post(ROTATE, gateway.key.expose(), body.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let new = answer.json();
    assert_eq!((&new["scopes"], &new["name"]), (&old["scopes"], &old["name"]));
    assert_eq!(new["replaces"], json!({"token_id": old["token_id"], "expires_at": "2026-11-24T21:00:30Z"}));
    let again = gateway.post(ROTATE, gateway.key.expose(), body).await;
    assert_eq!(again.error(), (409, "token_rotated".into()));
    for token in [&old, &new] {
        assert_eq!(gateway.get("/v2/session/info", text(token, "access_token")).await.status, 200);
    }
    gateway.clock.advance(TimeDelta::seconds(30));
    assert_eq!(gateway.get("/v2/session/info", text(&old, "access_token")).await.status, 401);
    assert_eq!(gateway.get("/v2/session/info", text(&new, "access_token")).await.status, 200);
}

#[tokio::test]
async fn a_leaked_token_is_replaced_without_overlap() {
    let gateway = Gateway::start().await;
    let instance = gateway.create().await;
    assert_eq!(gateway.get("/v2/session/info", &instance.token).await.status, 200);
    let leaked = listed(&gateway, instance.id.as_str()).await[0]["token_id"].clone();
    let body = json!({"instance_id": instance.id, "token_id": leaked, "overlap": 0});
    let answer = gateway.post(ROTATE, gateway.key.expose(), body.clone()).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(gateway.get("/v2/session/info", &instance.token).await.status, 401);
    assert_eq!(gateway.get("/v2/session/info", text(&answer.json(), "access_token")).await.status, 200);
    let again = gateway.post(ROTATE, gateway.key.expose(), body).await;
    assert_eq!(again.error(), (404, "token_not_found".into()), "a dead token is not replaced");
}

#[tokio::test]
async fn a_token_never_reaches_tokens_whatever_its_scopes() {
    let gateway = Gateway::start().await;
    let instance = gateway.create().await;
    for (method, path) in REQUESTS {
        let body = json!({"token_id": uuid::Uuid::nil()});
        let answer = ask(&gateway, method, path, &instance.token, body).await;
        assert_eq!(answer.error(), (403, "forbidden".into()), "{method} {path}");
    }
    assert_eq!(listed(&gateway, instance.id.as_str()).await.len(), 1);
}

#[tokio::test]
async fn another_tenants_tokens_are_as_absent_as_those_that_never_were() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 60);
    gateway.add_account(AccountId(uuid::Uuid::from_u128(60)), &stranger, |_| {}).await;
    let foreign = gateway.create_with(stranger.expose()).await;
    let (own, sibling) = (gateway.create().await, gateway.create().await);
    let account = gateway.key.expose();
    let add =
        async |holder| gateway.add_token(&Token::generate(TokenKind::Instance, &mut rng()), holder, &[], None).await;
    let strangers = add(Holder::Instance(AccountId(uuid::Uuid::from_u128(60)), foreign.id)).await;
    let siblings = add(Holder::Instance(gateway.account, sibling.id)).await;
    let of_account = gateway.add_token(&key(TokenKind::Account, 61), Holder::Account(gateway.account), &[], None).await;
    for (method, path) in REQUESTS {
        let mut seen = Vec::new();
        for id in [foreign.id.as_str(), "000000000000"] {
            let body = json!({"instance_id": id, "token_id": strangers});
            let answer = ask(&gateway, method, path, account, body).await;
            assert_eq!(answer.error(), (404, "session_not_found".into()), "{method} {path}");
            seen.push(without_request_id(&answer));
        }
        assert_eq!(seen[0], seen[1]);
    }
    for (method, path) in &REQUESTS[2..] {
        let mut seen = Vec::new();
        for id in [strangers, siblings, of_account, uuid::Uuid::nil()] {
            let answer = ask(&gateway, method, path, account, json!({"instance_id": own.id, "token_id": id})).await;
            assert_eq!(answer.error(), (404, "token_not_found".into()), "{method} {path}");
            seen.push(without_request_id(&answer));
        }
        assert!(seen.iter().all(|other| *other == seen[0]), "{seen:?}");
    }
    assert_eq!(gateway.get("/v2/session/info", &foreign.token).await.status, 200, "nothing was revoked");
}

#[tokio::test]
async fn every_bad_parameter_is_named() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    let cases = [
        ("POST", TOKEN, json!({"scopes": "everything"}), "scopes"),
        ("POST", TOKEN, json!({"scopes": []}), "scopes"),
        ("POST", TOKEN, json!({"scopes": [1]}), "scopes"),
        ("POST", TOKEN, json!({"expires_in": 0}), "expires_in"),
        ("POST", TOKEN, json!({"expires_in": 315_360_001}), "expires_in"),
        ("POST", TOKEN, json!({"expires_at": "tomorrow"}), "expires_at"),
        ("POST", TOKEN, json!({"expires_at": "2026-11-24T21:00:00Z"}), "expires_at"),
        ("POST", TOKEN, json!({"expires_at": "2027-01-01T00:00:00Z", "expires_in": 5}), "expires_at"),
        ("POST", TOKEN, json!({"name": "a\u{7}b"}), "name"),
        ("DELETE", TOKEN, json!({"token_id": "7"}), "token_id"),
        ("DELETE", TOKEN, json!({}), "token_id"),
        ("POST", ROTATE, json!({}), "token_id"),
        ("POST", ROTATE, json!({"token_id": uuid::Uuid::nil(), "overlap": -1}), "overlap"),
        ("POST", ROTATE, json!({"token_id": uuid::Uuid::nil(), "overlap": 2_592_001}), "overlap"),
    ];
    for (method, path, mut body, name) in cases {
        body["instance_id"] = json!(id);
        let answer = ask(&gateway, method, path, gateway.key.expose(), body.clone()).await;
        assert_eq!(answer.status, 400, "{body}: {}", answer.text());
        assert_eq!(answer.json()["parameters"][0]["name"], name, "{body}");
    }
    let answer = gateway.get(TOKEN, gateway.key.expose()).await;
    assert_eq!(answer.error(), (400, "missing_parameter".into()), "an account key must name the instance");
    let answer = gateway.request("PUT", TOKEN).bearer_auth(gateway.key.expose());
    assert_eq!(Answer::of(answer).await.header("allow"), "GET, HEAD, POST, DELETE");
}

#[tokio::test]
async fn an_instance_has_a_hundred_live_tokens_at_most() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    for _ in 1..100 {
        minted(&gateway, json!({"instance_id": id})).await;
    }
    let refused = gateway.post(TOKEN, gateway.key.expose(), json!({"instance_id": id})).await;
    assert_eq!(refused.error(), (403, "quota_reached".into()));
    let one = listed(&gateway, id.as_str()).await[0]["token_id"].clone();
    let body = json!({"instance_id": id, "token_id": one});
    assert_eq!(ask(&gateway, "DELETE", TOKEN, gateway.key.expose(), body).await.status, 200);
    minted(&gateway, json!({"instance_id": id})).await;
}

#[tokio::test]
async fn the_scope_of_a_token_is_what_the_database_keeps() {
    let gateway = Gateway::start().await;
    let id = gateway.create().await.id;
    for scope in Scope::ALL {
        let new = minted(&gateway, json!({"instance_id": id, "scopes": scope.as_str()})).await;
        let kept: Vec<String> = sqlx::query_scalar("SELECT scopes FROM api_token WHERE id = $1")
            .bind(uuid::Uuid::parse_str(text(&new, "token_id")).unwrap())
            .fetch_one(gateway.database.pool())
            .await
            .unwrap();
        assert_eq!(kept, [scope.as_str()]);
    }
}

fn rng() -> rand::rngs::StdRng {
    use std::sync::atomic::{AtomicU64, Ordering};

    static SEED: AtomicU64 = AtomicU64::new(9_000);
    rand::SeedableRng::seed_from_u64(SEED.fetch_add(1, Ordering::Relaxed))
}

fn without_request_id(answer: &Answer) -> Value {
    let mut body = answer.json();
    body["request_id"].take();
    body
}
