//! The main job, from an empty gateway to WORKING and back, on the true engine and the real protocol.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::support::client::decode_envelope;
use crate::support::gateway::Gateway;
use crate::support::wait::until;

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_is_created_scanned_and_working() {
    let gateway = Gateway::start().await;
    let client = &gateway.client;
    let (status, created) = client.post("/v2/session/create", &json!({ "name": "shop-7" })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    assert_eq!(created["status"], "STARTING");
    let instance = created["instance_id"].as_str().unwrap();

    let waiting = client.reaches(instance, "SCAN_QR_CODE").await;
    assert_eq!(waiting["qr"]["attempt"], 1);
    assert_eq!(waiting["qr"]["max_attempts"], 6);
    assert_eq!(waiting["linked"], false);

    let number = gateway.network.phone().await;
    client.scan(&gateway.network, instance, &number).await;
    let working = client.reaches(instance, "WORKING").await;
    assert_eq!(working["me"]["id"], format!("{number}@c.us"));
    assert_eq!(working["linked"], true);
    assert_eq!(working["liveness"]["connected"], true);
    assert!(working["qr"].is_null());

    let (status, refused) = client.post("/v2/auth/qr", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(refused["code"], "already_linked");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_rendition_of_an_instant_decodes_to_the_value_of_the_envelope() {
    let gateway = Gateway::start().await;
    // As many codes as the network gives: rotated in a hurry, compared while they last.
    gateway.network.hurry(20).await;
    let mut compared = 0;
    let mut instances = Vec::new();
    while compared < 100 {
        let instance = gateway.client.create("codes").await;
        let ask = json!({ "instance_id": instance, "wait": 25 });
        let (status, envelope) = gateway.client.post("/v2/auth/qr", &ask).await;
        assert_eq!(status, StatusCode::OK, "{envelope}");
        for scale in [4, 8, 13, 16] {
            let code = decode_envelope(&envelope);
            let with = |format: &str| json!({ "instance_id": instance, "format": format, "scale": scale });
            let png = gateway.client.bytes("/v2/auth/qr", &with("png")).await;
            let text = String::from_utf8(gateway.client.bytes("/v2/auth/qr", &with("text")).await).unwrap();
            let svg = String::from_utf8(gateway.client.bytes("/v2/auth/qr", &with("svg")).await).unwrap();
            let (_, again) = gateway.client.post("/v2/auth/qr", &ask).await;
            if decode_envelope(&again) != code {
                // It rotated in between: these are renditions of two codes.
                break;
            }
            assert_eq!(crate::support::decode::png(&png), code.0);
            assert_eq!(crate::support::decode::text(&text), code.0);
            assert_eq!(crate::support::decode::svg(&svg), code.0);
            compared += 1;
        }
        instances.push(instance);
        assert!(instances.len() < 100, "only {compared} instants could be compared");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopped_and_started_it_works_again_without_a_scan() {
    let gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let it = json!({ "instance_id": instance });

    let (status, _) = gateway.client.post("/v2/session/stop", &it).await;
    assert_eq!(status, StatusCode::OK);
    let stopped = gateway.client.reaches(&instance, "STOPPED").await;
    assert_eq!(stopped["linked"], true);
    until("the network sees it gone", || async {
        (gateway.network.device_of(&number).await?["connected"] == false).then_some(())
    })
    .await;

    gateway.client.post("/v2/session/start", &it).await;
    let working = gateway.client.reaches_within(Duration::from_secs(10), &instance, "WORKING").await;
    assert_eq!(working["me"]["id"], format!("{number}@c.us"));
    assert_eq!(gateway.network.device_of(&number).await.unwrap()["most_live_sockets"], 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_was_stopped_in_order_comes_back_with_every_link() {
    let mut gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    gateway.restart().await;
    gateway.client.reaches_within(Duration::from_secs(10), &instance, "WORKING").await;
    let device = gateway.network.device_of(&number).await.unwrap();
    assert_eq!(device["most_live_sockets"], 1, "{device}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forgotten_tab_that_polls_a_stopped_linked_instance_starts_nothing() {
    let gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let it = json!({ "instance_id": instance });
    gateway.client.post("/v2/session/stop", &it).await;
    gateway.client.reaches(&instance, "STOPPED").await;
    let logins = gateway.network.device_of(&number).await.unwrap()["logins"].clone();
    for _ in 0..20 {
        for route in ["/v2/auth/qr", "/v2/auth/qr-image"] {
            let (status, body) = gateway.client.post(route, &json!({ "instance_id": instance, "wait": 0 })).await;
            assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("already_linked")), "{body}");
        }
    }
    let info = gateway.client.info(&instance).await;
    assert_eq!((&info["status"], &info["desired"]), (&json!("STOPPED"), &json!("stopped")));
    assert_eq!(gateway.network.device_of(&number).await.unwrap()["logins"], logins);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logged_out_its_keys_are_gone_from_the_database_and_a_request_brings_a_new_code() {
    let gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let rows = || async {
        let count = "SELECT count(*) FROM engine_state WHERE instance_id = $1";
        sqlx::query_scalar::<_, i64>(count).bind(&instance).fetch_one(gateway.database.pool()).await.unwrap()
    };
    let key = || async {
        let wrapped = "SELECT wrapped FROM instance_key WHERE instance_id = $1";
        sqlx::query_scalar::<_, Vec<u8>>(wrapped).bind(&instance).fetch_optional(gateway.database.pool()).await.unwrap()
    };
    assert!(rows().await > 0);
    let old_key = key().await;
    let (status, body) = gateway.client.post("/v2/session/logout", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    assert_eq!(gateway.client.info(&instance).await["linked"], false);
    assert_eq!(rows().await, 0);
    assert_ne!(key().await, old_key, "what a backup still holds stays readable");
    assert!(gateway.network.device_of(&number).await.is_none(), "the phone still lists it");

    let other = gateway.network.phone().await;
    gateway.client.scan(&gateway.network, &instance, &other).await;
    let working = gateway.client.reaches(&instance, "WORKING").await;
    assert_eq!(working["me"]["id"], format!("{other}@c.us"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn logged_out_from_the_phone_it_says_so_and_a_request_starts_anew() {
    let gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    gateway.network.unlink(&number).await;
    let failed = gateway.client.reaches(&instance, "FAILED").await;
    assert_eq!((&failed["reason"], &failed["linked"]), (&json!("logged_out"), &json!(false)));
    gateway.client.scan(&gateway.network, &instance, &number).await;
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_instance_is_gone_everywhere() {
    let gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let it = json!({ "instance_id": instance });
    let (status, body) = gateway.client.call(Method::DELETE, "/v2/session/delete", &it).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let (status, body) = gateway.client.post("/v2/session/info", &it).await;
    assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("session_not_found")));
    assert!(gateway.network.device_of(&number).await.is_none(), "the phone still lists it");
    for table in ["engine_state", "instance_key", "session", "instance_lease", "api_token"] {
        let count = format!("SELECT count(*) FROM {table} WHERE instance_id = $1");
        let left: i64 = sqlx::query_scalar(sqlx::AssertSqlSafe(count))
            .bind(&instance)
            .fetch_one(gateway.database.pool())
            .await
            .unwrap();
        assert_eq!(left, 0, "{table}");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whatsapp_out_of_reach_is_a_502_and_mends_itself() {
    let gateway = Gateway::with(|config| config.session.backoff_max = Duration::from_secs(2)).await;
    let fault = gateway.network.fault(&json!({ "kind": "refuse" })).await;
    let instance = gateway.client.create("early").await;
    until("the gateway knows", || async {
        let ask = json!({ "instance_id": instance, "wait": 0 });
        let (status, body) = gateway.client.post("/v2/auth/qr", &ask).await;
        assert_ne!(status, StatusCode::OK);
        (status == StatusCode::BAD_GATEWAY).then(|| assert_eq!(body["code"], "upstream_unreachable"))
    })
    .await;
    let info = gateway.client.info(&instance).await;
    assert_eq!((&info["status"], &info["reason"]), (&json!("STARTING"), &json!("upstream_unreachable")));
    gateway.network.mend(&fault).await;
    gateway.client.reaches(&instance, "SCAN_QR_CODE").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_comes_back_by_itself() {
    let gateway = Gateway::with(|config| config.session.backoff_max = Duration::from_secs(2)).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let before = gateway.network.device_of(&number).await.unwrap()["logins"].as_u64().unwrap();
    gateway.network.fault(&json!({ "kind": "drop" })).await;
    until("it has logged in again and works", || async {
        let device = gateway.network.device_of(&number).await?;
        let info = gateway.client.info(&instance).await;
        (device["logins"].as_u64()? > before && info["status"] == "WORKING").then_some(())
    })
    .await;
    assert_eq!(gateway.network.device_of(&number).await.unwrap()["most_live_sockets"], 1);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_not_working() {
    let gateway = Gateway::with(|config| {
        config.session.liveness_timeout = Duration::from_secs(3);
        config.engine.request_timeout = Duration::from_secs(2);
        config.session.backoff_max = Duration::from_secs(1);
    })
    .await;
    let (instance, _) = gateway.client.linked(&gateway.network).await;
    let fault = gateway.network.fault(&json!({ "kind": "silent" })).await;
    let deaf = gateway.client.reaches(&instance, "STARTING").await;
    assert_eq!(deaf["linked"], true);
    gateway.network.mend(&fault).await;
    gateway.client.reaches(&instance, "WORKING").await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn codes_rotate_and_are_counted() {
    let gateway = Gateway::start().await;
    gateway.network.hurry(20).await;
    let instance = gateway.client.create("patient").await;
    let mut seen = Vec::new();
    until("three codes were shown", || async {
        let info = gateway.client.info(&instance).await;
        Some((info["qr"]["attempt"].as_u64()?, info["qr"]["expires_at"].as_i64()?))
    })
    .await;
    while seen.len() < 3 {
        let (value, expiry) = gateway.client.code(&instance).await;
        if seen.last().is_none_or(|(last, _)| *last != value) {
            seen.push((value, expiry));
        }
        tokio::task::yield_now().await;
    }
    assert!(seen.windows(2).all(|pair| pair[0].1 < pair[1].1), "expiries grow");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gateway_that_stops_in_order_leaves_no_lease_behind() {
    let gateway = Gateway::start().await;
    // Requests at once make the HTTP workers ask for connections, and those must outlive the workers.
    let clients = (0..16).map(|number| {
        let client = gateway.client.clone();
        async move { client.create(&format!("leaving-{number}")).await }
    });
    for instance in futures_util::future::join_all(clients).await {
        gateway.client.reaches(&instance, "SCAN_QR_CODE").await;
    }
    let held = "SELECT count(*) FROM instance_lease WHERE node_id IS NOT NULL";
    let pool = gateway.database.pool().clone();
    let before: i64 = sqlx::query_scalar(held).fetch_one(&pool).await.unwrap();
    assert_eq!(before, 16);
    gateway.stop().await;
    let after: i64 = sqlx::query_scalar(held).fetch_one(&pool).await.unwrap();
    assert_eq!(after, 0);
}
