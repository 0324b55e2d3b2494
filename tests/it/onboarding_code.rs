//! Linking by a code that is typed into the phone, on the true engine and the real protocol.

use reqwest::StatusCode;
use serde_json::{Value, json};
use wagate::domain::clock::{Clock as _, SystemClock};

use crate::support::gateway::Gateway;
use crate::support::wait::until;

async fn request(gateway: &Gateway, instance: &str, number: &str) -> (StatusCode, Value) {
    let ask = json!({ "instance_id": instance, "phone_number": format!("+{number}"), "wait": 25 });
    gateway.client.post("/v2/auth/request-code", &ask).await
}

async fn code(gateway: &Gateway, instance: &str, number: &str) -> String {
    let (status, body) = request(gateway, instance, number).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    body["code"].as_str().unwrap().to_owned()
}

async fn type_code(gateway: &Gateway, number: &str, code: &str) -> (StatusCode, Value) {
    gateway.network.post(&format!("/phones/{number}/type-code"), &json!({ "code": code })).await
}

/// Another code of the same form.
fn altered(code: &str) -> String {
    let last = if code.ends_with('A') { 'B' } else { 'A' };
    format!("{}{last}", &code[..code.len() - 1])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_code_typed_into_the_phone_links_the_instance() {
    let gateway = Gateway::start().await;
    let instance = gateway.client.create("typed").await;
    let number = gateway.network.phone().await;
    // Asked for before there is anything to scan: it waits.
    let (status, first) = request(&gateway, &instance, &number).await;
    assert_eq!(status, StatusCode::OK, "{first}");
    let code = first["code"].as_str().unwrap();
    assert_eq!((code.len(), &code[4..5]), (9, "-"), "{code}");
    let left = first["expiry"].as_i64().unwrap() - SystemClock.now().timestamp_millis();
    assert!((100_000..=180_000).contains(&left), "{left} ms");
    assert_eq!(request(&gateway, &instance, &number).await, (StatusCode::OK, first.clone()), "the same while it lives");
    let info = gateway.client.info(&instance).await;
    assert!(!info.to_string().contains(code), "{info}");

    let (status, linked) = type_code(&gateway, &number, &code.to_lowercase()).await;
    assert_eq!((status, &linked["device"]), (StatusCode::OK, &json!(format!("{number}:1@s.whatsapp.net"))), "{linked}");
    let working = gateway.client.reaches(&instance, "WORKING").await;
    assert_eq!(working["me"]["id"], format!("{number}@c.us"));
    assert_eq!(gateway.network.device_of(&number).await.unwrap()["most_live_sockets"], 1);

    let (status, again) = request(&gateway, &instance, &number).await;
    assert_eq!((status, &again["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("already_linked")));
    let (status, used) = type_code(&gateway, &number, code).await;
    assert_eq!((status, &used["code"]), (StatusCode::CONFLICT, &json!("code_used")));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_code_links_nothing_and_the_right_one_still_does() {
    let gateway = Gateway::start().await;
    let instance = gateway.client.create("mistyped").await;
    let (number, other) = (gateway.network.phone().await, gateway.network.phone().await);
    let code = code(&gateway, &instance, &number).await;
    for (phone, typed, status, error) in [
        (&number, altered(&code), StatusCode::CONFLICT, "code_unknown"),
        (&other, code.clone(), StatusCode::CONFLICT, "code_unknown"),
        (&number, "hello".to_owned(), StatusCode::UNPROCESSABLE_ENTITY, "not_a_code"),
        (&"15550100000".to_owned(), code.clone(), StatusCode::NOT_FOUND, "phone_not_found"),
    ] {
        let (told, body) = type_code(&gateway, phone, &typed).await;
        assert_eq!((told, &body["code"]), (status, &json!(error)), "{typed}");
    }
    assert_eq!(gateway.client.info(&instance).await["status"], "SCAN_QR_CODE");
    let (status, body) = type_code(&gateway, &number, &code).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_of_the_codes_to_scan_ends_no_code_to_type() {
    let gateway = Gateway::start().await;
    let instance = gateway.client.create("unscanned").await;
    let number = gateway.network.phone().await;
    let code = code(&gateway, &instance, &number).await;
    gateway.network.hurry(100).await;
    let info = until("no code to scan is left", || async {
        let info = gateway.client.info(&instance).await;
        info["qr"].is_null().then_some(info)
    })
    .await;
    assert_eq!(info["status"], "SCAN_QR_CODE");
    let ask = json!({ "instance_id": instance, "wait": 0 });
    let (status, body) = gateway.client.post("/v2/auth/qr", &ask).await;
    assert_eq!((status, &body["recovering"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(true)), "{body}");
    let (status, body) = type_code(&gateway, &number, &code).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_number_gets_another_code_and_whatsapp_may_refuse() {
    let gateway = Gateway::start().await;
    let instance = gateway.client.create("second thoughts").await;
    let (first, second) = (gateway.network.phone().await, gateway.network.phone().await);
    let former = code(&gateway, &instance, &first).await;
    let (status, refused) = request(&gateway, &instance, "15550100000").await;
    assert_eq!((status, &refused["code"]), (StatusCode::BAD_GATEWAY, &json!("upstream_refused")), "nobody's number");
    assert_eq!(gateway.client.info(&instance).await["status"], "SCAN_QR_CODE", "a refusal harms nothing else");
    let latter = code(&gateway, &instance, &second).await;
    assert_ne!(former, latter);
    let (status, body) = type_code(&gateway, &second, &latter).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let working = gateway.client.reaches(&instance, "WORKING").await;
    assert_eq!(working["me"]["id"], format!("{second}@c.us"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_at_once_for_one_number_get_one_code() {
    let gateway = Gateway::start().await;
    let instance = gateway.client.create("impatient").await;
    let number = gateway.network.phone().await;
    let ask = || code(&gateway, &instance, &number);
    let (first, second, third) = tokio::join!(ask(), ask(), ask());
    assert_eq!((&first, &first), (&second, &third));
    let (status, body) = type_code(&gateway, &number, &first).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    gateway.stop().await;
}
