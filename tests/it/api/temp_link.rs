//! Links for people who link a phone, and what their tokens may do.

use chrono::TimeDelta;
use serde_json::{Value, json};
use uuid::Uuid;
use wagate::domain::instance::InstanceId;
use wagate::domain::origin::Origin;
use wagate::domain::session::Status;
use wagate::domain::token::{Scope, Token, TokenKind};
use wagate::store::token::Holder;
use wagate::store::{account_origin, link};
use wagate::supervisor::QrRefusalKind;

use super::gateway::{Answer, Created, Gateway, key};
use super::script::{VALUE, later};

const LINK: &str = "/v2/session/temp-link";
const INFO: &str = "/v2/session/info";
const QR: &str = "/v2/auth/qr";

/// A new link's token.
async fn mint(gateway: &Gateway, token: &str) -> String {
    let answer = gateway.post(LINK, token, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    token_of(&answer.json())
}

fn token_of(shown: &Value) -> String {
    let link = shown["link"].as_str().unwrap();
    link.strip_prefix("https://wa.example.com/link/").unwrap().to_owned()
}

async fn end(gateway: &Gateway, token: &str) -> Answer {
    Answer::of(gateway.request("DELETE", LINK).bearer_auth(token)).await
}

/// Whether a new page would open under a token.
async fn opens(gateway: &Gateway, id: InstanceId, token: &str) -> bool {
    let mut conn = gateway.database.store().acquire().await.unwrap();
    let hash = Token::parse(token).unwrap().hash();
    let token_id: Uuid = sqlx::query_scalar("SELECT id FROM api_token WHERE hash = $1")
        .bind(&hash.0[..])
        .fetch_one(&mut *conn)
        .await
        .unwrap();
    link::opens(&mut conn, id, token_id).await.unwrap()
}

/// The session becomes linked, in the store and for the handlers.
async fn become_linked(gateway: &Gateway, id: InstanceId) {
    sqlx::query("UPDATE session SET linked = true, status = 'STARTING', since = $2 WHERE instance_id = $1")
        .bind(id.as_str())
        .bind(gateway.now())
        .execute(gateway.database.pool())
        .await
        .unwrap();
    gateway.script.link(id);
    *gateway.script.refusal.lock() = Some(QrRefusalKind::AlreadyLinked);
}

#[tokio::test]
async fn a_link_is_shown_until_it_expires_or_is_ended() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let none = json!({"link": null, "expires_at": null});
    assert_eq!(gateway.get(LINK, &token).await.json(), none);

    let made = gateway.post(LINK, &token, json!({})).await.json();
    assert_eq!(made["expires_at"], "2026-11-24T21:30:00Z", "half an hour unless asked otherwise");
    assert!(token_of(&made).starts_with("wgl_"));
    assert_eq!(gateway.get(LINK, &token).await.json(), made);
    let head = Answer::of(gateway.request("HEAD", LINK).bearer_auth(&token)).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
    gateway.clock.advance(TimeDelta::minutes(30));
    assert_eq!(gateway.get(LINK, &token).await.json(), none);
    assert_eq!(gateway.get(INFO, &token_of(&made)).await.error(), (401, "unauthorized".into()));

    let made = gateway.post(LINK, &token, json!({"ttl": 72 * 60 * 60})).await.json();
    assert_eq!(made["expires_at"], "2026-11-27T21:30:00Z");
    assert_eq!(gateway.get(INFO, &token_of(&made)).await.status, 200);
    for _ in 0..2 {
        assert_eq!(end(&gateway, &token).await.json(), none);
    }
    assert_eq!(gateway.get(LINK, &token).await.json(), none);
    assert_eq!(gateway.get(INFO, &token_of(&made)).await.status, 401, "at once, although it was remembered");
}

#[tokio::test]
async fn the_database_holds_no_link_in_clear() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let link = mint(&gateway, &token).await;
    for table in ["api_token", "link", "kept_secret", "audit_log"] {
        let query = sqlx::AssertSqlSafe(format!("SELECT string_agg(t::text, '') FROM {table} t"));
        let text: String = sqlx::query_scalar(query).fetch_one(gateway.database.pool()).await.unwrap();
        assert!(!text.contains(&link[4..30]), "{table}");
    }
}

#[tokio::test]
async fn every_parameter_that_cannot_be_used_is_named() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let ours = Origin::parse("https://app.example.com").unwrap();
    let mut conn = gateway.database.store().acquire().await.unwrap();
    account_origin::replace(&mut conn, gateway.account, &[ours]).await.unwrap();
    drop(conn);
    for ttl in [json!(299), json!(259_201), json!("30m"), json!(-1), json!(1.5)] {
        let answer = gateway.post(LINK, &token, json!({"ttl": ttl, "return_url": "x"})).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()));
        assert_eq!(answer.json()["parameters"].as_array().unwrap().len(), 2, "{}", answer.text());
    }
    for foreign in [
        "https://evil.example.com/",
        "https://app.example.com.evil.com/",
        "https://app.example.com@evil.com/",
        "https://user:word@app.example.com/",
        "http://app.example.com/",
        "https://app.example.com:8443/",
        "javascript:alert(1)",
        "data:text/html,x",
        "//app.example.com",
        "/done",
    ] {
        let answer = gateway.post(LINK, &token, json!({"return_url": foreign})).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{foreign}");
        assert!(!answer.text().contains("evil"), "what was given is not echoed");
    }
    for own in ["https://app.example.com", "https://app.example.com/done?shop=7#top"] {
        assert_eq!(gateway.post(LINK, &token, json!({"return_url": own, "ttl": 300})).await.status, 200, "{own}");
    }
    let kept: Vec<Option<String>> = sqlx::query_scalar("SELECT return_url FROM link WHERE closed_at IS NULL")
        .fetch_all(gateway.database.pool())
        .await
        .unwrap();
    assert_eq!(kept, [Some("https://app.example.com/done?shop=7#top".to_owned())]);
}

#[tokio::test]
async fn a_new_link_closes_the_former_and_its_open_pages_go_on_for_ten_minutes() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let former = mint(&gateway, &token).await;
    assert!(opens(&gateway, id, &former).await);
    let current = mint(&gateway, &token).await;
    assert_ne!(former, current);
    assert!(!opens(&gateway, id, &former).await && opens(&gateway, id, &current).await);
    assert_eq!(token_of(&gateway.get(LINK, &token).await.json()), current);
    gateway.clock.advance(TimeDelta::seconds(599));
    assert_eq!(gateway.get(INFO, &former).await.status, 200);
    gateway.clock.advance(TimeDelta::seconds(1));
    assert_eq!(gateway.get(INFO, &former).await.error(), (401, "unauthorized".into()));
    assert_eq!(gateway.get(INFO, &current).await.status, 200);
    // What was replaced ends with the rest.
    let newest = mint(&gateway, &token).await;
    end(&gateway, &token).await;
    for ended in [current, newest] {
        assert_eq!(gateway.get(INFO, &ended).await.status, 401);
    }
}

#[tokio::test]
async fn links_that_are_made_at_once_leave_one_open() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let answers = futures_util::future::join_all((0..10).map(|_| gateway.post(LINK, &token, json!({})))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let open: i64 = sqlx::query_scalar("SELECT count(*) FROM link WHERE closed_at IS NULL")
        .fetch_one(gateway.database.pool())
        .await
        .unwrap();
    assert_eq!(open, 1);
    let shown = gateway.get(LINK, &token).await.json();
    assert!(answers.iter().any(|answer| answer.json() == shown));
}

#[tokio::test]
async fn a_link_takes_the_scope_link_and_no_link_token() {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    for (seed, scope, status) in [(91, Scope::Link, 200), (92, Scope::Read, 403), (93, Scope::Control, 403)] {
        let token = key(TokenKind::Instance, seed);
        gateway.add_token(&token, Holder::Instance(gateway.account, created.id), &[scope], None).await;
        for method in ["GET", "POST", "DELETE"] {
            let answer = Answer::of(gateway.request(method, LINK).bearer_auth(token.expose())).await;
            assert_eq!(answer.status, status, "{method} {scope:?}");
        }
    }
    let answer = Answer::of(gateway.request("PUT", LINK).bearer_auth(&created.token)).await;
    assert_eq!((answer.status.as_u16(), answer.header("allow")), (405, "GET, HEAD, POST, DELETE"));
}

#[tokio::test]
async fn a_linked_instance_needs_no_link() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    gateway.script.link(id);
    let answer = gateway.post(LINK, &token, json!({})).await;
    assert_eq!(answer.error(), (422, "already_linked".into()));
    assert_eq!((&answer.json()["recovering"], answer.header("retry-after")), (&json!(false), ""));
    assert_eq!(gateway.get(LINK, &token).await.json(), json!({"link": null, "expires_at": null}));
}

#[tokio::test]
async fn a_link_token_shows_codes_and_how_it_stands_and_nothing_else() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let link = mint(&gateway, &token).await;
    gateway.script.show_code(id, VALUE, 2, later(gateway.now(), 17));
    for route in [QR, "/v2/auth/qr-image"] {
        assert_eq!(gateway.get(route, &link).await.status, 200, "{route}");
    }
    let expires_at = later(gateway.now(), 17).timestamp_millis();
    let told = json!({
        "status": "SCAN_QR_CODE", "reason": null, "me": null,
        "qr": {"expires_at": expires_at, "attempt": 2, "max_attempts": 6},
    });
    assert_eq!(gateway.get(INFO, &link).await.json(), told);
    assert_eq!(gateway.post(INFO, &link, json!({"wait_for": "SCAN_QR_CODE", "timeout": 1})).await.status, 200);
    for (method, route) in [
        ("GET", "/v2/session/me"),
        ("GET", LINK),
        ("POST", LINK),
        ("DELETE", LINK),
        ("POST", "/v2/session/start"),
        ("POST", "/v2/session/stop"),
        ("POST", "/v2/session/restart"),
        ("POST", "/v2/session/logout"),
        ("POST", "/v2/session/delete"),
        ("POST", "/v2/session/create"),
        ("GET", "/v2/session/list"),
        ("GET", "/v2/audit"),
    ] {
        let answer = Answer::of(gateway.request(method, route).bearer_auth(&link)).await;
        assert_eq!(answer.error(), (403, "forbidden".into()), "{method} {route}");
    }
    let sibling = gateway.create().await;
    let answer = gateway.get(&format!("{INFO}?instance_id={}", sibling.id), &link).await;
    assert_eq!(answer.error(), (404, "session_not_found".into()));
}

#[tokio::test]
async fn once_linked_a_link_tells_only_that_for_ten_minutes() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let answer = gateway.post(LINK, &token, json!({"ttl": 7_200})).await;
    let link = token_of(&answer.json());
    gateway.script.show_code(id, VALUE, 1, later(gateway.now(), 60));
    assert_eq!(gateway.get(QR, &link).await.status, 200);
    gateway.clock.advance(TimeDelta::seconds(30));
    become_linked(&gateway, id).await;

    let told = json!({"status": "WORKING", "reason": null, "qr": null, "me": {"number": "2010*****678"}});
    assert_eq!(gateway.get(INFO, &link).await.json(), told);
    assert_eq!(gateway.get(QR, &link).await.error(), (422, "already_linked".into()));
    assert_eq!(gateway.get(LINK, &token).await.json(), json!({"link": null, "expires_at": null}));

    // The phone's owner removes the device again: the link that was used links nothing a second time.
    gateway.script.set(id, |view| (view.linked, view.me, view.status) = (false, None, Status::Failed));
    gateway.script.show_code(id, VALUE, 1, later(gateway.now(), 60));
    for route in [QR, "/v2/auth/qr-image"] {
        assert_eq!(gateway.get(route, &link).await.error(), (403, "forbidden".into()), "{route}");
        assert_eq!(gateway.get(route, &token).await.status, 200, "others may");
    }
    assert_eq!(gateway.get(INFO, &link).await.json()["me"], Value::Null);

    // What is remembered of a token is read again within a minute.
    gateway.advance_ticks(std::time::Duration::from_mins(1));
    gateway.clock.advance(TimeDelta::seconds(599));
    assert_eq!(gateway.get(INFO, &link).await.status, 200);
    gateway.clock.advance(TimeDelta::seconds(1));
    assert_eq!(gateway.get(INFO, &link).await.error(), (401, "unauthorized".into()));
}

#[tokio::test]
async fn a_logout_ends_the_link() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let link = mint(&gateway, &token).await;
    assert_eq!(gateway.post("/v2/session/logout", &token, json!({})).await.status, 200);
    assert_eq!(gateway.get(INFO, &link).await.error(), (401, "unauthorized".into()));
    assert_eq!(gateway.get(LINK, &token).await.json()["link"], Value::Null);
}
