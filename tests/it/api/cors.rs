//! Which pages may read answers.

use actix_web::web::Data;
use tokio_util::sync::CancellationToken;
use wagate::api::upkeep::Upkeep;
use wagate::domain::origin::Origin;
use wagate::store::account_origin;

use super::gateway::{Answer, Gateway};
use crate::support::wait::until;

const LISTED: &str = "https://app.example.com";

/// What an account lists from now on.
async fn list(gateway: &Gateway, origins: &[&str]) {
    let origins: Vec<Origin> = origins.iter().map(|text| Origin::parse(text).unwrap()).collect();
    let mut tx = gateway.database.store().begin().await.unwrap();
    account_origin::replace(&mut tx, gateway.account, &origins).await.unwrap();
    tx.commit().await.unwrap();
}

/// A gateway whose upkeep has read the list, and what ends that.
async fn sharing() -> (Gateway, tokio_util::sync::DropGuard) {
    let gateway = Gateway::start().await;
    list(&gateway, &[LISTED, "http://localhost:3000"]).await;
    let token = CancellationToken::new();
    let upkeep = Upkeep { state: Data::clone(&gateway.state), revocation_interval: std::time::Duration::from_secs(5) };
    tokio::spawn(upkeep.run(token.clone()));
    until("the list was read", || async { (!allowed(&gateway, LISTED).await.is_empty()).then_some(()) }).await;
    (gateway, token.drop_guard())
}

/// The origin that an answer to a page is for.
async fn allowed(gateway: &Gateway, origin: &str) -> String {
    let answer = Answer::of(gateway.request("GET", "/nowhere").header("Origin", origin)).await;
    answer.header("access-control-allow-origin").to_owned()
}

fn names_of_cors(answer: &Answer) -> Vec<String> {
    let names = answer.headers.keys().map(ToString::to_string);
    names.filter(|name| name.starts_with("access-control-")).collect()
}

#[tokio::test]
async fn a_listed_origin_may_read_every_answer_and_no_other_any() {
    let (gateway, _upkeep) = sharing().await;
    let created = gateway.create().await;
    let token = created.token.as_str();
    for (method, path, token, status) in [
        ("GET", "/v2/session/info", token, 200),
        ("GET", "/v2/auth/qr", token, 422),
        ("GET", "/v2/session/info", "nonsense", 401),
        ("GET", "/nowhere", "", 404),
        ("DELETE", "/v2/session/info", "", 405),
        ("OPTIONS", "/v2/session/info", "", 405),
        ("GET", "/health/live", "", 200),
    ] {
        let ask = |origin: &str| Answer::of(gateway.request(method, path).bearer_auth(token).header("Origin", origin));
        let answer = ask(LISTED).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert_eq!(answer.header("access-control-allow-origin"), LISTED, "{method} {path}");
        assert!(answer.header("access-control-expose-headers").contains("x-qr-expires-at"));
        assert_eq!(answer.headers.get_all("vary").iter().filter(|value| *value == "Origin").count(), 1);
        assert!(!answer.headers.contains_key("access-control-allow-credentials"));
        for foreign in ["https://evil.example", "null", "*", "https://app.example.com.evil.example", ""] {
            let answer = ask(foreign).await;
            assert_eq!((answer.status.as_u16(), names_of_cors(&answer)), (status, vec![]), "{method} {path} {foreign}");
        }
    }
    let twice = gateway.request("GET", "/nowhere").header("Origin", LISTED).header("Origin", "https://evil.example");
    assert_eq!(names_of_cors(&Answer::of(twice).await), Vec::<String>::new());
}

#[tokio::test]
async fn a_preflight_names_the_routes_methods_and_needs_neither_token_nor_database() {
    let (gateway, _upkeep) = sharing().await;
    let preflight = |path: &str, origin: &str| {
        let request = gateway.request("OPTIONS", path).header("Origin", origin);
        Answer::of(request.header("Access-Control-Request-Method", "POST"))
    };
    gateway.database.pool().close().await;
    for (path, methods) in
        [("/v2/auth/qr", "GET, HEAD, POST"), ("/v2/session/create", "POST"), ("/v2/session/delete", "DELETE, POST")]
    {
        let answer = preflight(path, LISTED).await;
        assert_eq!((answer.status.as_u16(), answer.body.len()), (204, 0), "{path}");
        assert_eq!(answer.header("access-control-allow-methods"), methods, "{path}");
        assert_eq!(answer.header("access-control-allow-origin"), LISTED);
        assert_eq!(answer.header("access-control-max-age"), "600");
        for name in [
            "authorization",
            "x-api-key",
            "access-token",
            "x-instance-id",
            "content-type",
            "idempotency-key",
            "last-event-id",
            "x-request-id",
        ] {
            assert!(answer.header("access-control-allow-headers").split(", ").any(|allowed| allowed == name), "{name}");
        }
        let answer = preflight(path, "https://evil.example").await;
        assert_eq!((answer.status.as_u16(), names_of_cors(&answer)), (405, vec![]), "{path}");
    }
    assert_eq!(preflight("/nowhere", LISTED).await.status, 404);
}

#[tokio::test]
async fn an_origin_that_is_no_longer_listed_is_forgotten_at_the_next_reading() {
    let (gateway, _upkeep) = sharing().await;
    list(&gateway, &["http://localhost:3000"]).await;
    until("the list was read again", || async {
        gateway.clock.advance(chrono::TimeDelta::seconds(5));
        allowed(&gateway, LISTED).await.is_empty().then_some(())
    })
    .await;
    assert_eq!(allowed(&gateway, "http://localhost:3000").await, "http://localhost:3000");
}
