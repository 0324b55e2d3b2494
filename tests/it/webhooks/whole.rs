//! The whole gateway: a webhook made by the API is told what is logged, across a restart and by another node.

use serde_json::json;
use uuid::Uuid;
use wagate::config::Config;
use wagate::domain::clock::{Clock as _, SystemClock};
use wagate::domain::event::{Draft, EventKind};
use wagate::domain::instance::InstanceId;
use wagate::domain::lease::{Fence, NodeId};
use wagate::store::event;
use wagate::store::vault::Vault;

use crate::support::gateway::Gateway;
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::wait::until;

/// Logs a message under the lease of whichever node has the instance, as that node would. It rings no bell: the webhooks'
/// task finds it by itself.
async fn happen(gateway: &Gateway, id: InstanceId) {
    let store = gateway.database.store();
    let vault = Vault::open(&Config::defaults().vault, &gateway.data_dir(), store.pool()).await.unwrap();
    until("an event is logged", || async {
        let (node, epoch): (Option<Uuid>, i64) =
            sqlx::query_as("SELECT node_id, epoch FROM instance_lease WHERE instance_id = $1")
                .bind(id.as_str())
                .fetch_one(store.pool())
                .await
                .unwrap();
        let fence = Fence { node_id: NodeId(node?), epoch };
        let draft =
            Draft { kind: EventKind::Message, at: SystemClock.now(), chat: None, payload: json!({"body": "Hi"}) };
        let mut tx = store.begin().await.unwrap();
        let cipher = vault.cipher(&mut tx, id).await.unwrap();
        let last = event::record(&mut tx, &cipher, (id, fence), &json!(null), vec![draft]).await.unwrap();
        tx.commit().await.unwrap();
        last
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_logged_is_told_once_and_in_order_across_a_restart() {
    let mut gateway = Gateway::with(|config| config.webhook.allow_private = vec!["127.0.0.1".into()]).await;
    let receiver = Receiver::start().await;
    let body = json!({"url": receiver.url(), "events": ["message"]});
    let (status, _) = gateway.client.post("/v2/webhooks", &body).await;
    assert_eq!(status, 201);
    let id = InstanceId::parse(&gateway.client.create("told").await).unwrap();
    happen(&gateway, id).await;
    receiver.has(1).await;
    receiver.answer(|_| Reply::Status(503));
    happen(&gateway, id).await;
    receiver.has(2).await;
    receiver.answer(|_| Reply::Status(200));
    gateway.restart().await;
    happen(&gateway, id).await;
    let received = receiver.has(4).await;
    let numbers: Vec<i64> = received.iter().map(Received::seq).collect();
    let mut firsts = numbers.clone();
    firsts.dedup();
    assert_eq!((numbers.len(), firsts.len()), (4, 3), "{numbers:?}: the second was tried twice");
    assert!(numbers.is_sorted(), "{numbers:?}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleting_an_account_takes_its_webhooks_and_the_key_of_their_secrets() {
    let gateway = Gateway::start().await;
    let (status, account) = gateway.operator.post("/v2/admin/accounts", &json!({"name": "short-lived"})).await;
    assert_eq!(status, 201, "{account}");
    let client = gateway.client.with_key(account["key"]["access_token"].as_str().unwrap_or_default());
    let (status, made) = client.post("/v2/webhooks", &json!({"url": "https://example.com/hook"})).await;
    assert_eq!(status, 201, "{made}");
    let path = format!("/v2/admin/accounts/{}", account["account_id"].as_str().unwrap());
    gateway.operator.call(reqwest::Method::DELETE, &path, &json!({})).await;
    for query in ["SELECT count(*) FROM webhook_endpoint", "SELECT count(*) FROM account_key"] {
        let left: i64 = sqlx::query_scalar(query).fetch_one(gateway.database.pool()).await.unwrap();
        assert_eq!(left, 0, "{query}");
    }
    gateway.stop().await;
}
