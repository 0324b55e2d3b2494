//! Events of sessions, from the true engine to the log, its pages and its streams.

use std::time::{Duration, Instant};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::event_stream::EventStream;
use crate::support::gateway::Gateway;
use crate::support::network::http;
use crate::support::wait::until;

async fn stream(client: &Client, instance: &str, after: i64) -> EventStream {
    let url = format!("{}/v2/events?instance_id={instance}&after={after}", client.url());
    EventStream::of(http().get(url).bearer_auth(client.key())).await
}

/// Everything that the log of an instance holds.
async fn log(client: &Client, instance: &str) -> Vec<Value> {
    let (mut events, mut after) = (Vec::new(), 0);
    loop {
        let url = format!("{}/v2/events?instance_id={instance}&after={after}&limit=50", client.url());
        let response = http().get(url).bearer_auth(client.key()).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let page: Value = response.json().await.unwrap();
        events.extend(page["events"].as_array().unwrap().iter().cloned());
        match page["next"].as_i64() {
            Some(next) => after = next,
            None => return events,
        }
    }
}

fn gap_free(events: &[Value]) -> bool {
    events.iter().zip(1..).all(|(event, seq)| event["seq"] == seq)
}

/// Status and reason of each `session.status`.
fn statuses(events: &[Value]) -> Vec<(&str, Option<&str>)> {
    let statuses = events.iter().filter(|event| event["event"] == "session.status");
    statuses.map(|e| (e["payload"]["status"].as_str().unwrap(), e["payload"]["reason"].as_str())).collect()
}

fn is_working(kind: &str, envelope: &Value) -> bool {
    kind == "session.status" && envelope["payload"]["status"] == "WORKING"
}

#[tokio::test(flavor = "multi_thread")]
async fn the_linking_of_a_phone_is_told_from_the_first_status_to_the_last_and_never_its_code() {
    let gateway = Gateway::start().await;
    gateway.network.hurry(20).await;
    let instance = gateway.client.create("told").await;
    let mut live = stream(&gateway.client, &instance, 0).await;
    let mut values = vec![gateway.client.code(&instance).await.0];
    // A second code, so that a rotation is told too.
    values.push(
        until("the code rotates", || async {
            let (value, _) = gateway.client.code(&instance).await;
            (value != values[0]).then_some(value)
        })
        .await,
    );
    let number = gateway.network.phone().await;
    gateway.client.scan(&gateway.network, &instance, &number).await;
    let streamed: Vec<Value> = live.until(is_working).await.into_iter().map(|(_, _, envelope)| envelope).collect();
    assert!(gap_free(&streamed), "{streamed:?}");
    let told = statuses(&streamed);
    let expected = [("STARTING", None), ("SCAN_QR_CODE", None), ("STARTING", Some("pairing")), ("WORKING", None)];
    assert_eq!(told, expected);
    let last = streamed.last().unwrap();
    assert_eq!((&last["me"]["id"], &last["payload"]["linked"]), (&json!(format!("{number}@c.us")), &json!(true)));
    assert_eq!(last["session"], format!("wagate-{}", instance.to_lowercase()));

    let codes: Vec<&Value> = streamed.iter().filter(|event| event["event"] == "session.qr").collect();
    let attempts: Vec<i64> = codes.iter().map(|event| event["payload"]["attempt"].as_i64().unwrap()).collect();
    assert!(attempts.len() >= 2 && attempts.is_sorted() && attempts[0] == 1, "{attempts:?}");
    assert!(codes.iter().all(|event| event["payload"].as_object().unwrap().len() == 3));
    // What a page tells is what the stream told.
    let paged = log(&gateway.client, &instance).await;
    assert_eq!(paged[..streamed.len()], streamed);
    let paged = serde_json::to_string(&paged).unwrap();
    for part in values.iter().flat_map(|value| value.split(',')).filter(|part| part.len() > 8) {
        assert!(!live.text.contains(part) && !paged.contains(part), "a part of the code was told");
    }
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_of_the_gateway_ends_streams_at_once_and_loses_nothing() {
    let mut gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let mut before = stream(&gateway.client, &instance, 0).await;
    before.until(is_working).await;
    let last = before.last_id.unwrap();
    let began = Instant::now();
    gateway.restart().await;
    let took = began.elapsed();
    assert!(took < Duration::from_secs(15), "the drain waited for the stream: {took:?}");
    assert!(before.ends_within(Duration::from_secs(5)).await.is_empty());

    let mut after = stream(&gateway.client, &instance, last).await;
    let told = after.until(is_working).await;
    assert_eq!(told[0].0, last + 1);
    assert_eq!(told[0].2["payload"]["reason"], "reconnecting");
    assert_eq!(told[0].2["me"]["id"], format!("{number}@c.us"));
    assert!(gap_free(&log(&gateway.client, &instance).await));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn any_node_streams_what_the_owner_logs_and_a_client_may_change_over() {
    let owner = Gateway::with(|config| config.node.name = "owner".into()).await;
    let other = owner
        .beside(|config| {
            config.node.name = "other".into();
            config.node.reconcile_interval = Duration::from_hours(1);
        })
        .await;
    let (instance, _) = owner.client.linked(&owner.network).await;
    let mut there = stream(&other.client, &instance, 0).await;
    there.until(is_working).await;
    let (status, _) = owner.client.post("/v2/session/stop", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::OK);
    let (seq, _, envelope) = there.event().await;
    assert_eq!(envelope["payload"]["status"], "STOPPED");
    drop(there);
    let (status, _) = owner.client.post("/v2/session/start", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::OK);
    let mut here = stream(&owner.client, &instance, seq).await;
    let told = here.until(is_working).await;
    assert_eq!(told.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), (seq + 1..=seq + 2).collect::<Vec<_>>());
    other.stop().await;
    owner.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_told_before_a_logout_is_readable_after_it() {
    let gateway = Gateway::start().await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let (status, body) = gateway.client.post("/v2/session/logout", &json!({ "instance_id": instance })).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let told = log(&gateway.client, &instance).await;
    assert!(gap_free(&told) && told.iter().all(|event| event["payload"].is_object()), "{told:?}");
    assert_eq!(statuses(&told).last(), Some(&("STOPPED", None)));
    assert!(told.iter().any(|event| event["me"]["id"] == format!("{number}@c.us")));
    gateway.stop().await;
}
