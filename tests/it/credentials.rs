//! Credentials over two nodes: what one is told, the other keeps to within five seconds.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::client::Client;
use crate::support::gateway::Gateway;
use crate::support::wait::{until, until_within};

/// Within what the product promises.
const PROMISE: Duration = Duration::from_secs(5);

async fn status(client: &Client, path: &str) -> u16 {
    client.call(Method::GET, path, &json!({})).await.0.as_u16()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revocation_and_a_setting_hold_on_every_node_within_five_seconds() {
    let here = Gateway::start().await;
    let there = here.beside(|_| {}).await;
    let (_, key) = here.client.post("/v2/account/keys", &json!({"name": "second"})).await;
    let second = there.client.with_key(key["access_token"].as_str().unwrap());
    assert_eq!(status(&second, "/v2/account").await, 200, "the other node takes it at once");
    let instance = here.client.create("shop").await;
    let stop = format!("/v2/session/stop?instance_id={instance}");
    assert_eq!(status(&second, &stop).await, 405);

    here.client.post("/v2/account", &json!({"allow_get_control": true})).await;
    until_within(PROMISE, "the setting holds", || async { (status(&second, &stop).await == 200).then_some(()) }).await;
    let path = format!("/v2/account/keys?token_id={}", key["token_id"].as_str().unwrap());
    let (revoked, body) = here.client.call(Method::DELETE, &path, &json!({})).await;
    assert_eq!(revoked, 200, "{body}");
    until_within(PROMISE, "the key is refused", || async {
        (status(&second, "/v2/account").await == 401).then_some(())
    })
    .await;
    assert_eq!(status(&there.client, "/v2/account").await, 200, "the other key goes on");
    there.stop().await;
    here.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_accounts_keys_end_and_its_instances_are_erased_whichever_node_owns_them() {
    let here = Gateway::start().await;
    let there = here.beside(|_| {}).await;
    let (_, created) = here.operator.post("/v2/admin/accounts", &json!({"name": "leaving"})).await;
    let key = created["key"]["access_token"].as_str().unwrap();
    let account = format!("/v2/admin/accounts/{}", created["account_id"].as_str().unwrap());
    let (at_here, at_there) = (here.client.with_key(key), there.client.with_key(key));
    let (_, number) = at_here.linked(&here.network).await;
    at_there.create("second").await;
    let staying = here.client.create("staying").await;

    let (refused, body) = there.operator.call(Method::DELETE, &account, &json!({})).await;
    assert_eq!((refused.as_u16(), &body["code"]), (409, &json!("account_has_instances")));
    let (deleted, body) = there.operator.call(Method::DELETE, &account, &json!({"force": true})).await;
    assert_eq!((deleted.as_u16(), &body["instances_left"]), (200, &json!(2)), "{body}");
    until_within(PROMISE, "both nodes refuse its key", || async {
        (status(&at_here, "/v2/account").await == 401 && status(&at_there, "/v2/account").await == 401).then_some(())
    })
    .await;
    until("its instances are gone", || async {
        let (_, body) = there.operator.call(Method::DELETE, &account, &json!({})).await;
        (body["instances_left"] == 0).then_some(())
    })
    .await;
    until("its phone lists no device any more", || async {
        here.network.device_of(&number).await.is_none().then_some(())
    })
    .await;
    here.client.info(&staying).await;
    there.stop().await;
    here.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_starts_operator_key_sees_the_account_and_every_node() {
    let here = Gateway::start().await;
    let there = here.beside(|config| config.node.name = "second".into()).await;
    let (_, accounts) = here.operator.call(Method::GET, "/v2/admin/accounts", &json!({})).await;
    assert_eq!(accounts["accounts"][0]["name"], "default");
    let instance = there.client.create("shop").await;
    there.client.reaches(&instance, "SCAN_QR_CODE").await;
    let (_, nodes) = here.operator.call(Method::GET, "/v2/admin/nodes", &json!({})).await;
    let owned = |node: &Value| node["instances"].as_u64().unwrap();
    let nodes = nodes["nodes"].as_array().unwrap();
    assert_eq!((nodes.len(), nodes.iter().map(owned).sum::<u64>()), (2, 1), "{nodes:?}");
    assert!(nodes.iter().any(|node| node["name"] == "second" && node["draining"] == false), "{nodes:?}");
    there.stop().await;
    here.stop().await;
}
