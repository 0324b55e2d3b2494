//! Signing a phone in by a QR.

use chrono::TimeDelta;
use serde_json::json;
use uuid::Uuid;
use wagate::domain::account::AccountId;
use wagate::domain::token::{Token, TokenKind};

use super::Browser;
use crate::api::gateway::{Answer, Gateway, key};

/// What the code holds, after its address.
fn token_of(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text());
    let text = crate::support::decode::png(&answer.body);
    let token = text.strip_prefix("https://wa.example.com/dashboard/pair#token=").unwrap_or_else(|| panic!("{text}"));
    assert_eq!(Token::parse(token).unwrap().kind(), TokenKind::Pairing);
    token.to_owned()
}

#[tokio::test]
async fn the_code_needs_a_credential() {
    let gateway = Gateway::start().await;
    for path in ["/api/qr", "/api/v1/qr"] {
        assert_eq!(Answer::of(gateway.request("GET", path)).await.error(), (401, "unauthorized".into()), "{path}");
        let forged = gateway
            .request("GET", path)
            .header("cookie", format!("__Host-wagate={}", key(TokenKind::Session, 1).expose()));
        assert_eq!(Answer::of(forged).await.status, 401, "{path}");
    }
    let instance = gateway.create().await;
    assert_eq!(gateway.get("/api/qr", &instance.token).await.error(), (403, "forbidden".into()));
    assert!(gateway.audit().await.iter().all(|(action, ..)| action != "sign_in_qr.shown"));
}

#[tokio::test]
async fn a_phone_that_scans_it_sees_the_account_and_signs_in_with_a_tap() {
    let gateway = Gateway::start().await;
    let desk = Browser::signed_in(&gateway, gateway.key.expose()).await;
    let answer = desk.get("/api/qr").await;
    assert_eq!((answer.header("content-type"), answer.header("cache-control")), ("image/png", "no-store"));
    assert_eq!(answer.header("cross-origin-resource-policy"), "same-origin");
    assert_eq!(gateway.audit().await.last().unwrap().0, "sign_in_qr.shown");
    let token = token_of(&answer);
    let kept: i64 = sqlx::query_scalar("SELECT count(*) FROM dashboard_pairing WHERE hash = $1")
        .bind(&Token::parse(&token).unwrap().hash().0[..])
        .fetch_one(gateway.database.pool())
        .await
        .unwrap();
    assert_eq!(kept, 1, "it is kept as a hash");

    let mut phone = Browser::new(&gateway);
    assert_eq!(phone.get("/dashboard/pair").await.status, 200);
    for _ in 0..3 {
        let seen = phone.post("/dashboard/pair/look", &json!({ "token": token })).await;
        assert_eq!((seen.status.as_u16(), &seen.json()["account"]), (200, &json!("shop")), "looking uses nothing up");
        assert_eq!(seen.header("set-cookie"), "");
    }
    let redeemed = phone.post("/dashboard/pair/redeem", &json!({ "token": token })).await;
    assert_eq!(redeemed.status, 200, "{}", redeemed.text());
    phone.take_cookie(&redeemed);
    assert_eq!(phone.get("/dashboard/v2/account").await.json()["name"], "shop");
    assert_ne!(phone.cookie(), token);

    let again = Browser::new(&gateway).post("/dashboard/pair/redeem", &json!({ "token": token })).await;
    assert_eq!(again.error(), (401, "unauthorized".into()), "a stolen token used twice");
    let looked = phone.post("/dashboard/pair/look", &json!({ "token": token })).await;
    assert_eq!(looked.status, 401);
}

#[tokio::test]
async fn a_code_ends_after_a_minute_and_with_its_key() {
    let gateway = Gateway::start().await;
    let redeem =
        async |token: String| Browser::new(&gateway).post("/dashboard/pair/redeem", &json!({ "token": token })).await;
    let token = token_of(&gateway.get("/api/qr", gateway.key.expose()).await);
    gateway.clock.advance(TimeDelta::seconds(60));
    assert_eq!(redeem(token).await.status, 401);
    let token = token_of(&gateway.get("/api/v1/qr", gateway.key.expose()).await);
    gateway.clock.advance(TimeDelta::seconds(59));
    sqlx::query("UPDATE api_token SET revoked_at = now()").execute(gateway.database.pool()).await.unwrap();
    assert_eq!(redeem(token).await.status, 401, "its key was revoked");
}

#[tokio::test]
async fn a_code_signs_in_to_the_account_that_made_it_whoever_scans_it() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 70);
    gateway.add_account(AccountId(Uuid::from_u128(2)), &stranger, |account| account.name = "other".into()).await;
    let token = token_of(&gateway.get("/api/qr", stranger.expose()).await);
    let mut phone = Browser::signed_in(&gateway, gateway.key.expose()).await;
    let seen = phone.post("/dashboard/pair/look", &json!({ "token": token })).await;
    assert_eq!(seen.json()["account"], "other", "whose account it is can be seen before the tap");
    let redeemed = phone.post("/dashboard/pair/redeem", &json!({ "token": token })).await;
    phone.take_cookie(&redeemed);
    assert_eq!(phone.get("/dashboard/v2/account").await.json()["name"], "other");
}

#[tokio::test]
async fn a_pairing_token_is_good_for_nothing_else() {
    let gateway = Gateway::start().await;
    let token = token_of(&gateway.get("/api/qr", gateway.key.expose()).await);
    assert_eq!(gateway.get("/v2/account", &token).await.status, 401);
    let cookie = gateway.request("GET", "/dashboard/v2/account").header("cookie", format!("__Host-wagate={token}"));
    assert_eq!(Answer::of(cookie).await.status, 401);
    let form = Browser::new(&gateway).submit("/dashboard/sign-in", &[("access_token", &token)]).await;
    assert_eq!(form.status, 401);
    let query = Browser::new(&gateway).post(&format!("/dashboard/pair/redeem?token={token}"), &json!({})).await;
    assert_eq!(query.status, 401, "in an address it would stay in a history");
    let evil = gateway.request("POST", "/dashboard/pair/redeem").header("origin", "https://evil.example.com");
    assert_eq!(Answer::of(evil.json(&json!({ "token": token }))).await.error(), (403, "foreign_page".into()));
    let redeemed = Browser::new(&gateway).post("/dashboard/pair/redeem", &json!({ "token": token })).await;
    assert_eq!(redeemed.status, 200, "none of it used it up");
}

#[tokio::test]
async fn a_head_makes_no_code() {
    let gateway = Gateway::start().await;
    let answer = Answer::of(gateway.request("HEAD", "/api/qr").bearer_auth(gateway.key.expose())).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "image/png"));
    let made: i64 =
        sqlx::query_scalar("SELECT count(*) FROM dashboard_pairing").fetch_one(gateway.database.pool()).await.unwrap();
    assert_eq!(made, 0);
}
