//! Signing in with a key, what the cookie is good for, signing out.

use std::time::Duration;

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;
use wagate::domain::account::AccountId;
use wagate::domain::token::{Token, TokenKind};
use wagate::store::token::Holder;

use super::Browser;
use crate::api::gateway::{Answer, Gateway, key};

#[tokio::test]
async fn a_key_is_exchanged_for_a_cookie_that_only_this_host_and_no_script_can_have() {
    let gateway = Gateway::start().await;
    let browser = Browser::new(&gateway);
    let answer = browser.submit("/dashboard/sign-in", &[("access_token", gateway.key.expose())]).await;
    let set = answer.header("set-cookie");
    let (_, attributes) = set.split_once(';').unwrap();
    assert!(set.starts_with("__Host-wagate=wgs_"), "{set}");
    assert_eq!(attributes.trim(), "Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=43200");
    assert_eq!(answer.header("cache-control"), "no-store");
    let shown = format!("{:?}{}", answer.headers, answer.text());
    assert!(!shown.contains(gateway.key.expose()), "the key comes back");
    let audit = gateway.audit().await;
    assert_eq!(audit.last().unwrap().0, "dashboard.signed_in");
}

#[tokio::test]
async fn the_cookie_is_kept_as_a_hash_only() {
    let gateway = Gateway::start().await;
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    let row: String = sqlx::query_scalar("SELECT row_to_json(s)::text FROM dashboard_session s")
        .fetch_one(gateway.database.pool())
        .await
        .unwrap();
    assert!(!row.contains(&browser.cookie()[4..20]), "{row}");
    let hash = Token::parse(browser.cookie()).unwrap().hash();
    let kept: Vec<u8> =
        sqlx::query_scalar("SELECT hash FROM dashboard_session").fetch_one(gateway.database.pool()).await.unwrap();
    assert_eq!(kept, hash.0);
}

#[tokio::test]
async fn the_cookie_opens_the_dashboards_routes_and_none_of_the_apis() {
    let gateway = Gateway::start().await;
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    assert_eq!(browser.get("/dashboard/v2/session/list").await.status, 200);
    assert_eq!(browser.get("/v2/session/list").await.status, 401);
    for place in ["authorization", "x-api-key", "access-token"] {
        let value =
            if place == "authorization" { format!("Bearer {}", browser.cookie()) } else { browser.cookie().into() };
        let answer = Answer::of(gateway.request("GET", "/v2/session/list").header(place, value)).await;
        assert_eq!(answer.error(), (401, "unauthorized".into()), "{place}");
    }
    let path = format!("/v2/session/list?access_token={}", browser.cookie());
    assert_eq!(Answer::of(gateway.request("GET", &path)).await.status, 401);
    // Nor is a token good for what is the cookie's.
    assert_eq!(gateway.get("/dashboard/v2/session/list", gateway.key.expose()).await.status, 401);
    assert_eq!(gateway.get("/dashboard/keys", gateway.key.expose()).await.header("location"), "/dashboard/sign-in");
}

#[tokio::test]
async fn what_a_page_does_is_what_the_api_does() {
    let gateway = Gateway::start().await;
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    let created = browser.post("/dashboard/v2/session/create", &json!({ "name": "shop-7", "start": false })).await;
    assert_eq!(created.status, 201, "{}", created.text());
    let id = created.json()["instance_id"].clone();
    let info = gateway.post("/v2/session/info", gateway.key.expose(), json!({ "instance_id": id })).await.json();
    assert_eq!(info["name"], "shop-7");
    let refused = browser.post("/dashboard/v2/session/info", &json!({})).await;
    assert_eq!(refused.error(), (400, "missing_parameter".into()));
    let deleted = browser.post("/dashboard/v2/session/delete", &json!({ "instance_id": id })).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
}

#[tokio::test]
async fn a_request_that_is_no_page_of_ours_is_refused_whatever_it_wants_to_change() {
    let gateway = Gateway::start().await;
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    let cookie = format!("__Host-wagate={}", browser.cookie());
    let evil = "https://evil.example.com";
    let cases: &[&[(&str, &str)]] = &[
        &[],
        &[("origin", evil)],
        &[("origin", "null")],
        &[("origin", evil), ("sec-fetch-site", "cross-site")],
        &[("origin", super::ORIGIN), ("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
    ];
    for headers in cases {
        for path in ["/dashboard/v2/session/create", "/dashboard/sign-out", "/dashboard/v2/account/keys"] {
            let request = gateway.request("POST", path).header("cookie", &cookie).json(&json!({}));
            let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
            assert_eq!(Answer::of(request).await.error(), (403, "foreign_page".into()), "{path} {headers:?}");
        }
        let request = gateway.request("POST", "/dashboard/sign-in").header("x-api-key", gateway.key.expose());
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        assert_eq!(Answer::of(request).await.error(), (403, "foreign_page".into()), "{headers:?}");
    }
    let embedded = gateway.request("GET", "/dashboard/v2/session/list").header("cookie", &cookie);
    let embedded =
        Answer::of(embedded.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "no-cors")).await;
    assert_eq!(embedded.error(), (403, "foreign_page".into()));
    assert_eq!(browser.get("/dashboard/v2/session/list").await.status, 200, "the session went with it");
}

#[tokio::test]
async fn pages_of_listed_origins_may_not_read_what_is_the_cookies() {
    let gateway = Gateway::start().await;
    let origins = json!({ "allowed_origins": ["https://app.example.com"] });
    gateway.post("/v2/account", gateway.key.expose(), origins).await;
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    let answer =
        Answer::of(browser.request("GET", "/dashboard/v2/session/list").header("origin", "https://app.example.com"));
    assert_eq!(answer.await.header("access-control-allow-origin"), "");
}

#[tokio::test]
async fn a_strangers_session_sees_nothing_of_another_account() {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    let stranger = key(TokenKind::Account, 70);
    gateway.add_account(AccountId(Uuid::from_u128(2)), &stranger, |account| account.name = "other".into()).await;
    let browser = Browser::signed_in(&gateway, stranger.expose()).await;
    let list = browser.get("/dashboard").await;
    assert!(list.text().contains("No instance yet") && !list.text().contains(created.id.as_str()));
    let page = browser.get(&format!("/dashboard/instances/{}", created.id)).await;
    let absent = browser.get("/dashboard/instances/ZZZZZZZZZZZZ").await;
    assert_eq!((page.status.as_u16(), page.text()), (404, absent.text()), "it differs from an instance that never was");
    let info = browser.post("/dashboard/v2/session/info", &json!({ "instance_id": created.id })).await;
    assert_eq!(info.error(), (404, "session_not_found".into()));
    let sessions = browser.get("/dashboard/keys").await.text();
    assert!(!sessions.contains(gateway.key.last4()), "another account's key");
}

#[tokio::test]
async fn revoking_its_key_ends_a_session_at_once() {
    let gateway = Gateway::start().await;
    let second = key(TokenKind::Account, 71);
    let id = gateway.add_token(&second, Holder::Account(gateway.account), &[], None).await;
    let browser = Browser::signed_in(&gateway, second.expose()).await;
    assert_eq!(browser.get("/dashboard/v2/account").await.status, 200);
    let revoke = gateway.request("DELETE", "/v2/account/keys").bearer_auth(gateway.key.expose());
    assert_eq!(Answer::of(revoke.json(&json!({ "token_id": id }))).await.status, 200);
    assert_eq!(browser.get("/dashboard/v2/account").await.status, 401);
    let page = browser.get("/dashboard").await;
    assert_eq!((page.status.as_u16(), page.header("location")), (303, "/dashboard/sign-in"));
}

#[tokio::test]
async fn a_session_ends_after_twelve_hours() {
    let gateway = Gateway::start().await;
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    gateway.clock.advance(TimeDelta::hours(12) - TimeDelta::seconds(1));
    assert_eq!(browser.get("/dashboard/v2/account").await.status, 200);
    gateway.clock.advance(TimeDelta::seconds(1));
    assert_eq!(browser.get("/dashboard/v2/account").await.status, 401);
}

#[tokio::test]
async fn signing_out_ends_this_session_and_everywhere_ends_all_of_them() {
    let gateway = Gateway::start().await;
    let [first, second, third] = [(); 3].map(|()| async { Browser::signed_in(&gateway, gateway.key.expose()).await });
    let (first, second, third) = (first.await, second.await, third.await);
    let answer = first.submit("/dashboard/sign-out", &[]).await;
    assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/dashboard/sign-in"));
    assert_eq!(answer.header("clear-site-data"), "\"cache\"");
    assert!(answer.header("set-cookie").ends_with("Max-Age=0"), "{}", answer.header("set-cookie"));
    assert_eq!(first.get("/dashboard/v2/account").await.status, 401, "the cookie outlives its session");
    assert_eq!(second.get("/dashboard/v2/account").await.status, 200);
    second.submit("/dashboard/sign-out", &[("everywhere", "true")]).await;
    for browser in [&second, &third] {
        assert_eq!(browser.get("/dashboard/v2/account").await.status, 401);
    }
    let audit = gateway.audit().await;
    assert_eq!(audit.iter().filter(|(action, ..)| action == "dashboard.signed_out").count(), 2);
}

#[tokio::test]
async fn failures_to_sign_in_drain_the_bucket_of_failed_credentials() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 3).await;
    let browser = Browser::new(&gateway);
    let guess = key(TokenKind::Account, 80);
    for _ in 0..3 {
        let answer = browser.submit("/dashboard/sign-in", &[("access_token", guess.expose())]).await;
        assert_eq!(answer.status, 401);
        assert!(answer.text().contains("This key opens nothing") && !answer.text().contains(guess.expose()));
    }
    assert!(browser.submit("/dashboard/sign-in", &[("access_token", "x")]).await.text().contains("Too many requests"));
    assert_eq!(gateway.get("/v2/account", guess.expose()).await.status, 429, "the API's failures are the same");
    Browser::signed_in(&gateway, gateway.key.expose()).await;
    gateway.advance_ticks(Duration::from_mins(1));
    // To look at a page without a cookie is no guess.
    for _ in 0..10 {
        assert_eq!(browser.get("/dashboard").await.header("location"), "/dashboard/sign-in");
    }
    assert_eq!(gateway.get("/v2/account", guess.expose()).await.status, 401);
}

#[tokio::test]
async fn an_account_is_told_that_somebody_tried_a_key_of_its_that_has_ended() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 4).await;
    let [expired, revoked, stranger] = [81, 82, 83].map(|seed| key(TokenKind::Account, seed));
    let end = gateway.now() + TimeDelta::minutes(1);
    gateway.add_token(&expired, Holder::Account(gateway.account), &[], Some(end)).await;
    let id = gateway.add_token(&revoked, Holder::Account(gateway.account), &[], None).await;
    let revoke = gateway.request("DELETE", "/v2/account/keys").bearer_auth(gateway.key.expose());
    assert_eq!(Answer::of(revoke.json(&json!({ "token_id": id }))).await.status, 200);
    gateway.clock.advance(TimeDelta::minutes(1));
    let browser = Browser::new(&gateway);
    let mut refusals = Vec::new();
    for key in [&expired, &revoked, &stranger, &revoked, &revoked] {
        let answer = browser.submit("/dashboard/sign-in", &[("access_token", key.expose())]).await;
        assert_eq!(answer.status, 401);
        refusals.push(answer.text());
    }
    assert!(refusals[0] == refusals[1] && refusals[1] == refusals[2], "whoever guesses is told which keys there were");
    assert!(refusals[4].contains("Too many requests"), "{}", refusals[4]);

    let log = gateway.get("/v2/audit?action=dashboard.sign_in_refused", gateway.key.expose()).await.json();
    let mut told = Vec::new();
    for entry in log["entries"].as_array().unwrap() {
        assert_eq!((&entry["actor"]["kind"], &entry["address"]), (&json!("account"), &json!("127.0.0.1")));
        told.push((entry["actor"]["last4"].clone(), entry["detail"]["key"].clone()));
    }
    // The newest first. The last one was refused for its address's mistakes, and no more of it is written down.
    let lines = [(&revoked, "revoked"), (&revoked, "revoked"), (&expired, "expired")];
    assert_eq!(told, lines.map(|(key, why)| (json!(key.last4()), json!(why))));
}

#[tokio::test]
async fn a_key_in_an_address_signs_nobody_in() {
    let gateway = Gateway::start().await;
    let path = format!("/dashboard/sign-in?access_token={}", gateway.key.expose());
    let answer = Browser::new(&gateway).submit(&path, &[]).await;
    assert_eq!(answer.status, 401);
    for kind in [TokenKind::Instance, TokenKind::Operator, TokenKind::Link, TokenKind::Session] {
        let token = key(kind, 90);
        let answer = Browser::new(&gateway).submit("/dashboard/sign-in", &[("access_token", token.expose())]).await;
        assert_eq!(answer.status, 401, "{kind:?}");
    }
}
