//! A link from its making to WORKING, through whichever node, over a restart.

use std::time::Duration;

use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::network::http;
use crate::support::wait::{PATIENCE, until};

const LINK: &str = "/v2/session/temp-link";
const INFO: &str = "/v2/session/info";

/// A visitor with a new link of the instance.
async fn visitor(gateway: &Gateway, it: &Value) -> Client {
    let (status, shown) = gateway.client.post(LINK, it).await;
    assert_eq!(status, StatusCode::OK, "{shown}");
    let link = shown["link"].as_str().expect("there is a link");
    let token = link.strip_prefix(&format!("{}/link/", gateway.url)).expect("it is at the listen address");
    gateway.client.with_key(token)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_visitor_links_a_phone_and_is_told_so_by_every_node_and_after_a_restart() {
    let mut gateway = Gateway::start().await;
    let instance = gateway.client.create("shop").await;
    let it = json!({ "instance_id": instance });
    let visitor = visitor(&gateway, &it).await;
    let number = gateway.network.phone().await;
    visitor.scan(&gateway.network, &instance, &number).await;
    let told = visitor.reaches(&instance, "WORKING").await;
    let masked = told["me"]["number"].as_str().expect("it has a number");
    assert!(masked.contains('*') && masked.starts_with(&number[..4]) && !told.to_string().contains(&number), "{told}");
    assert_eq!(told.as_object().unwrap().len(), 4, "status, reason, qr, me: {told}");

    let other = gateway.beside(|config| config.node.name = "other".into()).await;
    let (status, body) = visitor.at(&other.url).post("/v2/auth/qr", &it).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("already_linked")), "{body}");
    other.stop().await;

    let (minutes, secrets): (f64, i64) = sqlx::query_as(
        "SELECT extract(epoch FROM t.expires_at - l.linked_at)::float8 / 60, (SELECT count(*) FROM kept_secret)
         FROM link l JOIN api_token t ON t.id = l.token_id",
    )
    .fetch_one(gateway.database.pool())
    .await
    .unwrap();
    assert!((minutes - 10.0).abs() < 0.001, "it ends ten minutes after the pairing, not {minutes}");
    assert_eq!(secrets, 0, "and is shown no more");

    gateway.restart().await;
    gateway.client.reaches(&instance, "WORKING").await;
    assert_eq!(visitor.info(&instance).await["status"], "WORKING");
    gateway.network.unlink(&number).await;
    gateway.client.reaches(&instance, "FAILED").await;
    let (status, body) = visitor.post("/v2/auth/qr", &it).await;
    assert_eq!((status, &body["code"]), (StatusCode::FORBIDDEN, &json!("forbidden")), "{body}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_names_the_owner_of_each_instance_and_a_key_holds_at_every_node() {
    let owner = Gateway::with(|config| config.node.name = "owner".into()).await;
    let other = owner
        .beside(|config| {
            config.node.name = "other".into();
            config.node.advertise = String::new();
            config.node.reconcile_interval = Duration::from_hours(1);
        })
        .await;
    let key = [("idempotency-key", "one")];
    let create = "/v2/session/create";
    let first = owner.client.ask(create, &json!({}), &key).await.bytes().await.unwrap();
    let again = other.client.ask(create, &json!({}), &key).await;
    assert_eq!(again.headers()["idempotency-replayed"], "true");
    assert_eq!(again.bytes().await.unwrap(), first);

    for node in [&owner, &other] {
        let listed = until("the instance runs at its owner", || async {
            let (status, page) = node.client.call(Method::GET, "/v2/session/list", &json!({})).await;
            assert_eq!(status, StatusCode::OK, "{page}");
            (page["sessions"][0]["status"] != "STOPPED").then(|| page["sessions"][0].clone())
        })
        .await;
        assert_eq!(listed["server_name"], "owner");
        let (_, info) = node.client.post(INFO, &json!({ "instance_id": listed["instance_id"] })).await;
        assert_eq!(info["server_name"], "owner");
    }
    other.stop().await;
    owner.stop().await;
}

/// Reads on until the stream of a page tells a phase; what it told then.
async fn told(stream: &mut Response, unread: &mut String, phase: &str) -> Value {
    loop {
        while let Some((frame, rest)) = unread.split_once("\n\n") {
            let state: Option<Value> =
                frame.split_once("data: ").map(|(_, data)| serde_json::from_str(data).expect("it is JSON"));
            *unread = String::from(rest);
            if let Some(state) = state.filter(|state| state["phase"] == phase) {
                return state;
            }
        }
        let chunk = timeout(PATIENCE, stream.chunk()).await.expect("something comes in time");
        let chunk = chunk.expect("the stream is whole").expect("the stream goes on");
        unread.push_str(std::str::from_utf8(&chunk).expect("it is text"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_at_a_node_that_does_not_own_the_instance_goes_on_as_at_the_owner() {
    let owner = Gateway::start().await;
    let instance = owner.client.create("shop").await;
    let it = json!({ "instance_id": instance });
    owner.client.code(&instance).await;
    let (_, shown) = owner.client.post(LINK, &it).await;
    let path = shown["link"].as_str().expect("there is a link").strip_prefix(&owner.url).expect("it is at the owner");
    let other = owner
        .beside(|config| {
            config.node.name = "other".into();
            config.node.advertise = String::new();
            config.node.reconcile_interval = Duration::from_hours(1);
        })
        .await;
    let page = format!("{}{path}", other.url);
    let opened = http().get(&page).send().await.unwrap();
    assert_eq!(opened.status(), StatusCode::OK);
    assert!(opened.text().await.unwrap().contains("data-now=\"ready\""));

    let mut stream = http().get(format!("{page}/events?show=true")).send().await.unwrap();
    assert_eq!(stream.status(), StatusCode::OK);
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let mut unread = String::new();
    let scannable = told(&mut stream, &mut unread, "scan").await;
    assert!(scannable["qr"]["image"].as_str().unwrap().starts_with("data:image/png;base64,"), "{scannable}");
    let second = http().get(format!("{page}/events")).send().await.unwrap();
    let number = owner.network.phone().await;
    owner.client.scan(&owner.network, &instance, &number).await;
    let linked = told(&mut stream, &mut unread, "linked").await;
    assert!(linked["number"].as_str().unwrap().starts_with(&number[..4]), "{linked}");

    // A node that stops does not wait for the streams it carries.
    timeout(PATIENCE, other.stop()).await.expect("it stops");
    drop((stream, second));
    owner.stop().await;
}
