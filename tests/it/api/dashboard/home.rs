//! The way in without a key, from the gateway's own machine.

use uuid::Uuid;

use super::Browser;
use crate::api::gateway::{Answer, Gateway};

const HOME: &str = "http://127.0.0.1:8080";

async fn with(account: &str, public_url: &str) -> Gateway {
    Gateway::with(|config| {
        config.dashboard.loopback_account = account.into();
        config.server.public_url = public_url.into();
    })
    .await
}

/// The account of every test's gateway.
fn ours() -> String {
    Uuid::from_u128(1).to_string()
}

#[tokio::test]
async fn it_is_shut_unless_the_operator_opens_it() {
    let gateway = with("", HOME).await;
    assert_eq!(Answer::of(gateway.request("GET", "/api/qr")).await.status, 401);
    let browser = Browser::at(&gateway, HOME);
    assert!(!browser.get("/dashboard/sign-in").await.text().contains("Go on as"));
    assert_eq!(browser.submit("/dashboard/sign-in/loopback", &[]).await.status, 401);
}

#[tokio::test]
async fn it_lets_a_browser_of_this_machine_in() {
    let gateway = with(&ours(), HOME).await;
    let mut browser = Browser::at(&gateway, HOME);
    assert!(browser.get("/dashboard/sign-in").await.text().contains("Go on as shop"));
    assert_eq!(
        browser.get("/dashboard").await.header("location"),
        "/dashboard/sign-in",
        "nobody enters by a mere visit"
    );
    let answer = browser.submit("/dashboard/sign-in/loopback", &[]).await;
    assert_eq!(answer.header("location"), "/dashboard");
    browser.take_cookie(&answer);
    assert_eq!(browser.get("/dashboard/v2/account").await.json()["name"], "shop");
    let qr = Answer::of(gateway.request("GET", "/api/qr")).await;
    assert_eq!((qr.status.as_u16(), qr.header("content-type")), (200, "image/png"));
    assert_eq!(Answer::of(gateway.request("GET", "/v2/account")).await.status, 401, "the API wants a token as ever");
}

#[tokio::test]
async fn it_is_shut_to_whatever_may_come_from_elsewhere() {
    let gateway = with(&ours(), HOME).await;
    for (name, value) in [
        ("host", "wa.example.com"),
        ("host", "evil.example.com:8080"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-real-ip", "127.0.0.1"),
        ("forwarded", "for=127.0.0.1"),
        ("via", "1.1 proxy"),
    ] {
        let qr = Answer::of(gateway.request("GET", "/api/qr").header(name, value)).await;
        assert_eq!(qr.status, 401, "{name}: {value}");
        let sign_in = gateway.request("POST", "/dashboard/sign-in/loopback").header("origin", HOME).header(name, value);
        assert_eq!(Answer::of(sign_in).await.status, 401, "{name}: {value}");
    }
    let foreign = gateway.request("POST", "/dashboard/sign-in/loopback").header("origin", "http://evil.example.com");
    assert_eq!(Answer::of(foreign).await.error(), (403, "foreign_page".into()));
}

#[tokio::test]
async fn it_is_shut_where_the_gateway_has_a_public_address() {
    let gateway = with(&ours(), "https://wa.example.com").await;
    assert_eq!(Answer::of(gateway.request("GET", "/api/qr")).await.status, 401);
}
