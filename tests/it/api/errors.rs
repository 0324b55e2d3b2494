//! Every error, in every rendering.

use std::sync::atomic::Ordering;
use std::time::Duration;

use reqwest::RequestBuilder;
use roxmltree::{Document, ParsingOptions};
use serde_json::{Value, json};
use wagate::cluster::Owner;
use wagate::domain::account::AccountId;
use wagate::domain::token::{Scope, TokenKind};
use wagate::store::token::Holder;
use wagate::supervisor::QrRefusalKind;

use super::gateway::{Answer, Created, Gateway, key};
use super::script::Upstream;

const RENDERINGS: [&str; 6] =
    ["application/json", "application/problem+json", "application/xml", "text/xml", "text/plain", "text/html"];

/// The code that an answer names, read by the parser of what it says it is.
fn code(answer: &Answer) -> String {
    let text = answer.text();
    let markup = |tag: &str, index: usize| {
        let options = ParsingOptions { allow_dtd: true, ..ParsingOptions::default() };
        let document = Document::parse_with_options(&text, options).unwrap_or_else(|error| panic!("{error}: {text}"));
        let mut found = document.descendants().filter(|node| node.has_tag_name(tag));
        found.nth(index).and_then(|node| node.text().map(str::to_owned)).unwrap()
    };
    match answer.header("content-type") {
        "application/json" | "application/problem+json" => answer.json()["code"].as_str().unwrap().to_owned(),
        "application/xml; charset=utf-8" | "text/xml; charset=utf-8" => markup("code", 0),
        "text/plain; charset=utf-8" => {
            text.lines().find_map(|line| line.strip_prefix("code: ")).expect("it names its code").to_owned()
        }
        "text/html; charset=utf-8" => {
            assert!(!text.contains("<script") && !text.contains("src=") && !text.contains("href="), "{text}");
            assert_eq!(answer.header("content-security-policy"), "default-src 'none'; frame-ancestors 'none'");
            markup("dd", 0)
        }
        other => panic!("{other} is no rendering"),
    }
}

/// Sends a request once for each rendering.
async fn in_each_rendering(expected: (u16, &str), request: impl Fn() -> RequestBuilder) {
    for accept in RENDERINGS {
        let answer = Answer::of(request().header("Accept", accept)).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), expected, "{accept}");
        assert!(answer.header("content-type").starts_with(accept), "{accept}: {}", answer.header("content-type"));
        assert_eq!(answer.header("vary"), "Accept");
        assert!(answer.text().contains(answer.header("x-request-id")), "{accept}: {}", answer.text());
        let timely = matches!(expected.0, 429 | 502 | 503);
        assert!(!timely || answer.header("retry-after").parse::<u64>().unwrap() > 0, "{expected:?}");
    }
}

#[tokio::test]
async fn every_refusal_of_a_request_is_written_in_every_rendering() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 1_000).await;
    let Created { id, token } = &gateway.create().await;
    let reader = key(TokenKind::Instance, 70);
    gateway.add_token(&reader, Holder::Instance(gateway.account, *id), &[Scope::Read], None).await;
    let full = key(TokenKind::Account, 71);
    let account = AccountId(uuid::Uuid::from_u128(71));
    gateway.add_account(account, &full, |account| account.max_instances = Some(0)).await;
    let info = "/v2/session/info";
    let ask = |method: &'static str, path: &str, token: &str| gateway.request(method, path).bearer_auth(token);
    in_each_rendering((404, "not_found"), || gateway.request("GET", "/<nowhere>")).await;
    in_each_rendering((405, "method_not_allowed"), || gateway.request("PATCH", info)).await;
    in_each_rendering((413, "payload_too_large"), || gateway.request("POST", info).body("x".repeat(64 * 1024 + 1)))
        .await;
    in_each_rendering((413, "payload_too_large"), || gateway.request("POST", "/x").body("x".repeat(64 * 1024 + 1)))
        .await;
    in_each_rendering((415, "unsupported_media_type"), || {
        gateway.request("POST", info).header("Content-Type", "image/png").body("x")
    })
    .await;
    in_each_rendering((400, "malformed_body"), || gateway.request("POST", info).body("{")).await;
    in_each_rendering((400, "conflicting_parameter"), || gateway.request("GET", "/v2/auth/qr?wait=1&wait=2")).await;
    in_each_rendering((401, "unauthorized"), || gateway.request("GET", info)).await;
    in_each_rendering((400, "missing_parameter"), || ask("GET", info, gateway.key.expose())).await;
    in_each_rendering((400, "invalid_parameter"), || ask("GET", "/v2/auth/qr?wait=<99>", token)).await;
    in_each_rendering((404, "session_not_found"), || ask("GET", &format!("{info}?instance_id=000000000000"), token))
        .await;
    in_each_rendering((403, "forbidden"), || ask("GET", "/v2/auth/qr", reader.expose())).await;
    in_each_rendering((403, "quota_reached"), || ask("POST", "/v2/session/create", full.expose())).await;
}

#[tokio::test]
async fn what_the_session_refuses_is_written_in_every_rendering() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = &gateway.create().await;
    let ask = |method: &'static str, path: &str| {
        gateway.advance_ticks(Duration::from_mins(1));
        gateway.request(method, path).bearer_auth(token)
    };
    for (kind, status, code) in [
        (QrRefusalKind::AlreadyLinked, 422, "already_linked"),
        (QrRefusalKind::PairingInProgress, 422, "pairing_in_progress"),
        (QrRefusalKind::PasskeyRequired, 422, "session_status_mismatch"),
        (QrRefusalKind::NotRecovering, 422, "session_status_mismatch"),
        (QrRefusalKind::NotReady, 422, "session_status_mismatch"),
        (QrRefusalKind::UpstreamUnreachable, 502, "upstream_unreachable"),
    ] {
        *gateway.script.refusal.lock() = Some(kind);
        in_each_rendering((status, code), || ask("GET", "/v2/auth/qr?wait=0")).await;
    }
    *gateway.script.upstream.lock() = Upstream::Unreachable;
    in_each_rendering((502, "upstream_unreachable"), || ask("POST", "/v2/session/logout")).await;
    gateway.script.refuses_starts.store(true, Ordering::SeqCst);
    in_each_rendering((502, "owner_unreachable"), || ask("POST", "/v2/session/start")).await;
    for _ in RENDERINGS {
        // Nothing listens at port 1.
        gateway.script.owners.lock().push_back(Owner::Elsewhere { addr: "127.0.0.1:1".into() });
    }
    in_each_rendering((502, "owner_unreachable"), || ask("GET", "/v2/session/info")).await;
    let list = || gateway.request("GET", "/v2/session/list").bearer_auth(gateway.key.expose());
    sqlx::query("ALTER TABLE session RENAME TO lost").execute(gateway.database.pool()).await.unwrap();
    in_each_rendering((500, "internal_error"), list).await;
    gateway.database.pool().close().await;
    in_each_rendering((503, "database_unavailable"), list).await;
}

#[tokio::test]
async fn exhausted_limits_are_written_in_every_rendering() {
    let gateway = Gateway::with(|config| {
        config.limits.api_per_second = 1;
        config.limits.api_burst = 1;
        // A guess that is not looked up and one that is no token in each rendering, and not one more.
        config.limits.failed_auth_per_minute = u32::try_from(2 * RENDERINGS.len()).unwrap();
        config.limits.token_lookups_per_second = 1;
    })
    .await;
    let list = |token: &str| gateway.request("GET", "/v2/session/list").bearer_auth(token);
    assert_eq!(Answer::of(list(gateway.key.expose())).await.status, 200);
    in_each_rendering((429, "rate_limited"), || list(gateway.key.expose())).await;
    // The one look-up of this second was the valid key's.
    for (accept, seed) in RENDERINGS.iter().zip(81..) {
        let stranger = key(TokenKind::Account, seed);
        let answer = Answer::of(list(stranger.expose()).header("Accept", *accept)).await;
        assert_eq!((answer.status.as_u16(), code(&answer).as_str()), (503, "busy"));
        assert_eq!(answer.header("retry-after"), "2");
    }
    in_each_rendering((401, "unauthorized"), || list("nonsense")).await;
    in_each_rendering((429, "rate_limited"), || list("nonsense")).await;
    let stranger = key(TokenKind::Account, 80);
    in_each_rendering((429, "rate_limited"), || list(stranger.expose())).await;
}

#[tokio::test]
async fn whoever_has_no_wish_or_none_that_can_be_met_gets_json() {
    let gateway = Gateway::start().await;
    for accept in ["", "*/*", "image/*", "image/png,image/webp;q=0.9", "application/json;q=0", "video/mp4", "\u{e9}"] {
        let answer = Answer::of(gateway.request("GET", "/nowhere").header("Accept", accept)).await;
        assert_eq!(answer.header("content-type"), "application/json", "{accept}");
    }
    let browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let answer = Answer::of(gateway.request("GET", "/nowhere").header("Accept", browser)).await;
    assert_eq!(answer.header("content-type"), "text/html; charset=utf-8");
}

#[tokio::test]
async fn unknown_deleted_and_foreign_are_one_answer_byte_for_byte_in_every_rendering() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 90);
    gateway.add_account(AccountId(uuid::Uuid::from_u128(90)), &stranger, |_| {}).await;
    let foreign = gateway.create_with(stranger.expose()).await.id;
    let deleted = gateway.create().await.id;
    let token = gateway.key.expose();
    assert_eq!(gateway.post("/v2/session/delete", token, json!({"instance_id": deleted})).await.status, 200);
    sqlx::query("DELETE FROM instance WHERE id = $1")
        .bind(deleted.as_str())
        .execute(gateway.database.pool())
        .await
        .unwrap();
    for accept in RENDERINGS {
        let mut first: Option<Vec<u8>> = None;
        for id in ["000000000000", "IIIIIIIIIIII", deleted.as_str(), foreign.as_str()] {
            let request = gateway.request("GET", &format!("/v2/auth/qr?instance_id={id}")).bearer_auth(token);
            let answer = Answer::of(request.header("Accept", accept).header("X-Request-Id", "same")).await;
            assert_eq!(answer.status, 404);
            assert_eq!(first.get_or_insert_with(|| answer.body.clone()), &answer.body, "{accept} {id}");
        }
    }
}

#[tokio::test]
async fn control_characters_in_ids_tokens_and_texts_are_refused_before_the_database() {
    let gateway = Gateway::start().await;
    let Created { id, .. } = gateway.create().await;
    let token = gateway.key.expose();
    for bad in ["%00", "%1F", "%7F", "%C2%80", "%0D%0AX:y", "%FF"] {
        let path = format!("/v2/session/info?instance_id={id}{bad}");
        assert_eq!(gateway.get(&path, token).await.error(), (400, "invalid_parameter".into()), "{bad}");
        let path = format!("/v2/session/info?access_token={token}{bad}");
        assert_eq!(Answer::of(gateway.request("GET", &path)).await.error(), (401, "unauthorized".into()), "{bad}");
        let path = format!("/v2/session/list?cursor={bad}&status={bad}");
        assert_eq!(gateway.get(&path, token).await.error(), (400, "invalid_parameter".into()), "{bad}");
    }
    for bad in ["\\u0000", "\\ud800", "\\udc00x"] {
        for body in [format!("{{\"name\":\"{bad}\"}}"), format!("{{\"metadata\":{{\"a\":[\"{bad}\"]}}}}")] {
            let request = gateway.request("POST", "/v2/session/create").bearer_auth(token).body(body.clone());
            assert_eq!(Answer::of(request).await.error(), (400, "malformed_body".into()), "{body}");
        }
    }
    let form = |name: &str| {
        let request = gateway.request("POST", "/v2/session/create").bearer_auth(token);
        request.header("Content-Type", "application/x-www-form-urlencoded").body(format!("name={name}"))
    };
    assert_eq!(Answer::of(form("%00")).await.error(), (400, "invalid_parameter".into()));
    let answer = gateway.post("/v2/session/create", token, json!({"name": "a\u{7}b"})).await;
    assert_eq!(answer.error(), (400, "invalid_parameter".into()));
}

#[tokio::test]
async fn thousands_of_fields_are_read_and_each_is_compared_with_its_namesake() {
    let gateway = Gateway::start().await;
    let token = gateway.key.expose();
    let fields = (0..9_900).map(|number| format!("&{number:x}=1")).collect::<Vec<_>>().concat();
    let form = |more: &str| {
        let request = gateway.request("POST", "/v2/session/list").bearer_auth(token);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(format!("limit=1{fields}{more}"))
    };
    assert_eq!(Answer::of(form("&0=1")).await.status, 200);
    assert_eq!(Answer::of(form("&0=2")).await.error(), (400, "conflicting_parameter".into()));
    let keys: Value =
        (0..6_000).map(|number| (format!("{number:x}"), json!(1))).collect::<serde_json::Map<_, _>>().into();
    assert_eq!(gateway.post("/v2/session/list", token, keys).await.status, 200);
}
