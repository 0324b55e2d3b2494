//! What arrives, how it is signed, and in which order.

use chrono::TimeDelta;
use serde_json::json;
use standardwebhooks::Webhook;
use wagate::domain::event::EventKind;
use wagate::domain::instance::InstanceId;
use wagate::domain::webhook::{Header, Subscription};
use wagate::store::event;
use wagate::store::webhook::endpoint::KeptSecret;

use super::office::{OTHER_SHOP, Office, SECRET, SHOP};
use crate::support::receiver::{Received, Receiver, Reply};

fn verifies(secret: &str, received: &Received) -> bool {
    let mut headers = http::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, received.header(name).parse().unwrap());
    }
    Webhook::new(secret).unwrap().verify(&received.body, &headers).is_ok()
}

#[tokio::test]
async fn an_event_arrives_as_its_envelope_signed_and_with_the_accounts_own_headers() {
    let office = Office::new().await;
    let owned @ (id, _) = office.house.instance(SHOP).await;
    sqlx::query(r#"UPDATE instance SET metadata = '{"tier": 1}'"#).execute(office.house.pool()).await.unwrap();
    let receiver = Receiver::start().await;
    office
        .webhook(&receiver.url(), |_, confidential| {
            confidential.headers.push(Header::parse("Authorization", "Bearer abc").unwrap());
        })
        .await;
    let _worker = office.worker(1).await;
    office.happen(owned, 1).await;
    let received = receiver.has(1).await.remove(0);
    assert_eq!(received.path, "/hook?key=1");
    let told = received.json();
    assert_eq!(told["id"], format!("evt_{id}_1"));
    assert_eq!((&told["event"], &told["seq"], &told["instance_id"]), (&json!("message"), &json!(1), &json!(SHOP)));
    assert_eq!((&told["metadata"], &told["payload"]), (&json!({"tier": 1}), &json!({"body": "Hi"})));
    assert_eq!(told["me"], json!({"id": "15550100000@c.us"}));
    assert!(verifies(SECRET, &received));
    assert!(!verifies("whsec_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", &received));
    assert_eq!(received.header("webhook-id"), format!("evt_{id}_1"));
    assert_eq!(received.header("x-webhook-request-id"), format!("evt_{id}_1.1"));
    assert_eq!(received.header("x-webhook-timestamp"), office.now().timestamp_millis().to_string());
    assert_eq!(received.header("x-webhook-hmac-algorithm"), "sha512");
    assert_eq!(received.header("x-webhook-hmac").len(), 128);
    assert!(received.header("x-hub-signature-256").starts_with("sha256="));
    assert_eq!(received.header("authorization"), "Bearer abc");
    assert_eq!(received.header("content-type"), "application/json");
    assert_eq!(received.header("user-agent"), concat!("wagate/", env!("CARGO_PKG_VERSION")));
}

#[tokio::test]
async fn while_a_secret_is_changed_both_verify_and_afterwards_only_the_new_one() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    let new = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let ends = office.now() + TimeDelta::minutes(1);
    office
        .webhook(&receiver.url(), |_, confidential| {
            confidential.secrets = vec![
                KeptSecret { text: new.into(), until: None },
                KeptSecret { text: SECRET.into(), until: Some(ends) },
            ];
        })
        .await;
    let _worker = office.worker(1).await;
    office.happen(owned, 1).await;
    let both = receiver.has(1).await.remove(0);
    assert!(verifies(new, &both) && verifies(SECRET, &both));
    office.pass(TimeDelta::minutes(1));
    office.happen(owned, 1).await;
    let after = receiver.has(2).await.remove(1);
    assert!(verifies(new, &after) && !verifies(SECRET, &after));
}

#[tokio::test]
async fn events_arrive_in_their_order_each_once_over_kept_connections() {
    let office = Office::new().await;
    let (one, two) = (office.house.instance(SHOP).await, office.house.instance(OTHER_SHOP).await);
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    let _worker = office.worker(1).await;
    for _ in 0..30 {
        office.happen(one, 5).await;
        office.happen(two, 1).await;
    }
    receiver.has(180).await;
    office.all_told().await;
    let received = receiver.received();
    assert_eq!(received.len(), 180);
    for (id, count) in [(SHOP, 150), (OTHER_SHOP, 30)] {
        let of_one = received.iter().filter(|received| received.json()["instance_id"] == id);
        assert_eq!(of_one.map(Received::seq).collect::<Vec<_>>(), (1..=count).collect::<Vec<_>>(), "{id}");
    }
    assert!(receiver.connections() <= 8, "{} connections", receiver.connections());
}

#[tokio::test]
async fn a_webhook_is_told_from_its_creation_on_and_of_instances_that_come_later_too() {
    let office = Office::new().await;
    let old = office.house.instance(SHOP).await;
    office.happen(old, 3).await;
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(old, 1).await;
    receiver.has(1).await;
    let new = office.house.instance(OTHER_SHOP).await;
    office.happen(new, 1).await;
    let received = receiver.has(2).await;
    assert_eq!(received[0].seq(), 4);
    assert_eq!((received[1].seq(), received[1].json()["instance_id"].clone()), (1, json!(OTHER_SHOP)));
}

#[tokio::test]
async fn what_is_not_wanted_is_passed_over_and_leaves_nothing_waiting() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    let of_another = InstanceId::parse(OTHER_SHOP).unwrap();
    office.house.instance(OTHER_SHOP).await;
    office
        .webhook(&receiver.url(), |endpoint, _| {
            endpoint.subscription = Subscription::Only(vec![EventKind::MessageOwn]);
        })
        .await;
    office.webhook(&receiver.url(), |endpoint, _| endpoint.instance_id = Some(of_another)).await;
    let _worker = office.worker(1).await;
    let kinds = [EventKind::SessionStatus, EventKind::Message, EventKind::MessageAck, EventKind::MessageOwn];
    office.happens(owned, &kinds).await;
    office.happens(owned, &[EventKind::PresenceUpdate; 120]).await;
    receiver.has(2).await;
    office.all_told().await;
    assert_eq!(receiver.seqs(), [2, 4], "message.any is told of messages in and out");
}

#[tokio::test]
async fn what_was_erased_or_lost_its_key_is_told_as_such_and_holds_nothing_up() {
    let office = Office::new().await;
    let owned @ (id, _) = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    office.happen(owned, 1).await;
    let cipher = office.house.cipher(id).await;
    let mut conn = office.house.pool().acquire().await.unwrap();
    let chat = wagate::domain::chat_id::ChatId::parse("15550100001").unwrap();
    event::erase_chat(&mut conn, &cipher, id, &chat).await.unwrap();
    office.happen(owned, 1).await;
    // The key is gone, and another one is drawn.
    sqlx::query("UPDATE instance_key SET content_kek_id = NULL, content_wrapped = NULL")
        .execute(office.house.pool())
        .await
        .unwrap();
    office.house.vault.forget(id);
    office.happen(owned, 1).await;
    // A logout replaces the key of WhatsApp's secrets, and events stay readable.
    office.house.vault.shred(&mut conn, id).await.unwrap();
    office.house.vault.forget(id);
    office.happen(owned, 1).await;
    let _worker = office.worker(1).await;
    let received = receiver.has(4).await;
    let payloads: Vec<_> = received.iter().map(|received| received.json()["payload"].clone()).collect();
    assert_eq!(payloads, [json!(null), json!(null), json!({"body": "Hi"}), json!({"body": "Hi"})]);
}

#[tokio::test]
async fn whatever_stands_in_the_body_of_an_answer_is_of_no_matter() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|received| match received.seq() {
        1 => Reply::SlowBody,
        2 => Reply::HugeBody,
        _ => Reply::Status(204),
    })
    .await;
    office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 3).await;
    receiver.has(3).await;
    office.all_told().await;
    assert_eq!(receiver.seqs(), [1, 2, 3]);
}
