//! The dashboard as a person uses it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::{Browser, Look};
use crate::support::decode;
use crate::support::gateway::Gateway;
use crate::support::receiver::{Received, Receiver};
use crate::support::wait::until;

pub(super) async fn gateway() -> Gateway {
    Gateway::with(|config| {
        config.webhook.allow_private = vec!["127.0.0.1".into()];
        // A browser keeps several connections open at once.
        config.server.workers = 2;
    })
    .await
}

/// A browser that has signed in with the account's key.
async fn signed_in(gateway: &Gateway) -> Browser {
    let browser = Browser::start().await;
    sign_in(&browser, gateway).await;
    browser
}

pub(super) async fn sign_in(browser: &Browser, gateway: &Gateway) {
    browser.go(&format!("{}/dashboard", gateway.url)).await;
    browser.until("location.pathname === '/dashboard/sign-in'").await;
    browser.write("input[name=access_token]", gateway.client.key()).await;
    browser.click("form .primary").await;
    browser.until("location.pathname === '/dashboard' && document.querySelector('.account')").await;
}

/// Creates an instance in the browser; its id.
pub(super) async fn create(browser: &Browser, name: &str) -> String {
    browser.click(".head [data-opens=create]").await;
    browser.write("#create input[name=name]", name).await;
    browser.click("#create .primary").await;
    let id = browser.until("document.querySelector('.head[data-instance]')?.dataset.instance").await;
    id.as_str().unwrap().to_owned()
}

/// The value of the code that the page shows.
async fn shown_code(browser: &Browser) -> String {
    let source = browser.until("document.querySelector('[data-qr]')?.src").await;
    let data = source.as_str().unwrap().strip_prefix("data:image/png;base64,").unwrap().to_owned();
    decode::png(&STANDARD.decode(data).unwrap())
}

/// Links the instance whose page is open; the phone's number.
async fn link(browser: &Browser, gateway: &Gateway) -> String {
    browser.click("[data-show-qr]").await;
    scan(browser, gateway).await
}

/// Scans the code that the page shows; the phone's number.
pub(super) async fn scan(browser: &Browser, gateway: &Gateway) -> String {
    let number = gateway.network.phone().await;
    until("a phone has scanned the shown code", || async {
        let (status, _) = gateway.network.scan(&number, &shown_code(browser).await).await;
        status.is_success().then_some(())
    })
    .await;
    browser.shows(".head .badge", "WORKING").await;
    number
}

/// Every address the page has asked for or stands at.
async fn addresses(browser: &Browser) -> String {
    let script = "return [location.href, document.referrer, ...performance.getEntries().map((e) => e.name)].join(' ')";
    browser.run(script).await.as_str().unwrap().to_owned()
}

fn holds_no_secret(addresses: &str) {
    for prefix in ["wga_", "wgi_", "wgs_", "wgp_", "wgo_", "whsec_"] {
        assert!(!addresses.contains(prefix), "{addresses}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newcomer_signs_in_creates_links_sends_sees_it_arrive_replays_and_signs_out() {
    let gateway = gateway().await;
    let receiver = Receiver::start().await;
    let browser = signed_in(&gateway).await;
    browser.shows("h2", "No instance yet").await;
    let id = create(&browser, "shop-7").await;
    browser.shows(".head .badge", "SCAN_QR_CODE").await;
    holds_no_secret(&addresses(&browser).await);
    let number = link(&browser, &gateway).await;
    browser.shows("[data-field=me]", &number).await;
    browser.shows(".timeline", "WORKING").await;

    // A webhook of this instance; its secret is shown once.
    browser.write("form[data-call='POST /webhooks'] input[name=url]", &receiver.url()).await;
    browser.click("form[data-call='POST /webhooks'] button").await;
    browser.until("document.querySelector('#secret').open").await;
    browser.shows("[data-secret-value]", "whsec_").await;
    browser.click("#secret [data-closes]").await;
    browser.shows("#hooks ~ ul a", &receiver.address.to_string()).await;
    assert!(!browser.run("return document.documentElement.outerHTML").await.as_str().unwrap().contains("whsec_"));

    // A message out, and one in.
    let friend = gateway.network.phone().await;
    browser.shows("[data-stream-state]", "live").await;
    browser.write("input[name=chatId]", &format!("+{friend}")).await;
    browser.write("textarea[name=message]", "Hello from the dashboard").await;
    browser.click("form[data-call='POST /send/text'] .primary").await;
    browser.shows("form[data-call='POST /send/text'] .told", "Accepted").await;
    until("the friend has it", || async {
        let inbox = gateway.network.get(&format!("/phones/{friend}/inbox")).await;
        inbox.to_string().contains("Hello from the dashboard").then_some(())
    })
    .await;
    let (status, _) =
        gateway.network.post(&format!("/phones/{friend}/send"), &json!({ "to": number, "text": "Hi back" })).await;
    assert!(status.is_success(), "{status}");
    browser
        .until("document.querySelector('[data-events] li[data-kind=message] pre')?.textContent.includes('Hi back')")
        .await;

    // The webhook was told, and is told again.
    let first = until("the webhook was told", || async {
        receiver.received().into_iter().find(|told| told.json()["event"] == "message")
    })
    .await;
    browser.click("#hooks ~ ul a").await;
    let replay = format!("form[data-fixed-event_id='{}'] button", first.json()["id"].as_str().unwrap());
    until("the delivery is listed", || async {
        browser.go(&browser.address().await).await;
        let there = browser.run(&format!("return document.querySelector({}) !== null", json!(replay))).await;
        (there == true).then_some(())
    })
    .await;
    browser.click(&replay).await;
    until("the event came again under the same id", || async {
        let same = |told: &Received| told.json()["id"] == first.json()["id"];
        (receiver.received().iter().filter(|told| same(told)).count() >= 2).then_some(())
    })
    .await;
    holds_no_secret(&addresses(&browser).await);

    browser.go(&format!("{}/dashboard/instances/{id}", gateway.url)).await;
    browser.click(".who form button").await;
    browser.until("location.pathname === '/dashboard/sign-in'").await;
    browser.back().await;
    browser.until("location.pathname === '/dashboard/sign-in'").await;
    let page = browser.run("return document.documentElement.outerHTML").await;
    assert!(!page.as_str().unwrap().contains("shop-7"), "Back shows what a signed-out browser may not keep");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_signs_in_by_the_code_on_the_screen_and_keeps_no_trace_of_it() {
    let gateway = gateway().await;
    let desk = signed_in(&gateway).await;
    desk.click("[data-opens=phone]").await;
    desk.until(
        "document.querySelector('#phone img').complete && document.querySelector('#phone img').naturalWidth > 0",
    )
    .await;
    let address = decode::png(&desk.picture_of("#phone img").await);
    assert!(address.starts_with(&format!("{}/dashboard/pair#token=wgp_", gateway.url)), "{address}");

    let phone = Browser::start().await;
    phone.go(&format!("{}/about", gateway.url)).await;
    phone.go(&address).await;
    phone.shows("[data-account]", "default").await;
    assert_eq!(phone.address().await, format!("{}/dashboard/pair", gateway.url));
    let cookies = phone.devtools("Network.getAllCookies", json!({})).await;
    assert_eq!(cookies["cookies"].as_array().map(Vec::len), Some(0), "a mere visit signs in");
    phone.click("[data-redeem]").await;
    phone.until("location.pathname === '/dashboard' && document.querySelector('.account')").await;
    let cookies = phone.devtools("Network.getAllCookies", json!({})).await;
    let cookie = &cookies["cookies"][0];
    assert_eq!(cookie["name"], "__Host-wagate");
    assert_eq!(
        (&cookie["secure"], &cookie["httpOnly"], &cookie["sameSite"]),
        (&json!(true), &json!(true), &json!("Strict"))
    );
    assert_eq!(phone.run("return document.cookie").await, "", "a script can read it");

    let history = phone.devtools("Page.getNavigationHistory", json!({})).await;
    for entry in history["entries"].as_array().unwrap() {
        holds_no_secret(entry["url"].as_str().unwrap());
    }
    holds_no_secret(&addresses(&phone).await);

    // The same code, stolen from the screen.
    let thief = Browser::start().await;
    thief.go(&address).await;
    thief.shows("[data-problem]", "used already").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_page_frames_it_and_no_inline_script_runs_on_it() {
    let gateway = gateway().await;
    let browser = signed_in(&gateway).await;
    browser
        .run(
            "const script = document.createElement('script'); script.textContent = 'window.broken = true';
             document.body.append(script);
             const image = document.createElement('img'); image.setAttribute('onerror', 'window.broken = true');
             image.src = '/nowhere'; document.body.append(image);
             const other = document.createElement('script'); other.src = 'data:text/javascript,window.broken=true';
             document.body.append(other)",
        )
        .await;
    until("the browser has refused", || async {
        let said = browser.console().await.join("\n");
        said.contains("Content Security Policy").then_some(())
    })
    .await;
    assert_eq!(browser.run("return window.broken ?? null").await, json!(null));

    // A page of another origin on this machine, which may frame what does not forbid it.
    for (path, protocol) in [("/about", "http:"), ("/dashboard/sign-in", "chrome-error:")] {
        browser.go(&format!("{}/health/live", gateway.operator_url())).await;
        let address = json!(format!("{}{path}", gateway.url));
        browser
            .run(&format!(
                "const frame = document.createElement('iframe'); frame.src = {address}; document.body.append(frame)"
            ))
            .await;
        browser.enter_frame().await;
        browser.until(&format!("location.protocol === '{protocol}'")).await;
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_another_tab_ends_ends_here_too() {
    let gateway = gateway().await;
    let browser = signed_in(&gateway).await;
    create(&browser, "shop-7").await;
    browser.shows("[data-stream-state]", "live").await;
    sqlx::query("DELETE FROM dashboard_session").execute(gateway.database.pool()).await.unwrap();
    browser.until("location.pathname === '/dashboard/sign-in'").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_stay_black_on_white_in_the_dark() {
    let gateway = gateway().await;
    let browser = Browser::looking(Look { dark: true, ..Look::default() }).await;
    sign_in(&browser, &gateway).await;
    create(&browser, "shop-7").await;
    browser.click("[data-show-qr]").await;
    browser.until("document.querySelector('[data-qr]').naturalWidth > 0").await;
    assert!(decode::is_black_on_white(&browser.picture_of("[data-qr]").await), "the code that links a phone");
    browser.click("[data-opens=phone]").await;
    browser.until("document.querySelector('#phone img').naturalWidth > 0").await;
    assert!(decode::is_black_on_white(&browser.picture_of("#phone img").await), "the code that signs a phone in");
    gateway.stop().await;
}

/// Answers the question that the page asks with yes.
async fn agree(browser: &Browser) {
    browser.until("document.querySelector('#confirm').open").await;
    browser.click("[data-confirm-yes]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_known_of_but_not_shown_again_and_ended_where_it_was_made() {
    let gateway = gateway().await;
    let browser = signed_in(&gateway).await;
    create(&browser, "shop-7").await;
    browser.until("!document.querySelector('[data-open-link]').checkVisibility()").await;
    browser.click("details:has([data-tells=link]) summary").await;
    browser.click("form[data-tells=link] button").await;
    let link = browser.until("document.querySelector('form[data-tells=link] [data-told]').textContent").await;
    let link = link.as_str().unwrap().to_owned();
    assert!(link.starts_with(&format!("{}/link/wgl_", gateway.url)), "{link}");
    browser.shows("[data-open-link]", "Somebody may link a phone by a link until").await;

    browser.go(&browser.address().await).await;
    browser.shows("[data-open-link]", "Somebody may link a phone by a link until").await;
    let page = browser.run("return document.documentElement.outerHTML").await;
    assert!(!page.as_str().unwrap().contains("wgl_"), "whoever looks over a shoulder sees the link");
    assert_eq!(reqwest::get(&link).await.unwrap().status(), 200);
    browser.click("[data-open-link] button").await;
    agree(&browser).await;
    browser.until("!document.querySelector('[data-open-link]').checkVisibility()").await;
    assert_eq!(reqwest::get(&link).await.unwrap().status(), 404);
    browser.go(&browser.address().await).await;
    browser.until("!document.querySelector('[data-open-link]').checkVisibility()").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_replaced_by_another_that_is_shown_once() {
    let gateway = gateway().await;
    let browser = signed_in(&gateway).await;
    create(&browser, "shop-7").await;
    let rotate = "form[data-call='POST /session/token/rotate'] button";
    browser.click(rotate).await;
    agree(&browser).await;
    browser.until("document.querySelector('#secret').open").await;
    let token = browser.until("document.querySelector('[data-secret-value]').textContent").await;
    let token = token.as_str().unwrap().to_owned();
    let (status, info) = gateway.client.with_key(&token).post("/v2/session/info", &json!({})).await;
    assert_eq!((status.as_u16(), &info["name"]), (200, &json!("shop-7")), "{info}");
    browser.click("#secret [data-closes]").await;
    browser.shows("section[aria-labelledby=tokens] td", "rotating").await;
    let page = browser.run("return document.documentElement.outerHTML").await;
    assert!(!page.as_str().unwrap().contains(&token[..12]), "it is shown again");
    let replaceable = format!("return document.querySelectorAll({}).length", json!(rotate));
    assert_eq!(browser.run(&replaceable).await, 1, "the new one alone can be replaced");
    gateway.stop().await;
}
