//! The hosted page of a link over plain HTTP: what its answers carry, what they say of each state and in which language,
//! and what strangers get. What it looks like and does is tried in a browser (`browser::link`).

use chrono::TimeDelta;
use reqwest::StatusCode;
use serde_json::{Value, json};
use wagate::domain::instance::InstanceId;
use wagate::domain::origin::Origin;
use wagate::domain::session::{Reason, Status};
use wagate::store::account_origin;

use super::gateway::{Answer, Gateway};
use super::script::{VALUE, later};

const ORIGIN: &str = "https://wa.example.com";

/// A new instance and the path of its link's page.
async fn linkable(gateway: &Gateway) -> (InstanceId, String) {
    let created = gateway.create().await;
    (created.id, page_of(gateway, &created.token).await)
}

async fn page_of(gateway: &Gateway, token: &str) -> String {
    let answer = gateway.post("/v2/session/temp-link", token, json!({})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()["link"].as_str().unwrap().strip_prefix(ORIGIN).unwrap().to_owned()
}

async fn open(gateway: &Gateway, page: &str, languages: &str) -> Answer {
    Answer::of(gateway.request("GET", page).header("accept-language", languages)).await
}

/// What a page says of where the linking stands.
fn phase(answer: &Answer) -> String {
    let text = answer.text();
    let rest = text.split_once("data-now=\"").unwrap_or_else(|| panic!("{text}")).1;
    rest.split('"').next().unwrap().to_owned()
}

/// The first state that a stream tells.
async fn first_state(request: reqwest::RequestBuilder) -> Value {
    let mut answer = request.send().await.unwrap();
    assert_eq!(
        (answer.status(), answer.headers()["content-type"].as_bytes()),
        (StatusCode::OK, &b"text/event-stream"[..])
    );
    let mut told = String::new();
    loop {
        told.push_str(std::str::from_utf8(&answer.chunk().await.unwrap().expect("the stream goes on")).unwrap());
        if let Some((_, rest)) = told.split_once("event: state\ndata: ")
            && let Some((state, _)) = rest.split_once("\n\n")
        {
            return serde_json::from_str(state).unwrap();
        }
    }
}

#[tokio::test]
async fn a_page_lets_nothing_run_but_the_gateways_own_scripts_and_is_kept_by_nobody() {
    let gateway = Gateway::start().await;
    let (_, page) = linkable(&gateway).await;
    let answer = open(&gateway, &page, "en").await;
    assert_eq!(answer.status, 200);
    let policy = answer.header("content-security-policy");
    for rule in
        ["default-src 'none'", "script-src 'self'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
    {
        assert!(policy.split("; ").any(|each| each == rule), "{rule}: {policy}");
    }
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("referrer-policy", "no-referrer"),
        ("x-frame-options", "DENY"),
        ("content-type", "text/html; charset=utf-8"),
        ("vary", "Accept-Language"),
    ] {
        assert_eq!(answer.header(name), value, "{name}");
    }
    assert!(!answer.text().contains("wgl_"), "the token stands in the address alone");
    let head = Answer::of(gateway.request("HEAD", &page)).await;
    assert_eq!((head.status.as_u16(), head.body.len()), (200, 0));
}

#[tokio::test]
async fn only_origins_that_the_account_lists_frame_the_page() {
    let gateway = Gateway::start().await;
    let (_, page) = linkable(&gateway).await;
    let origins = ["https://app.example.com", "http://localhost:3000"].map(|text| Origin::parse(text).unwrap());
    let mut conn = gateway.database.store().acquire().await.unwrap();
    account_origin::replace(&mut conn, gateway.account, &origins).await.unwrap();
    drop(conn);
    let answer = open(&gateway, &page, "en").await;
    let policy = answer.header("content-security-policy");
    assert!(policy.ends_with("frame-ancestors http://localhost:3000 https://app.example.com"), "{policy}");
    assert_eq!(answer.header("x-frame-options"), "", "it could name no origin");
}

#[tokio::test]
async fn a_page_speaks_the_language_that_its_reader_would_rather_have() {
    let gateway = Gateway::start().await;
    let (_, page) = linkable(&gateway).await;
    for (wanted, language) in [
        ("en", "en"),
        ("ar-EG,ar;q=0.9,en;q=0.8", "ar"),
        ("es-419", "es"),
        ("pt-BR,es;q=0.5", "pt"),
        ("fr,es;q=0.2,en;q=0.1", "es"),
        ("es;q=0,en", "en"),
        ("fr,de", "en"),
        ("", "en"),
        ("*", "en"),
        ("es;q=nonsense, ,;", "en"),
    ] {
        let answer = open(&gateway, &page, wanted).await;
        assert_eq!(answer.header("content-language"), language, "{wanted}");
        let direction = if language == "ar" { "rtl" } else { "ltr" };
        assert!(answer.text().contains(&format!("<html lang=\"{language}\" dir=\"{direction}\">")), "{wanted}");
    }
}

#[tokio::test]
async fn a_mere_visit_asks_for_nothing_and_an_open_stream_after_the_tap_does() {
    let gateway = Gateway::start().await;
    let (id, page) = linkable(&gateway).await;
    gateway.script.calls.lock().clear();
    assert_eq!(phase(&open(&gateway, &page, "en").await), "ready");
    let state = first_state(gateway.request("GET", &format!("{page}/events"))).await;
    assert_eq!((&state["phase"], &state["qr"]), (&json!("ready"), &Value::Null));
    let asked = |what: &str| gateway.script.calls.lock().iter().any(|call| call.starts_with(what));
    assert!(!asked("qr") && !asked("start"), "{:?}", gateway.script.calls.lock());

    gateway.script.show_code(id, VALUE, 2, later(gateway.now(), 20));
    let state = first_state(gateway.request("GET", &format!("{page}/events"))).await;
    assert_eq!((&state["phase"], &state["qr"]), (&json!("ready"), &Value::Null), "nobody asked to see it");
    let state = first_state(gateway.request("GET", &format!("{page}/events?show=true"))).await;
    assert_eq!((&state["phase"], &state["qr"]["attempt"]), (&json!("scan"), &json!(2)));
    assert_eq!(state["qr"]["expires_at"], later(gateway.now(), 20).timestamp_millis());
    assert_eq!(state["now"], gateway.now().timestamp_millis());
    assert!(state["qr"]["image"].as_str().unwrap().starts_with("data:image/png;base64,"));
    assert!(asked("qr 0"), "{:?}", gateway.script.calls.lock());
}

#[tokio::test]
async fn each_state_of_the_session_has_words_of_its_own() {
    let gateway = Gateway::start().await;
    let (id, page) = linkable(&gateway).await;
    let stream = format!("{page}/events?show=true");
    for (status, reason, expected) in [
        (Status::Starting, None, "warming"),
        (Status::Starting, Some(Reason::Recovering), "recovering"),
        (Status::Starting, Some(Reason::UpstreamUnreachable), "unreachable"),
        (Status::Starting, Some(Reason::Pairing), "pairing"),
        (Status::PasskeyRequired, None, "passkey"),
        (Status::PasskeyConfirmationRequired, None, "passkey_confirmation"),
        (Status::Failed, Some(Reason::Banned), "refused"),
        (Status::Failed, Some(Reason::ClientOutdated), "outdated"),
    ] {
        gateway.script.set(id, |view| (view.status, view.reason) = (status, reason));
        // Whatever it is, a page that is opened anew has a sentence for it.
        let drawn = open(&gateway, &page, "en").await;
        assert_eq!(drawn.status, 200, "{}", drawn.text());
        assert!(drawn.text().contains(&format!("data-phase=\"{expected}\"")), "{expected}");
        gateway.advance_ticks(std::time::Duration::from_secs(2));
        assert_eq!(first_state(gateway.request("GET", &stream)).await["phase"], expected);
    }
    gateway.script.link(id);
    let linked = open(&gateway, &page, "en").await;
    assert_eq!(phase(&linked), "linked");
    assert!(linked.text().contains('*') && !linked.text().contains("201012345678"), "the number is masked");
}

#[tokio::test]
async fn a_link_that_opens_nothing_has_a_page_that_says_what_to_do() {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    let replaced = page_of(&gateway, &created.token).await;
    let live = page_of(&gateway, &created.token).await;
    assert_eq!(phase(&open(&gateway, &live, "en").await), "ready");
    for page in [
        replaced.as_str(),
        "/link/wgl_nonsense",
        &format!("/link/{}", gateway.key.expose()),
        &format!("/link/{}", created.token),
    ] {
        let answer = open(&gateway, page, "es").await;
        assert_eq!((answer.status.as_u16(), phase(&answer).as_str()), (404, "expired"), "{page}");
        assert_eq!(answer.header("content-language"), "es");
        assert!(!answer.text().contains("wga_") && !answer.text().contains("wgi_"));
    }
    // A page that was open before goes on.
    assert_eq!(first_state(gateway.request("GET", &format!("{replaced}/events"))).await["phase"], "ready");
    gateway.clock.advance(TimeDelta::hours(1));
    assert_eq!(phase(&open(&gateway, &live, "en").await), "expired");
}

#[tokio::test]
async fn what_asks_for_a_code_must_come_from_the_page_itself() {
    let gateway = Gateway::start().await;
    let (_, page) = linkable(&gateway).await;
    let code = format!("{page}/code");
    let post = |headers: &[(&'static str, &'static str)]| {
        let request = gateway.request("POST", &code).json(&json!({ "phone_number": "+201012345678" }));
        headers.iter().fold(request, |request, (name, value)| request.header(*name, *value))
    };
    for foreign in [
        &[][..],
        &[("origin", "https://evil.example.com")],
        &[("origin", ORIGIN), ("sec-fetch-site", "cross-site")],
        &[("origin", "null"), ("sec-fetch-site", "cross-site")],
    ] {
        let answer = Answer::of(post(foreign)).await;
        assert_eq!(answer.status, 403, "{foreign:?}: {}", answer.text());
    }
    let own = Answer::of(post(&[("origin", ORIGIN), ("sec-fetch-site", "same-origin")])).await;
    assert_eq!(own.error(), (422, "session_status_mismatch".into()), "it gets as far as the session");
    let foreign = gateway.request("GET", &format!("{page}/events?show=true")).header("sec-fetch-site", "cross-site");
    assert_eq!(Answer::of(foreign).await.status, 403);
    #[cfg(feature = "sandbox")]
    {
        let phone = gateway.request("POST", &format!("{page}/sandbox-phone"));
        let answer = Answer::of(phone.header("origin", ORIGIN).json(&json!({}))).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "no sandbox runs inside this gateway");
    }
}
