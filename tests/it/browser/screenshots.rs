//! The pictures of the README and of the documents: `make screenshots` draws them anew into `docs/screenshots`. They are
//! pictures and no comparison, so an ordinary run leaves them out.

use std::path::Path;

use serde_json::json;

use super::dashboard::{create, gateway, scan, sign_in};
use super::{Browser, Look, link};

/// The largest picture that may be committed.
const LARGEST: usize = 150 * 1024;

const LIGHT: Look = Look { width: 1280, height: 860, dark: false, mobile: false, languages: "en" };
const DARK: Look = Look { dark: true, ..LIGHT };
const PHONE: Look = Look { width: 390, height: 844, dark: false, mobile: true, languages: "en" };

/// The page from its top.
async fn keep(browser: &Browser, name: &str) {
    keep_from(browser, "body", name).await;
}

/// The page from an element down.
async fn keep_from(browser: &Browser, element: &str, name: &str) {
    let scroll = format!("document.activeElement?.blur(); document.querySelector('{element}').scrollIntoView()");
    browser.run(&scroll).await;
    let picture = browser.picture().await;
    assert!(picture.len() < LARGEST, "{name} takes {} bytes", picture.len());
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/screenshots");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{name}.png")), picture).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it draws pictures; `make screenshots` runs it"]
async fn pictures_of_the_dashboard() {
    let gateway = gateway().await;
    // As if it had run for a week, with more instances each day.
    let week = "INSERT INTO session_census (account_id, hour, status, count)
                SELECT account_id, hour, status, count FROM (
                    SELECT a.id AS account_id, date_trunc('hour', now(), 'UTC') - ago * interval '1 hour' AS hour, s.status,
                        CASE s.status WHEN 'WORKING' THEN 4 + (150 - ago) / 9 WHEN 'SCAN_QR_CODE' THEN ago * 7 % 4
                            WHEN 'FAILED' THEN ago % 31 / 28 ELSE 2 + (150 - ago) / 60 END AS count
                    FROM account a, generate_series(1, 150) ago,
                        (VALUES ('WORKING'), ('SCAN_QR_CODE'), ('FAILED'), ('STOPPED')) s (status)
                ) week WHERE count > 0";
    sqlx::raw_sql(week).execute(gateway.database.pool()).await.unwrap();
    for (look, suffix) in [(LIGHT, "light"), (DARK, "dark"), (PHONE, "phone")] {
        let browser = Browser::looking(look).await;
        browser.go(&format!("{}/dashboard/sign-in", gateway.url)).await;
        browser.until("document.readyState === 'complete'").await;
        keep(&browser, &format!("dashboard-sign-in-{suffix}")).await;
        sign_in(&browser, &gateway).await;
        create(&browser, &format!("shop-{suffix}")).await;
        browser.shows(".head .badge", "SCAN_QR_CODE").await;
        browser.click("[data-show-qr]").await;
        browser.until("document.querySelector('[data-qr]')?.src").await;
        keep(&browser, &format!("dashboard-link-{suffix}")).await;
        scan(&browser, &gateway).await;
        let friend = gateway.network.phone().await;
        let number = browser.run("return document.querySelector('[data-field=me]').textContent").await;
        let number: String = number.as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
        let hello = json!({ "to": number, "text": "Is the blue one in stock?" });
        gateway.network.post(&format!("/phones/{friend}/send"), &hello).await;
        browser.until("document.querySelector('[data-events] li[data-kind=message]')").await;
        keep(&browser, &format!("dashboard-instance-{suffix}")).await;
        for (path, name) in
            [("", "instances"), ("/webhooks", "webhooks"), ("/keys", "keys"), ("/audit", "audit"), ("/usage", "usage")]
        {
            browser.go(&format!("{}/dashboard{path}", gateway.url)).await;
            browser.until("document.querySelector('.account')").await;
            keep(&browser, &format!("dashboard-{name}-{suffix}")).await;
        }
        keep_from(&browser, "[aria-labelledby=stood]", &format!("dashboard-states-{suffix}")).await;
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "it draws pictures; `make screenshots` runs it"]
async fn pictures_of_the_link_page() {
    let gateway = gateway().await;
    let arabic = Look { languages: "ar", ..PHONE };
    for (look, suffix) in [(LIGHT, "light"), (DARK, "dark"), (PHONE, "phone"), (arabic, "arabic")] {
        let browser = Browser::looking(look).await;
        let (_, page) = link::linkable(&gateway).await;
        browser.go(&page).await;
        link::stands_at(&browser, "ready").await;
        keep(&browser, &format!("link-ready-{suffix}")).await;
        browser.click("section:not([hidden]) [data-show]").await;
        link::code_shown(&browser).await;
        keep(&browser, &format!("link-scan-{suffix}")).await;
        browser.click("[data-code-open]").await;
        keep(&browser, &format!("link-code-{suffix}")).await;
        browser.click("[data-code-close]").await;
        link::scan(&gateway, &browser).await;
        link::stands_at(&browser, "linked").await;
        // The tick is drawn in a moment of its own.
        browser.until("document.getAnimations().every((each) => each.playState === 'finished')").await;
        keep(&browser, &format!("link-linked-{suffix}")).await;
    }
    let fault = gateway.network.fault(&json!({ "kind": "refuse" })).await;
    let browser = Browser::looking(PHONE).await;
    let (_, page) = link::linkable(&gateway).await;
    browser.go(&page).await;
    browser.click("section:not([hidden]) [data-show]").await;
    link::stands_at(&browser, "unreachable").await;
    keep(&browser, "link-unreachable-phone").await;
    gateway.network.mend(&fault).await;
    browser.go(&format!("{}/link/wgl_ended", gateway.url)).await;
    link::stands_at(&browser, "expired").await;
    keep(&browser, "link-expired-phone").await;
    gateway.stop().await;
}
