//! What may come between a visitor and a linked phone: a passkey, a phone that unlinked, a link that did its work, a
//! gateway that went away; and the short way of a newcomer who has no phone at hand.

use reqwest::{Method, StatusCode};
use serde_json::json;

use super::link::{NARROW, code_shown, gateway, linkable, page_of, scan, showing, stands_at};
use super::{Browser, Look};
use crate::support::decode;
use crate::support::gateway::Gateway;
use crate::support::passkey::assertion;

/// What of the page can be seen and asks for something.
const BUTTONS: &str = "[...document.querySelectorAll('button, a')].filter((e) => e.checkVisibility()).length";

#[tokio::test(flavor = "multi_thread")]
async fn a_passkey_is_left_to_whoever_sent_the_link_and_the_page_goes_on_by_itself() {
    let gateway = gateway(|_| {}).await;
    gateway.network.fault(&json!({ "kind": "passkey", "count": 1 })).await;
    let browser = Browser::start().await;
    let instance = showing(&gateway, &browser).await;
    let number = scan(&gateway, &browser).await;
    browser.shows("h1", "WhatsApp asks for your passkey").await;
    browser.shows("section p", "Whoever sent you this link can finish").await;
    assert_eq!(browser.run(&format!("return {BUTTONS}")).await, 0, "the page offers what it cannot do");
    browser.until("!document.querySelector('[data-codes]').checkVisibility()").await;

    // What the account's own app does.
    let path = format!("/v2/auth/passkey?instance_id={instance}");
    let (status, prompt) = gateway.client.call(Method::GET, &path, &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{prompt}");
    let options = &prompt["publicKey"];
    let made = assertion(options, options["challenge"].as_str().unwrap());
    let handed = json!({ "instance_id": instance, "assertion": made });
    let (status, taken) = gateway.client.post("/v2/auth/passkey", &handed).await;
    assert_eq!(status, StatusCode::OK, "{taken}");
    browser.shows("h1", "Confirm on your phone").await;
    let (status, taken) = gateway.client.post("/v2/auth/passkey", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::OK, "{taken}");
    browser.shows("h1", "Your WhatsApp is linked").await;
    browser.shows("[data-linked-number]", &number[..4]).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_its_phone_unlinked_is_linked_again_from_a_new_link() {
    let gateway = gateway(|_| {}).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    gateway.network.unlink(&number).await;
    gateway.client.reaches(&instance, "FAILED").await;
    let browser = Browser::looking(NARROW).await;
    browser.go(&page_of(&gateway, &instance).await).await;
    browser.shows("h1", "This device was unlinked on the phone").await;
    browser.shows("section button", "Link again").await;
    browser.click("section:not([hidden]) [data-show]").await;
    scan(&gateway, &browser).await;
    browser.shows("h1", "Your WhatsApp is linked").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_has_linked_a_phone_links_no_other() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::start().await;
    let (instance, page) = linkable(&gateway).await;
    browser.go(&page).await;
    browser.click("section:not([hidden]) [data-show]").await;
    let number = scan(&gateway, &browser).await;
    stands_at(&browser, "linked").await;
    gateway.network.unlink(&number).await;
    gateway.client.reaches(&instance, "FAILED").await;
    browser.go(&page).await;
    browser.shows("h1", "This link has been used").await;
    browser.shows("section p", "Ask for a new link").await;
    assert_eq!(browser.run(&format!("return {BUTTONS}")).await, 0, "it offers to link again");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_whose_gateway_goes_away_says_so_and_goes_on_once_it_is_back() {
    let mut gateway = gateway(|_| {}).await;
    let browser = Browser::start().await;
    showing(&gateway, &browser).await;
    gateway.leave().await;
    browser.shows("[data-offline-note]", "The connection was lost. Trying again").await;
    gateway.come_back().await;
    browser.until("!document.querySelector('[data-offline-note]').textContent").await;
    // The code of before is nobody's any more; the page asks for another by itself.
    scan(&gateway, &browser).await;
    browser.shows("h1", "Your WhatsApp is linked").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_nothing_was_asked_of_yet_outlives_its_gateway_too() {
    let mut gateway = gateway(|_| {}).await;
    let browser = Browser::start().await;
    let (_, page) = linkable(&gateway).await;
    browser.go(&page).await;
    stands_at(&browser, "ready").await;
    gateway.leave().await;
    browser.shows("[data-offline-note]", "The connection was lost").await;
    // Whoever taps now is not told that it works, nor that it failed.
    browser.click("section:not([hidden]) [data-show]").await;
    browser.shows("[data-offline-note]", "The connection was lost").await;
    gateway.come_back().await;
    code_shown(&browser).await;
    assert_eq!(browser.run("return document.querySelector('[data-offline-note]').textContent").await, "");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_without_a_phone_lets_the_sandboxs_scan() {
    let gateway = Gateway::around_its_network(|config| config.server.workers = 2).await;
    let browser = Browser::start().await;
    let (instance, page) = linkable(&gateway).await;
    browser.go(&page).await;
    browser.shows("h1", "Ready when you are").await;
    browser.click("section:not([hidden]) [data-show]").await;
    code_shown(&browser).await;
    browser.shows("[data-sandbox] p", "A made-up phone can scan the code for you").await;
    browser.click("[data-sandbox-phone]").await;
    browser.shows("h1", "Your WhatsApp is linked").await;
    assert_eq!(gateway.client.reaches(&instance, "WORKING").await["linked"], true);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_stays_black_on_white_in_the_dark() {
    let gateway = gateway(|_| {}).await;
    let browser = Browser::looking(Look { dark: true, ..Look::default() }).await;
    showing(&gateway, &browser).await;
    let ground = browser.run("return getComputedStyle(document.body).backgroundColor").await;
    assert_eq!(ground, "rgb(16, 22, 19)", "the page is dark");
    code_shown(&browser).await;
    assert!(decode::is_black_on_white(&browser.picture_of("[data-codes] img").await));
    gateway.stop().await;
}
