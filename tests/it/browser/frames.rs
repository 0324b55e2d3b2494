//! The link page among other pages: who may frame it, what they are told, and what leaves it.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_util::task::AbortOnDropHandle;

use super::Browser;
use super::link::{gateway, linkable, scan, stands_at};
use crate::support::gateway::Gateway;
use crate::support::wait::until;

/// The site of a customer: one page, at every address.
struct Site {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Site {
    async fn start(body: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let accepting = tokio::spawn(async move {
            loop {
                let (mut socket, _) = listener.accept().await.unwrap();
                let (seen, body) = (Arc::clone(&seen), body.clone());
                tokio::spawn(async move {
                    let mut head = Vec::new();
                    while !head.ends_with(b"\r\n\r\n") {
                        // A browser opens connections that it may not use.
                        let Ok(byte) = socket.read_u8().await else { return };
                        head.push(byte);
                    }
                    seen.lock().push(String::from_utf8_lossy(&head).to_lowercase());
                    let answer = format!(
                        "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                        body.len()
                    );
                    let _ = socket.write_all(answer.as_bytes()).await;
                });
            }
        });
        Self { address, heads, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// One that frames a page and keeps what it is told.
    async fn framing(page: &str) -> Self {
        let script = "window.told = []; addEventListener('message', (event) => told.push([event.origin, event.data]))";
        Self::start(format!("<!doctype html><script>{script}</script><iframe src='{page}'></iframe>")).await
    }

    fn origin(&self) -> String {
        format!("http://{}", self.address)
    }
}

async fn allow(gateway: &Gateway, origins: &[&str]) {
    let (status, body) = gateway.client.post("/v2/account", &json!({ "allowed_origins": origins })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
}

/// Waits until the browser complains of something.
async fn complains(browser: &Browser, of: &str) {
    until(&format!("the browser complains of {of}"), || async {
        browser.console().await.join("\n").contains(of).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_account_lists_frames_it_and_is_told_how_it_goes_on() {
    let gateway = gateway(|_| {}).await;
    let (instance, page) = linkable(&gateway).await;
    let site = Site::framing(&page).await;
    allow(&gateway, &[&site.origin()]).await;
    let browser = Browser::start().await;
    browser.go(&site.origin()).await;
    let told = |phase: &str| {
        let wanted = format!("origin === '{}' && data.source === 'wagate' && data.phase === '{phase}'", gateway.url);
        format!("window.told?.some(([origin, data]) => {wanted})")
    };
    browser.until(&told("ready")).await;
    let number = gateway.network.phone().await;
    gateway.client.scan(&gateway.network, &instance, &number).await;
    browser.until(&told("linked")).await;
    let all = browser.run("return JSON.stringify(window.told)").await;
    assert!(!all.as_str().unwrap().contains(&number) && !all.as_str().unwrap().contains("wgl_"), "{all}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_the_account_does_not_list_frames_nothing_and_hears_nothing() {
    let gateway = gateway(|_| {}).await;
    let (_, page) = linkable(&gateway).await;
    let site = Site::framing(&page).await;
    allow(&gateway, &["https://app.example.com"]).await;
    let browser = Browser::start().await;
    browser.go(&site.origin()).await;
    complains(&browser, "frame-ancestors").await;
    assert_eq!(browser.run("return window.told").await, json!([]));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_script_that_is_not_the_gateways_does_not_run_on_it() {
    let gateway = gateway(|_| {}).await;
    let (_, page) = linkable(&gateway).await;
    let browser = Browser::start().await;
    browser.go(&page).await;
    browser
        .run(
            "const script = document.createElement('script'); script.textContent = 'window.broken = true';
             const image = document.createElement('img'); image.setAttribute('onerror', 'window.broken = true');
             image.src = '/nowhere'; document.body.append(script, image)",
        )
        .await;
    complains(&browser, "Content Security Policy").await;
    assert_eq!(browser.run("return window.broken ?? null").await, Value::Null);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_stands_in_the_pages_own_path_and_nowhere_else() {
    let gateway = gateway(|_| {}).await;
    let site = Site::start("<!doctype html><title>Back at the shop</title>".into()).await;
    allow(&gateway, &[&site.origin()]).await;
    let (status, created) = gateway.client.post("/v2/session/create", &json!({ "name": "shop" })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let asked = json!({ "instance_id": created["instance_id"], "return_url": format!("{}/done", site.origin()) });
    let (status, shown) = gateway.client.post("/v2/session/temp-link", &asked).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let page = shown["link"].as_str().unwrap();

    let browser = Browser::start().await;
    browser.go(page).await;
    browser.click("section:not([hidden]) [data-show]").await;
    scan(&gateway, &browser).await;
    stands_at(&browser, "linked").await;
    let asked = browser.run("return performance.getEntries().map((entry) => entry.name)").await;
    let token = page.rsplit_once('/').unwrap().1;
    for address in asked.as_array().unwrap().iter().filter_map(Value::as_str).filter(|name| name.contains(token)) {
        let rest = address.strip_prefix(page).unwrap_or_else(|| panic!("{address}"));
        assert!(["", "/events", "/events?show=true"].contains(&rest), "{address}");
    }
    browser.until("document.title === 'Back at the shop'").await;
    assert_eq!(browser.run("return document.referrer").await, "");
    let heads = site.heads.lock().clone();
    // The browser asks this site for an icon too, and says from which of its pages.
    let arrival = heads.iter().find(|head| head.starts_with("get /done ")).expect("the visitor was led back");
    assert!(!arrival.contains("referer"), "{arrival}");
    assert!(!heads.join("\n").contains("wgl_"), "{heads:?}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_is_led_to_no_origin_that_the_account_has_taken_off_its_list() {
    let gateway = gateway(|_| {}).await;
    let site = Site::start("<!doctype html><title>Back at the shop</title>".into()).await;
    allow(&gateway, &[&site.origin()]).await;
    let instance = gateway.client.create("shop").await;
    let asked = json!({ "instance_id": instance, "return_url": format!("{}/done", site.origin()) });
    let (status, shown) = gateway.client.post("/v2/session/temp-link", &asked).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let browser = Browser::start().await;
    let page = shown["link"].as_str().unwrap();
    browser.go(page).await;
    browser.click("section:not([hidden]) [data-show]").await;
    // It is open, and has the way back in it.
    allow(&gateway, &[]).await;
    scan(&gateway, &browser).await;
    stands_at(&browser, "linked").await;
    browser.shows("[data-linked]", "You can close this page now").await;
    browser.until("document.querySelector('[data-return]').checkVisibility() === false").await;

    browser.go(page).await;
    stands_at(&browser, "linked").await;
    browser.shows("[data-linked]", "You can close this page now").await;
    assert_eq!(browser.run("return document.querySelector('[data-return]')").await, Value::Null);
    let whole = browser.run("return document.documentElement.outerHTML").await;
    assert!(!whole.as_str().unwrap().contains(&site.origin()), "without a way there, a script has none either");
    gateway.stop().await;
}
