//! Codes to type: who gets one, for which number, how often.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use wagate::domain::link_code::LinkCode;
use wagate::domain::phone_number::PhoneNumber;
use wagate::domain::session::Status;
use wagate::supervisor::QrRefusalKind;

use super::gateway::{Created, Gateway};
use super::script::later;

const PATH: &str = "/v2/auth/request-code";

async fn showing() -> (Gateway, Created) {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    let number = PhoneNumber::parse("201012345678").unwrap();
    let code = LinkCode::new("AB12CD34", number, later(gateway.now(), 180)).unwrap();
    gateway.script.set(created.id, |view| {
        (view.status, view.link_code) = (Status::ScanQrCode, Some(Arc::new(code)));
    });
    (gateway, created)
}

#[tokio::test]
async fn a_code_comes_in_two_halves_with_its_expiry_and_leaves_one_line_in_the_audit_log() {
    let (gateway, Created { token, .. }) = showing().await;
    for _ in 0..2 {
        let answer = gateway.post(PATH, &token, json!({ "phone_number": "+201012345678" })).await;
        let expiry = later(gateway.now(), 180).timestamp_millis();
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "code": "AB12-CD34", "expiry": expiry })));
        assert_eq!(answer.header("cache-control"), "no-store");
    }
    let audit = gateway.audit().await;
    assert_eq!(audit.iter().filter(|(action, ..)| action == "link_code.shown").count(), 1);
    let told: String = sqlx::query_scalar("SELECT string_agg(detail::text, '') FROM audit_log")
        .fetch_one(gateway.database.pool())
        .await
        .unwrap();
    assert!(!told.contains("AB12") && !told.contains("2010"), "{told}");
}

#[tokio::test]
async fn a_number_is_taken_as_people_type_it_and_as_a_number() {
    let gateway = Gateway::with(|config| config.limits.link_code_burst = 100).await;
    let Created { token, .. } = gateway.create().await;
    for number in [json!("+20 (10) 1234-5678"), json!("201012345678"), json!(201_012_345_678_u64)] {
        gateway.post(PATH, &token, json!({ "phone_number": number, "wait": 0 })).await;
        assert_eq!(gateway.script.calls.lock().last().unwrap(), "request_code 201012345678 0");
    }
}

#[tokio::test]
async fn a_number_that_is_none_is_named_with_every_other_problem() {
    let (gateway, Created { token, .. }) = showing().await;
    let missing = gateway.post(PATH, &token, json!({ "wait": 26 })).await;
    assert_eq!(missing.error(), (400, "missing_parameter".into()));
    let expected = json!([
        { "name": "phone_number", "problem": "is missing" },
        { "name": "wait", "problem": "must be a whole number from 0 to 25" },
    ]);
    assert_eq!(missing.json()["parameters"], expected);
    for (number, words) in [
        (json!("01012345678"), "country code"),
        (json!("12345"), "7 to 15 digits"),
        (json!("twenty"), "digits"),
        (json!(true), "phone number"),
        (json!(["201012345678"]), "phone number"),
        (json!(-201_012_345_678_i64), "digits"),
    ] {
        let answer = gateway.post(PATH, &token, json!({ "phone_number": number })).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{number}");
        let problem = answer.json()["parameters"][0]["problem"].as_str().unwrap().to_owned();
        assert!(problem.contains(words), "{number}: {problem}");
    }
    assert!(!gateway.script.calls.lock().iter().any(|call| call.starts_with("request_code")), "no session was asked");
}

#[tokio::test]
async fn an_instance_gets_three_at_once_and_one_every_ten_seconds() {
    let (gateway, Created { token, .. }) = showing().await;
    let ask = || gateway.post(PATH, &token, json!({ "phone_number": "201012345678" }));
    for left in ["2", "1", "0"] {
        let answer = ask().await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("ratelimit").starts_with(&format!("\"link-code\";r={left}")), "{:?}", answer.headers);
    }
    let refused = ask().await;
    assert_eq!(refused.error(), (429, "rate_limited".into()));
    assert_eq!(refused.header("retry-after"), "10");
    gateway.advance_ticks(Duration::from_secs(10));
    assert_eq!(ask().await.status, 200);
    let other = gateway.create().await;
    let answer = gateway.post(PATH, &other.token, json!({ "phone_number": "201012345678" })).await;
    assert_eq!(answer.status, 422, "another instance has its own");
}

#[tokio::test]
async fn a_refusal_of_whatsapp_is_a_502_that_says_so() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    *gateway.script.refusal.lock() = Some(QrRefusalKind::UpstreamRefused);
    let answer = gateway.post(PATH, &token, json!({ "phone_number": "201012345678" })).await;
    assert_eq!(answer.error(), (502, "upstream_refused".into()));
    assert_eq!(answer.header("retry-after"), "10");
    assert!(!answer.text().contains("2010"));
}

#[tokio::test]
async fn it_is_posted() {
    let (gateway, Created { token, .. }) = showing().await;
    let answer = gateway.get(&format!("{PATH}?phone_number=201012345678"), &token).await;
    assert_eq!((answer.error(), answer.header("allow")), ((405, "method_not_allowed".into()), "POST"));
}
