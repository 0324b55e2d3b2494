//! An account's own settings and keys.

use std::time::Duration;

use actix_web::web::Data;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use wagate::api::upkeep::Upkeep;
use wagate::domain::account::AccountId;
use wagate::domain::token::{Token, TokenKind};
use wagate::store::account;

use super::gateway::{Answer, Gateway, key};

const KEYS: &str = "/v2/account/keys";
const ROTATE: &str = "/v2/account/keys/rotate";

async fn revoke(gateway: &Gateway, by: &str, id: &Value) -> Answer {
    let path = format!("{KEYS}?token_id={}", id.as_str().unwrap());
    Answer::of(gateway.request("DELETE", &path).bearer_auth(by)).await
}

async fn minted(gateway: &Gateway, body: Value) -> Value {
    let answer = gateway.post(KEYS, gateway.key.expose(), body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    answer.json()
}

/// The id of the key that the gateway of the test begins with.
async fn first(gateway: &Gateway) -> Value {
    let answer = gateway.get(KEYS, gateway.key.expose()).await;
    let keys = answer.json()["keys"].as_array().unwrap().clone();
    assert!(!answer.text().contains("wga_"), "no list shows a secret");
    keys.into_iter().find(|key| key["current"] == true).unwrap()["token_id"].clone()
}

#[tokio::test]
async fn an_account_keeps_a_key_that_does_not_expire() {
    let gateway = Gateway::start().await;
    let old = first(&gateway).await;
    let refused = revoke(&gateway, gateway.key.expose(), &old).await;
    assert_eq!(refused.error(), (409, "last_account_key".into()));
    minted(&gateway, json!({"expires_in": 60, "name": "for an hour"})).await;
    let refused = revoke(&gateway, gateway.key.expose(), &old).await;
    assert_eq!(refused.error(), (409, "last_account_key".into()), "a key that will expire is not enough");
    let second = minted(&gateway, json!({"name": "ci"})).await;
    assert_eq!(Token::parse(second["access_token"].as_str().unwrap()).unwrap().kind(), TokenKind::Account);
    assert_eq!(revoke(&gateway, gateway.key.expose(), &old).await.status, 200);
    assert_eq!(gateway.get(KEYS, gateway.key.expose()).await.status, 401, "it ended with the answer");
    let by = second["access_token"].as_str().unwrap();
    assert_eq!(revoke(&gateway, by, &second["token_id"]).await.error(), (409, "last_account_key".into()));
    assert_eq!(gateway.get("/v2/session/list", by).await.status, 200);
}

#[tokio::test]
async fn the_only_key_rotates_itself() {
    let gateway = Gateway::start().await;
    let old = first(&gateway).await;
    let answer = gateway.post(ROTATE, gateway.key.expose(), json!({"token_id": old})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let new = answer.json();
    assert_eq!(new["replaces"]["expires_at"], "2026-11-25T21:00:00Z", "a day by default");
    assert_eq!(new["expires_at"], Value::Null, "the new one does not expire, as the old one did not");
    let again = gateway.post(ROTATE, gateway.key.expose(), json!({"token_id": old})).await;
    assert_eq!(again.error(), (409, "token_rotated".into()));
    gateway.clock.advance(TimeDelta::days(1));
    assert_eq!(gateway.get("/v2/account", gateway.key.expose()).await.status, 401);
    let new_key = new["access_token"].as_str().unwrap();
    assert_eq!(gateway.get("/v2/account", new_key).await.status, 200);
    let body = json!({"token_id": new["token_id"], "overlap": 0});
    let answer = gateway.post(ROTATE, new_key, body).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    assert_eq!(gateway.get("/v2/account", new_key).await.status, 401, "it leaked");
    assert_eq!(gateway.get("/v2/account", answer.json()["access_token"].as_str().unwrap()).await.status, 200);
    let actions: Vec<String> = gateway.audit().await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(actions, ["key.rotated", "key.rotated"]);
}

#[tokio::test]
async fn another_accounts_keys_are_as_absent_as_those_that_never_were() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 70);
    gateway.add_account(AccountId(uuid::Uuid::from_u128(70)), &stranger, |_| {}).await;
    let keys = gateway.get(KEYS, stranger.expose()).await.json();
    let foreign = &keys["keys"][0]["token_id"];
    assert_eq!(keys["keys"].as_array().unwrap().len(), 1, "each sees its own");
    for (method, path) in [("DELETE", KEYS), ("POST", ROTATE)] {
        let mut seen = Vec::new();
        for id in [foreign, &json!(uuid::Uuid::nil())] {
            let request = gateway.request(method, path).bearer_auth(gateway.key.expose());
            let answer = Answer::of(request.json(&json!({"token_id": id}))).await;
            assert_eq!(answer.error(), (404, "token_not_found".into()), "{method} {path}");
            let mut body = answer.json();
            body["request_id"].take();
            seen.push(body);
        }
        assert_eq!(seen[0], seen[1]);
    }
    assert_eq!(gateway.get(KEYS, stranger.expose()).await.status, 200);
}

#[tokio::test]
async fn an_instance_token_reaches_nothing_of_the_account() {
    let gateway = Gateway::start().await;
    let token = gateway.create().await.token;
    let id = json!({"token_id": uuid::Uuid::nil()});
    for (method, path) in [
        ("GET", "/v2/account"),
        ("POST", "/v2/account"),
        ("GET", KEYS),
        ("POST", KEYS),
        ("DELETE", KEYS),
        ("POST", ROTATE),
    ] {
        let answer = Answer::of(gateway.request(method, path).bearer_auth(&token).json(&id)).await;
        assert_eq!(answer.error(), (403, "forbidden".into()), "{method} {path}");
    }
}

#[tokio::test]
async fn an_account_sees_itself_and_sets_what_is_its_own() {
    let gateway = Gateway::start().await;
    let instance = gateway.create().await;
    let seen = gateway.get("/v2/account", gateway.key.expose()).await.json();
    assert_eq!(
        seen,
        json!({
            "account_id": gateway.account,
            "name": "shop",
            "settings": {"require_header_auth": false, "allow_get_control": false, "allowed_origins": []},
            "quota": {"max_instances": null},
            "use": {"instances": 1},
            "created_at": "2026-11-24T21:00:00Z",
        })
    );
    assert_eq!(gateway.get("/v2/session/stop", &instance.token).await.status, 405);
    let body = json!({
        "name": "Shop & Sons",
        "allow_get_control": true,
        "allowed_origins": ["https://b.example", "https://a.example", "https://a.example"],
        "max_instances": 5,
    });
    let set = gateway.post("/v2/account", gateway.key.expose(), body).await.json();
    assert_eq!(set["name"], "Shop & Sons");
    assert_eq!(set["settings"]["allowed_origins"], json!(["https://a.example", "https://b.example"]));
    assert_eq!(set["quota"]["max_instances"], Value::Null, "the quota is the operator's");
    assert_eq!(gateway.get("/v2/session/stop", &instance.token).await.status, 200, "it holds at once");

    let body = json!({"require_header_auth": true, "allowed_origins": []});
    let set = gateway.post("/v2/account", gateway.key.expose(), body).await.json();
    assert_eq!((&set["name"], &set["settings"]["allowed_origins"]), (&json!("Shop & Sons"), &json!([])));
    let path = format!("/v2/account?access_token={}", gateway.key.expose());
    assert_eq!(Answer::of(gateway.request("GET", &path)).await.status, 401, "this holds at once too");

    for (body, name) in [
        (json!({"allowed_origins": ["*"]}), "allowed_origins"),
        (json!({"allowed_origins": "https://a.example/path"}), "allowed_origins"),
        (json!({"allow_get_control": "perhaps"}), "allow_get_control"),
        (json!({"name": "x".repeat(101)}), "name"),
    ] {
        let answer = gateway.post("/v2/account", gateway.key.expose(), body).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()));
        assert_eq!(answer.json()["parameters"][0]["name"], name);
    }
}

#[tokio::test]
async fn a_setting_changed_on_another_node_holds_here_within_seconds() {
    let gateway = Gateway::start().await;
    let token = gateway.create().await.token;
    assert_eq!(gateway.get("/v2/session/stop", &token).await.status, 405);
    let upkeep = Upkeep { state: Data::clone(&gateway.state), revocation_interval: Duration::from_secs(2) };
    let stop = CancellationToken::new();
    let running = tokio::spawn(upkeep.run(stop.clone()));
    let mut tx = gateway.database.store().begin().await.unwrap();
    let mut changed = account::lock(&mut tx, gateway.account).await.unwrap().unwrap();
    changed.allow_get_control = true;
    account::update(&mut tx, &changed).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(gateway.get("/v2/session/stop", &token).await.status, 405, "as it was remembered");
    crate::support::wait::until("the upkeep waits", || async { gateway.clock.next_deadline() }).await;
    gateway.clock.advance(TimeDelta::seconds(2));
    crate::support::wait::until("the setting holds", || async {
        (gateway.get("/v2/session/stop", &token).await.status == 200).then_some(())
    })
    .await;
    stop.cancel();
    running.await.unwrap();
}
