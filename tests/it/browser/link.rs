//! The hosted link page as a customer's customer uses it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::json;
use wagate::config::Config;

use super::{Browser, Look};
use crate::support::decode;
use crate::support::gateway::Gateway;
use crate::support::wait::until;

/// As narrow as a page must still work.
pub(super) const NARROW: Look = Look { width: 320, height: 700, dark: false, mobile: true, languages: "en" };

/// Notes each phase that the page comes to stand at.
const NOTE_PHASES: &str = "window.phases = [document.body.dataset.now];
     new MutationObserver(() => window.phases.push(document.body.dataset.now))
         .observe(document.body, { attributeFilter: ['data-now'] })";

/// A gateway for a browser, which keeps several connections open at once.
pub(super) async fn gateway(change: impl FnOnce(&mut Config)) -> Gateway {
    Gateway::with(|config| {
        config.server.workers = 2;
        change(config);
    })
    .await
}

/// A new instance that rests, and the address of its link page.
pub(super) async fn linkable(gateway: &Gateway) -> (String, String) {
    let (status, created) = gateway.client.post("/v2/session/create", &json!({ "name": "shop", "start": false })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    let instance = created["instance_id"].as_str().unwrap().to_owned();
    let page = page_of(gateway, &instance).await;
    (instance, page)
}

/// A new link's page.
pub(super) async fn page_of(gateway: &Gateway, instance: &str) -> String {
    let (status, shown) = gateway.client.post("/v2/session/temp-link", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    shown["link"].as_str().unwrap().to_owned()
}

pub(super) async fn stands_at(browser: &Browser, phase: &str) {
    browser.until(&format!("document.body.dataset.now === '{phase}'")).await;
}

/// Waits until a code is there for everybody to see, and nothing of the one before; where its image comes from.
pub(super) async fn code_shown(browser: &Browser) -> String {
    let images = "document.querySelectorAll('[data-codes] img')";
    let shown = format!("{images}.length === 1 && getComputedStyle({images}[0]).opacity === '1' && {images}[0].src");
    browser.until(&shown).await.as_str().unwrap().to_owned()
}

/// The page of a new link in which the code is shown.
pub(super) async fn showing(gateway: &Gateway, browser: &Browser) -> String {
    let (instance, page) = linkable(gateway).await;
    browser.go(&page).await;
    browser.click("section:not([hidden]) [data-show]").await;
    code_shown(browser).await;
    instance
}

/// A phone scans what the browser shows; its number.
pub(super) async fn scan(gateway: &Gateway, browser: &Browser) -> String {
    let number = gateway.network.phone().await;
    until("a phone has scanned the shown code", || async {
        let image = code_shown(browser).await;
        let data = image.strip_prefix("data:image/png;base64,").unwrap();
        let (status, _) = gateway.network.scan(&number, &decode::png(&STANDARD.decode(data).unwrap())).await;
        status.is_success().then_some(())
    })
    .await;
    number
}

/// The code on the screen, read by a reader from a picture of it, is the live one.
async fn is_live_on_screen(gateway: &Gateway, browser: &Browser, instance: &str) {
    until("a picture of the screen reads as the live code", || async {
        code_shown(browser).await;
        let seen = decode::png(&browser.picture_of(".codes").await);
        (seen == gateway.client.code(instance).await.0).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_comes_from_an_empty_page_to_a_linked_phone() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::start().await;
    let (instance, page) = linkable(&gateway).await;
    browser.go(&page).await;
    browser.shows("h1", "Ready when you are").await;
    browser.until("performance.getEntries().some((entry) => entry.name.endsWith('.js'))").await;
    assert_eq!(gateway.client.info(&instance).await["desired"], "stopped", "loading the page is no demand for a code");

    browser.click("section:not([hidden]) [data-show]").await;
    is_live_on_screen(&gateway, &browser, &instance).await;
    browser.shows(".how", "Android").await;
    browser.shows("[data-left]", "changes in").await;
    let number = scan(&gateway, &browser).await;
    browser.shows("h1", "Your WhatsApp is linked").await;
    browser.shows("[data-linked-number]", &number[..4]).await;
    let whole = browser.run("return document.documentElement.outerHTML").await;
    assert!(!whole.as_str().unwrap().contains(&number), "the number is masked");

    // Whoever opens it again is told the same.
    let other = Browser::looking(NARROW).await;
    other.go(&page).await;
    other.shows("h1", "Your WhatsApp is linked").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_gives_way_to_the_next_without_an_empty_frame() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::start().await;
    let instance = showing(&gateway, &browser).await;
    browser
        .run(
            "window.fewest = 1; const codes = document.querySelector('[data-codes]');
             new MutationObserver(() => window.fewest = Math.min(window.fewest, codes.children.length))
                 .observe(codes, { childList: true })",
        )
        .await;
    let first = code_shown(&browser).await;
    gateway.network.hurry(8).await;
    // What rotates is the next round's first: the live one keeps the time it was given.
    until("another code is shown", || async { (code_shown(&browser).await != first).then_some(()) }).await;
    is_live_on_screen(&gateway, &browser, &instance).await;
    assert_eq!(browser.run("return window.fewest").await, 1, "there was always a code to see");
    scan(&gateway, &browser).await;
    stands_at(&browser, "linked").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_mends_itself_asks_for_patience_and_never_says_that_it_failed() {
    let gateway = gateway(|config| {
        config.session.backoff_min = Duration::from_millis(20);
        config.session.backoff_max = Duration::from_millis(200);
        config.session.first_code_deadline = Duration::from_secs(2);
    })
    .await;
    let fault = gateway.network.fault(&json!({ "kind": "no_code" })).await;
    let browser = Browser::start().await;
    let (_, page) = linkable(&gateway).await;
    browser.go(&page).await;
    browser.run(NOTE_PHASES).await;
    browser.click("section:not([hidden]) [data-show]").await;
    browser.shows("h1", "Please wait a moment").await;
    gateway.network.mend(&fault).await;
    scan(&gateway, &browser).await;
    stands_at(&browser, "linked").await;
    let phases = browser.run("return window.phases.join(' ')").await;
    for phase in phases.as_str().unwrap().split(' ') {
        let calm = ["ready", "warming", "recovering", "scan", "pairing", "linked"];
        assert!(calm.contains(&phase), "{phases}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_has_ended_says_so_on_open_pages_and_on_new_ones() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::start().await;
    let (instance, page) = linkable(&gateway).await;
    browser.go(&page).await;
    stands_at(&browser, "ready").await;
    let it = json!({ "instance_id": instance });
    let (status, _) = gateway.client.call(Method::DELETE, "/v2/session/temp-link", &it).await;
    assert_eq!(status, StatusCode::OK);
    browser.shows("h1", "This link has ended").await;
    for address in [page.as_str(), &format!("{}/link/wgl_nonsense", gateway.url)] {
        let late = Browser::looking(NARROW).await;
        late.go(address).await;
        late.shows("h1", "This link has ended").await;
        late.shows("section p", "Ask whoever sent it for a new one").await;
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_cannot_scan_types_a_code_into_the_phone() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::looking(NARROW).await;
    let (_, page) = linkable(&gateway).await;
    browser.go(&page).await;
    browser.click("[data-code-open]").await;
    browser.write("[name=phone_number]", "12").await;
    browser.click("[data-code-form] button").await;
    browser.shows("[data-code-problem]", "not a complete phone number").await;

    let number = gateway.network.phone().await;
    browser.run("document.querySelector('[name=phone_number]').value = ''").await;
    browser.write("[name=phone_number]", &format!("+{number}")).await;
    browser.click("[data-code-form] button").await;
    let code = browser.until("document.querySelector('[data-code-value]').textContent").await;
    let (status, body) = gateway.network.post(&format!("/phones/{number}/type-code"), &json!({ "code": code })).await;
    assert!(status.is_success(), "{status} {body}");
    browser.shows("h1", "Your WhatsApp is linked").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_in_arabic_runs_from_right_to_left_and_fits_a_narrow_screen() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::looking(Look { languages: "ar-EG,ar,en", ..NARROW }).await;
    let (_, page) = linkable(&gateway).await;
    browser.go(&page).await;
    assert_eq!(browser.run("return document.documentElement.lang").await, "ar");
    assert_eq!(browser.run("return getComputedStyle(document.body).direction").await, "rtl");
    let steps = "[...document.querySelectorAll('[data-step]')].map((step) => step.getBoundingClientRect().left)";
    assert_eq!(browser.run(&format!("const x = {steps}; return x[0] > x[1] && x[1] > x[2]")).await, true);
    browser.click("section:not([hidden]) [data-show]").await;
    code_shown(&browser).await;
    assert_eq!(browser.run("return document.documentElement.scrollWidth <= innerWidth").await, true, "it is too wide");
    scan(&gateway, &browser).await;
    stands_at(&browser, "linked").await;
    // The masked middle must not make its ends change places.
    let ends = "const text = document.querySelector('[data-linked-number]').firstChild;
         const left = (at) => { const range = document.createRange(); range.setStart(text, at); range.setEnd(text, at + 1);
             return range.getBoundingClientRect().left; };
         const first = text.data.search(/[0-9]/); const last = text.data.search(/[0-9][^0-9]*$/);
         return left(first) < left(last)";
    assert_eq!(browser.run(ends).await, true, "the number is read from left to right");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyboard_is_enough() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::start().await;
    let (_, page) = linkable(&gateway).await;
    browser.go(&page).await;
    stands_at(&browser, "ready").await;
    browser.run("document.querySelector('section:not([hidden]) [data-show]').focus()").await;
    browser.write("section:not([hidden]) [data-show]", "\u{e007}").await;
    code_shown(&browser).await;
    browser.write("[data-code-open]", "\u{e007}").await;
    browser.until("document.activeElement?.name === 'phone_number'").await;
    let live = browser.run("return document.querySelector('.panels').getAttribute('aria-live')").await;
    assert_eq!(live, "polite", "what changes is read out");
    gateway.stop().await;
}
