//! Each fault of the network, and the state that the session must show and leave. Deadlines are shortened by
//! configuration; the tests wait on states.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use wagate::config::Config;

use crate::support::gateway::Gateway;
use crate::support::wait::until;

/// Deadlines and pauses of a fraction of a second.
fn hasty(config: &mut Config) {
    config.session.backoff_min = Duration::from_millis(20);
    config.session.backoff_max = Duration::from_millis(200);
    config.session.first_code_deadline = Duration::from_secs(2);
    config.session.login_deadline = Duration::from_secs(2);
    config.session.breaker_failures = 1_000_000;
}

/// What a request for a code is told right now.
async fn refusal(gateway: &Gateway, instance: &str) -> (StatusCode, serde_json::Value) {
    gateway.client.post("/v2/auth/qr", &json!({ "instance_id": instance, "wait": 0 })).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_that_never_gets_a_code_is_stalled_and_a_request_heals_it() {
    let gateway = Gateway::with(|config| {
        hasty(config);
        config.session.first_code_deadline = Duration::from_millis(300);
        config.session.max_stalls = 3;
    })
    .await;
    let fault = gateway.network.fault(&json!({ "kind": "no_code" })).await;
    let instance = gateway.client.create("stalled").await;
    let failed = gateway.client.reaches(&instance, "FAILED").await;
    assert_eq!(failed["reason"], "stalled");
    gateway.network.mend(&fault).await;
    gateway.client.code(&instance).await;
    gateway.client.reaches(&instance, "SCAN_QR_CODE").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_linked_instance_is_never_given_up_however_long_the_network_refuses() {
    let gateway = Gateway::with(hasty).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let fault = gateway.network.fault(&json!({ "kind": "refuse" })).await;
    gateway.network.fault(&json!({ "kind": "drop" })).await;
    let away = until("it knows that WhatsApp is out of reach", || async {
        let info = gateway.client.info(&instance).await;
        (info["reason"] == "upstream_unreachable").then_some(info)
    })
    .await;
    assert_eq!((&away["status"], &away["linked"]), (&json!("STARTING"), &json!(true)));
    let (status, body) = refusal(&gateway, &instance).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("already_linked")));
    gateway.network.mend(&fault).await;
    gateway.client.reaches(&instance, "WORKING").await;
    assert_eq!(gateway.network.device_of(&number).await.unwrap()["most_live_sockets"], 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_network_is_left_and_tried_again() {
    let gateway = Gateway::with(|config| {
        hasty(config);
        config.engine.connect_timeout = Duration::from_secs(1);
    })
    .await;
    let fault = gateway.network.fault(&json!({ "kind": "half_open" })).await;
    let instance = gateway.client.create("half-open").await;
    until("it knows that WhatsApp is out of reach", || async {
        (gateway.client.info(&instance).await["reason"] == "upstream_unreachable").then_some(())
    })
    .await;
    gateway.network.mend(&fault).await;
    gateway.client.reaches(&instance, "SCAN_QR_CODE").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_fails_with_its_reason_and_a_request_for_a_code_does_not_lift_it() {
    let gateway = Gateway::with(hasty).await;
    let (instance, _) = gateway.client.linked(&gateway.network).await;
    let fault = gateway.network.fault(&json!({ "kind": "ban" })).await;
    let failed = gateway.client.reaches(&instance, "FAILED").await;
    assert_eq!(failed["reason"], "banned");
    let (status, body) = refusal(&gateway, &instance).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
    assert_eq!(gateway.client.info(&instance).await["status"], "FAILED");
    gateway.network.mend(&fault).await;
    gateway.client.post("/v2/session/start", &json!({ "instance_id": instance })).await;
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outdated_client_fails_with_its_reason_until_it_is_started_again() {
    let gateway = Gateway::with(hasty).await;
    let (instance, _) = gateway.client.linked(&gateway.network).await;
    let fault = gateway.network.fault(&json!({ "kind": "outdated" })).await;
    let failed = gateway.client.reaches(&instance, "FAILED").await;
    assert_eq!(failed["reason"], "client_outdated");
    gateway.network.mend(&fault).await;
    gateway.client.post("/v2/session/start", &json!({ "instance_id": instance })).await;
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replaced_device_says_so_and_tries_once_more() {
    let gateway = Gateway::with(|config| {
        hasty(config);
        config.session.replaced_retry = Duration::from_secs(3);
    })
    .await;
    let (instance, _) = gateway.client.linked(&gateway.network).await;
    gateway.network.fault(&json!({ "kind": "replace" })).await;
    let failed = gateway.client.reaches(&instance, "FAILED").await;
    assert_eq!((&failed["reason"], &failed["linked"]), (&json!("replaced"), &json!(true)));
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_that_nobody_asked_for_run_out_and_a_request_brings_new_ones() {
    let gateway = Gateway::with(|config| {
        hasty(config);
        config.session.demand_window = Duration::from_millis(1);
    })
    .await;
    gateway.network.hurry(100).await;
    let instance = gateway.client.create("forgotten").await;
    let failed = gateway.client.reaches(&instance, "FAILED").await;
    assert_eq!(failed["reason"], "qr_not_scanned");
    gateway.client.code(&instance).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logging_out_while_whatsapp_is_out_of_reach_changes_nothing_unless_forced() {
    let gateway = Gateway::with(hasty).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let fault = gateway.network.fault(&json!({ "kind": "refuse" })).await;
    gateway.network.fault(&json!({ "kind": "drop" })).await;
    gateway.client.reaches(&instance, "STARTING").await;
    let (status, body) = gateway.client.post("/v2/session/logout", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::BAD_GATEWAY, "{body}");
    assert_eq!(gateway.client.info(&instance).await["linked"], true);

    let forced = json!({ "instance_id": instance, "force": true });
    let (status, body) = gateway.client.post("/v2/session/logout", &forced).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(gateway.client.info(&instance).await["linked"], false);
    gateway.network.mend(&fault).await;
    assert!(gateway.network.device_of(&number).await.is_some(), "the phone still lists it, as the answer said");
    gateway.stop().await;
}
