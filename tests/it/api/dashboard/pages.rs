//! The pages themselves.

use serde_json::json;
use wagate::domain::token::TokenKind;

use super::Browser;
use crate::api::gateway::{Gateway, key};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

#[tokio::test]
async fn every_page_is_drawn_guarded_and_without_a_secret() {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    let hook = json!({ "url": "https://example.com/hook?key=hidden", "instance_id": created.id });
    let hook = gateway.post("/v2/webhooks", gateway.key.expose(), hook).await.json();
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    let instance = format!("/dashboard/instances/{}", created.id);
    let webhook = format!("/dashboard/webhooks/{}", hook["webhook_id"].as_str().unwrap());
    let pages = [
        "/dashboard",
        "/dashboard/",
        "/dashboard?status=WORKING",
        &instance,
        "/dashboard/webhooks",
        &webhook,
        "/dashboard/keys",
        "/dashboard/usage",
        "/dashboard/audit",
        "/dashboard/audit?action=instance.created",
        "/dashboard/sign-in",
        "/dashboard/pair",
    ];
    let link = gateway.post("/v2/session/temp-link", &created.token, json!({})).await.json();
    let link = link["link"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    let secrets = [gateway.key.expose(), &created.token, browser.cookie(), hook["secret"].as_str().unwrap(), &link]
        .map(str::to_owned);
    for path in pages {
        let page = browser.get(path).await;
        let text = page.text();
        assert_eq!(page.status, 200, "{path}: {text}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert_eq!(page.header("content-security-policy"), POLICY, "{path}");
        for (name, value) in [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "no-referrer"),
            ("cross-origin-opener-policy", "same-origin"),
        ] {
            assert_eq!(page.header(name), value, "{path} {name}");
        }
        for secret in &secrets {
            assert!(!text.contains(secret.as_str()), "{path} holds a secret");
        }
        assert!(!text.contains("style=\"") && !text.contains("onclick") && !text.contains("<script>"), "{path}");
        for asset in text.split('"').filter(|part| part.starts_with("/assets/")) {
            let asset = browser.get(asset).await;
            assert_eq!(asset.status, 200, "{path}");
            assert!(asset.header("cache-control").contains("immutable"), "{path}");
        }
    }
}

#[tokio::test]
async fn what_people_call_things_is_text_on_a_page() {
    let gateway = Gateway::start().await;
    let name = r#"<img src=x onerror=alert(1)>"'&"#;
    let created =
        gateway.post("/v2/session/create", gateway.key.expose(), json!({ "name": name, "start": false })).await;
    let id = created.json()["instance_id"].as_str().unwrap().to_owned();
    let browser = Browser::signed_in(&gateway, gateway.key.expose()).await;
    for path in ["/dashboard".to_owned(), format!("/dashboard/instances/{id}")] {
        let text = browser.get(&path).await.text();
        assert!(!text.contains("<img src=x") && text.contains("&#60;img src=x"), "{path}");
    }
}

#[tokio::test]
async fn whoever_is_not_signed_in_is_led_to_the_door_and_a_dead_cookie_is_taken_back() {
    let gateway = Gateway::start().await;
    let mut browser = Browser::new(&gateway);
    for path in [
        "/dashboard",
        "/dashboard/instances/7K2M9QX4T0AB",
        "/dashboard/webhooks",
        "/dashboard/keys",
        "/dashboard/audit",
    ] {
        let answer = browser.get(path).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/dashboard/sign-in"), "{path}");
    }
    assert_eq!(browser.get("/dashboard/sign-in").await.header("set-cookie"), "");
    browser.cookie = Some(key(TokenKind::Session, 3).expose().to_owned());
    assert!(browser.get("/dashboard/sign-in").await.header("set-cookie").ends_with("Max-Age=0"));
    assert_eq!(browser.get("/dashboard/nowhere").await.status, 404);
}

#[tokio::test]
async fn a_gateway_that_browsers_keep_no_cookie_of_says_so() {
    let gateway = Gateway::with(|config| config.server.public_url = "http://192.168.1.5:8080".into()).await;
    let text = Browser::at(&gateway, "http://192.168.1.5:8080").get("/dashboard/sign-in").await.text();
    assert!(text.contains("only over https"), "{text}");
}

#[tokio::test]
async fn an_asset_is_kept_under_its_hash_and_asked_for_again_under_its_name() {
    let gateway = Gateway::start().await;
    let browser = Browser::new(&gateway);
    let by_name = browser.get("/assets/call.js").await;
    assert_eq!((by_name.status.as_u16(), by_name.header("cache-control")), (200, "public, no-cache"));
    assert_eq!(by_name.header("content-type"), "text/javascript; charset=utf-8");
    let again = gateway.request("GET", "/assets/call.js").header("if-none-match", by_name.header("etag"));
    assert_eq!(crate::api::gateway::Answer::of(again).await.status, 304);
    assert_eq!(browser.get("/assets/../Cargo.toml").await.status, 404);
}
