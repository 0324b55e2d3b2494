//! Linking where WhatsApp asks for a passkey, on the true engine and the real protocol.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::passkey::assertion;

const PATH: &str = "/v2/auth/passkey";

/// An instance whose code was scanned while the network asks for passkeys.
async fn asked(gateway: &Gateway) -> (String, String) {
    gateway.network.fault(&json!({ "kind": "passkey", "count": 1 })).await;
    let instance = gateway.client.create("careful").await;
    let number = gateway.network.phone().await;
    gateway.client.scan(&gateway.network, &instance, &number).await;
    gateway.client.reaches(&instance, "PASSKEY_REQUIRED").await;
    (instance, number)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_assertion_and_a_confirmation_link_the_instance() {
    let gateway = Gateway::start().await;
    let (instance, number) = asked(&gateway).await;
    let it = json!({ "instance_id": instance });
    let (status, refused) = gateway.client.post("/v2/auth/qr", &it).await;
    assert_eq!((status, &refused["recovering"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(false)), "{refused}");

    let (status, prompt) =
        gateway.client.call(Method::GET, &format!("{PATH}?instance_id={instance}"), &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{prompt}");
    let options = &prompt["publicKey"];
    let challenge = options["challenge"].as_str().unwrap();
    let hand_in = |assertion: Value| json!({ "instance_id": instance, "assertion": assertion });
    let (status, wrong) = gateway.client.post(PATH, &hand_in(assertion(options, "AQID"))).await;
    assert_eq!((status, &wrong["code"]), (StatusCode::BAD_GATEWAY, &json!("upstream_refused")), "{wrong}");
    assert_eq!(gateway.client.info(&instance).await["status"], "PASSKEY_REQUIRED", "and may be handed in again");
    let (status, taken) = gateway.client.post(PATH, &hand_in(assertion(options, challenge))).await;
    assert_eq!(status, StatusCode::OK, "{taken}");

    gateway.client.reaches(&instance, "PASSKEY_CONFIRMATION_REQUIRED").await;
    let (_, prompt) = gateway.client.call(Method::GET, &format!("{PATH}?instance_id={instance}"), &json!({})).await;
    assert_eq!(prompt["code"].as_str().unwrap().len(), 9, "{prompt}");
    let (status, confirmed) = gateway.client.post(PATH, &it).await;
    assert_eq!(status, StatusCode::OK, "{confirmed}");
    let working = gateway.client.reaches(&instance, "WORKING").await;
    assert_eq!(working["me"]["id"], format!("{number}@c.us"));

    let (status, over) = gateway.client.post(PATH, &it).await;
    assert_eq!((status, &over["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("session_status_mismatch")));
    assert_eq!(over["recovering"], false);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_is_asked_for_a_passkey_can_be_stopped_and_started_anew() {
    let gateway = Gateway::start().await;
    let (instance, _) = asked(&gateway).await;
    let it = json!({ "instance_id": instance });
    gateway.client.post("/v2/session/restart", &it).await;
    gateway.client.reaches(&instance, "SCAN_QR_CODE").await;
    let other = gateway.network.phone().await;
    gateway.client.scan(&gateway.network, &instance, &other).await;
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}
