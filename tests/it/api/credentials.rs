//! Who may call, wherever the token stands.

use std::time::Duration;

use actix_web::web::Data;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use wagate::api::upkeep::Upkeep;
use wagate::domain::account::AccountId;
use wagate::domain::token::{Scope, TokenKind};
use wagate::store::token::{self, Holder};

use super::gateway::{Answer, Created, Gateway, key, until};
use super::script::{VALUE, later};

const ROUTES: [(&str, &str); 12] = [
    ("POST", "/v2/session/create"),
    ("GET", "/v2/session/list"),
    ("GET", "/v2/session/info"),
    ("POST", "/v2/session/info"),
    ("POST", "/v2/session/start"),
    ("POST", "/v2/session/stop"),
    ("POST", "/v2/session/restart"),
    ("POST", "/v2/session/logout"),
    ("DELETE", "/v2/session/delete"),
    ("GET", "/v2/auth/qr"),
    ("POST", "/v2/auth/qr"),
    ("POST", "/v2/auth/qr-image"),
];

/// What may differ between two answers that must not be told apart.
fn without_id(answer: &Answer) -> (u16, Vec<(String, String)>, serde_json::Value) {
    let mut body = answer.json();
    body["request_id"].take();
    let mut headers: Vec<(String, String)> = answer
        .headers
        .iter()
        .filter(|(name, _)| !["x-request-id", "date"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    headers.sort();
    (answer.status.as_u16(), headers, body)
}

#[tokio::test]
async fn every_route_refuses_every_bad_credential_in_one_and_the_same_way() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 1_000).await;
    let instance = gateway.create().await;
    let revoked = key(TokenKind::Account, 2);
    let id = gateway.add_token(&revoked, Holder::Account(gateway.account), &[], None).await;
    let mut conn = gateway.database.store().acquire().await.unwrap();
    assert!(token::revoke(&mut conn, gateway.account, id, gateway.now()).await.unwrap());
    drop(conn);
    let expired = key(TokenKind::Account, 3);
    gateway.add_token(&expired, Holder::Account(gateway.account), &[], Some(gateway.now())).await;
    let operator = key(TokenKind::Operator, 4);
    gateway.add_token(&operator, Holder::Operator, &[], None).await;
    let unknown = key(TokenKind::Account, 5);
    let credentials = [
        None,
        Some("nonsense"),
        Some(unknown.expose()),
        Some(revoked.expose()),
        Some(expired.expose()),
        Some(operator.expose()),
    ];
    for (method, path) in ROUTES {
        let mut first = None;
        for credential in credentials {
            let mut request = gateway.request(method, &format!("{path}?instance_id={}", instance.id));
            if let Some(credential) = credential {
                request = request.bearer_auth(credential);
            }
            let answer = Answer::of(request).await;
            assert_eq!(answer.error(), (401, "unauthorized".into()), "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            let seen = without_id(&answer);
            assert_eq!(first.get_or_insert_with(|| without_id(&answer)), &seen, "{method} {path}");
        }
    }
    let calls = gateway.script.calls.lock().clone();
    assert_eq!(calls, ["start"], "only the create has reached a session");
}

#[tokio::test]
async fn a_token_is_found_in_each_of_its_places() {
    let gateway = Gateway::start().await;
    let Created { id, token } = &gateway.create().await;
    let info = "/v2/session/info";
    let requests = [
        gateway.request("GET", info).bearer_auth(token),
        gateway.request("GET", info).header("Authorization", format!("bearer {token}")),
        gateway.request("GET", info).header("X-Api-Key", token),
        gateway.request("GET", info).header("access-token", token),
        gateway.request("GET", &format!("{info}?access_token={token}&instance_id={id}")),
        gateway.request("POST", info).json(&json!({"access_token": token, "instance_id": id})),
        gateway
            .request("POST", info)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("access_token={token}&instance_id={id}")),
        gateway.request("POST", info).body(json!({"access_token": token}).to_string()),
        gateway
            .request("POST", info)
            .header("Content-Type", "text/plain;charset=UTF-8")
            .body(json!({"access_token": token}).to_string()),
        gateway.request("POST", info).bearer_auth(token).header("X-Instance-ID", id.as_str()),
        // What Wawp's own clients send: the same everywhere.
        gateway
            .request("POST", &format!("{info}?access_token={token}&instance_id={id}"))
            .bearer_auth(token)
            .json(&json!({"access_token": token, "instance_id": id})),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let answer = Answer::of(request).await;
        assert_eq!(answer.status, 200, "place {number}: {}", answer.text());
        assert_eq!(answer.json()["instance_id"], id.as_str());
    }
}

#[tokio::test]
async fn two_different_values_of_one_parameter_conflict_whoever_asks() {
    let gateway = Gateway::start().await;
    let Created { id, token } = &gateway.create().await;
    let other = key(TokenKind::Account, 9);
    let requests = [
        gateway.request("GET", &format!("/v2/session/info?access_token={}", other.expose())).bearer_auth(token),
        gateway.request("GET", "/v2/session/info").bearer_auth(token).header("X-Api-Key", other.expose()),
        gateway.request("GET", "/v2/session/info?instance_id=000000000000").header("X-Instance-ID", id.as_str()),
        gateway.request("GET", "/v2/auth/qr?scale=4&scale=5").bearer_auth(token),
        gateway.request("POST", "/v2/auth/qr?format=png").bearer_auth(token).json(&json!({"format": "svg"})),
    ];
    for (number, request) in requests.into_iter().enumerate() {
        let answer = Answer::of(request).await;
        assert_eq!(answer.error(), (400, "conflicting_parameter".into()), "request {number}");
        assert!(!answer.text().contains(other.expose()) && !answer.text().contains(token.as_str()));
    }
}

#[tokio::test]
async fn an_account_that_requires_headers_refuses_tokens_elsewhere() {
    let gateway = Gateway::start().await;
    let strict = key(TokenKind::Account, 20);
    let account = AccountId(uuid::Uuid::from_u128(20));
    gateway.add_account(account, &strict, |account| account.require_header_auth = true).await;
    let token = strict.expose();
    assert_eq!(gateway.get("/v2/session/list", token).await.status, 200);
    for request in [
        gateway.request("GET", &format!("/v2/session/list?access_token={token}")),
        gateway.request("GET", &format!("/v2/session/list?access_token={token}")).bearer_auth(token),
        gateway.request("POST", "/v2/session/list").json(&json!({"access_token": token})),
    ] {
        assert_eq!(Answer::of(request).await.error(), (401, "unauthorized".into()));
    }
}

#[tokio::test]
async fn a_token_does_what_its_scopes_name_and_nothing_else() {
    let gateway = Gateway::start().await;
    let instance = gateway.create().await;
    gateway.script.show_code(instance.id, VALUE, 1, later(gateway.now(), 60));
    let routes = [
        ("GET", "/v2/session/info", Scope::Read),
        ("GET", "/v2/auth/qr", Scope::Link),
        ("GET", "/v2/auth/qr-image", Scope::Link),
        ("POST", "/v2/session/start", Scope::Control),
        ("POST", "/v2/session/stop", Scope::Control),
        ("POST", "/v2/session/restart", Scope::Control),
    ];
    for (seed, granted) in Scope::ALL.into_iter().enumerate() {
        let token = key(TokenKind::Instance, 30 + seed as u64);
        gateway.add_token(&token, Holder::Instance(gateway.account, instance.id), &[granted], None).await;
        for (method, path, scope) in routes {
            gateway.script.show_code(instance.id, VALUE, 1, later(gateway.now(), 60));
            let answer = Answer::of(gateway.request(method, path).bearer_auth(token.expose())).await;
            if scope == granted {
                assert_eq!(answer.status, 200, "{granted:?} {path}: {}", answer.text());
            } else {
                assert_eq!(answer.error(), (403, "forbidden".into()), "{granted:?} {path}");
            }
        }
        for (method, path) in [("POST", "/v2/session/create"), ("GET", "/v2/session/list")] {
            let answer = Answer::of(gateway.request(method, path).bearer_auth(token.expose())).await;
            assert_eq!(answer.error(), (403, "forbidden".into()), "{granted:?} {path}");
        }
    }
}

#[tokio::test]
async fn a_revoked_token_ends_within_seconds_although_it_is_remembered() {
    let gateway = Gateway::start().await;
    let token = key(TokenKind::Account, 40);
    let id = gateway.add_token(&token, Holder::Account(gateway.account), &[], None).await;
    assert_eq!(gateway.get("/v2/session/list", token.expose()).await.status, 200);
    let interval = Duration::from_secs(2);
    let upkeep = Upkeep { state: Data::clone(&gateway.state), revocation_interval: interval };
    let stop = CancellationToken::new();
    let running = tokio::spawn(upkeep.run(stop.clone()));
    let mut conn = gateway.database.store().acquire().await.unwrap();
    assert!(token::revoke(&mut conn, gateway.account, id, gateway.now()).await.unwrap());
    drop(conn);
    assert_eq!(gateway.get("/v2/session/list", token.expose()).await.status, 200, "still remembered");
    until(|| gateway.clock.next_deadline().is_some()).await;
    gateway.clock.advance(chrono::TimeDelta::seconds(2));
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while gateway.get("/v2/session/list", token.expose()).await.status != 401 {
        assert!(std::time::Instant::now() < deadline, "two seconds of the gateway's time were enough");
    }
    assert_eq!(gateway.get("/v2/session/list", gateway.key.expose()).await.status, 200, "others go on");
    stop.cancel();
    running.await.unwrap();
}

#[tokio::test]
async fn a_remembered_token_ends_when_it_expires() {
    let gateway = Gateway::start().await;
    let token = key(TokenKind::Account, 41);
    let expiry = later(gateway.now(), 30);
    gateway.add_token(&token, Holder::Account(gateway.account), &[], Some(expiry)).await;
    assert_eq!(gateway.get("/v2/session/list", token.expose()).await.status, 200);
    gateway.clock.advance(chrono::TimeDelta::seconds(30));
    assert_eq!(gateway.get("/v2/session/list", token.expose()).await.status, 401);
}
