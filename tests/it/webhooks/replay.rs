//! Telling events again.

use wagate::domain::event::EventKind;
use wagate::domain::webhook::{Subscription, WebhookId};
use wagate::store::event::{self, partitions};
use wagate::store::webhook::aside::{self, Replay};
use wagate::store::webhook::dead_letter;

use super::office::{Office, SHOP};
use crate::support::receiver::{Received, Receiver, Reply};
use crate::support::wait::until;
use chrono::TimeDelta;

const MOST: i64 = 1_000;

async fn replay(office: &Office, id: WebhookId, replay: Replay) -> u64 {
    let mut conn = office.house.pool().acquire().await.unwrap();
    aside::replay(&mut conn, (id, &Subscription::All), replay, MOST, office.now()).await.unwrap()
}

/// A webhook that gave up the first event and was told the second.
async fn with_a_dead_letter(office: &Office, receiver: &Receiver) -> WebhookId {
    let owned = office.house.instance(SHOP).await;
    let id = office.told(receiver).await;
    let worker = office.worker(1).await;
    office.happen(owned, 2).await;
    until("the first was given up and the second came", || async {
        office.pass_between(TimeDelta::minutes(10)).await;
        (receiver.seqs().last() == Some(&2)).then_some(())
    })
    .await;
    office.all_told().await;
    worker.stop().await;
    id
}

fn all_but_the_first() -> impl FnMut(&Received) -> Reply + Send {
    |received| Reply::Status(if received.seq() == 1 { 500 } else { 200 })
}

#[tokio::test]
async fn a_range_is_told_again_in_order_under_the_same_ids_and_nothing_beyond_it() {
    let office = Office::new().await;
    let owned @ (instance, _) = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    let id = office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 10).await;
    let before = receiver.has(10).await;
    assert_eq!(replay(&office, id, Replay::Range(instance, 3, 6)).await, 4);
    assert_eq!(replay(&office, id, Replay::Range(instance, 100, 200)).await, 0);
    office.pass_until("they come again", || async { (receiver.received().len() == 14).then_some(()) }).await;
    let again = receiver.received().split_off(10);
    assert_eq!(again.iter().map(Received::seq).collect::<Vec<_>>(), [3, 4, 5, 6]);
    assert_eq!(again[0].header("webhook-id"), before[2].header("webhook-id"));
    assert_eq!(again[0].body, before[2].body);
    until("nothing is left", || async {
        (office.count("SELECT count(*) FROM webhook_aside").await == 0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn only_kinds_that_are_wanted_are_told_again() {
    let office = Office::new().await;
    let owned @ (instance, _) = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    let id = office.told(&receiver).await;
    office.happens(owned, &[EventKind::Message, EventKind::SessionStatus]).await;
    let mut conn = office.house.pool().acquire().await.unwrap();
    let wanted = Subscription::Only(vec![EventKind::SessionStatus]);
    let queued = aside::replay(&mut conn, (id, &wanted), Replay::Range(instance, 1, 2), MOST, office.now()).await;
    assert_eq!(queued.unwrap(), 1);
}

#[tokio::test]
async fn a_dead_letter_is_told_again_after_its_day_of_the_log_is_gone_and_then_is_none() {
    let office = Office::new().await;
    let receiver = Receiver::scripted(all_but_the_first()).await;
    let id = with_a_dead_letter(&office, &receiver).await;
    let first = receiver.received()[0].clone();
    let mut conn = office.house.pool().acquire().await.unwrap();
    partitions::prune(&mut conn, office.now() + TimeDelta::days(2)).await.unwrap();
    assert_eq!(office.count("SELECT count(*) FROM event").await, 0);
    let letters = dead_letter::page(&mut conn, id, None, 10).await.unwrap();
    assert_eq!((letters.len(), letters[0].seq, letters[0].attempts), (1, 1, 4));
    assert_eq!(letters[0].outcome, "refused 500");

    receiver.answer(|_| Reply::Status(200));
    let before = receiver.received().len();
    assert_eq!(replay(&office, id, Replay::DeadLetters(None)).await, 1);
    let _worker = office.worker(2).await;
    let again = receiver.has(before + 1).await.pop().unwrap();
    assert_eq!((again.header("webhook-id"), &again.body), (first.header("webhook-id"), &first.body));
    until("it is no dead letter any more", || async {
        dead_letter::page(&mut office.house.pool().acquire().await.unwrap(), id, None, 10)
            .await
            .unwrap()
            .is_empty()
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn erasing_a_contact_reaches_the_dead_letters() {
    let office = Office::new().await;
    let receiver = Receiver::scripted(all_but_the_first()).await;
    let id = with_a_dead_letter(&office, &receiver).await;
    let instance = wagate::domain::instance::InstanceId::parse(SHOP).unwrap();
    let cipher = office.house.cipher(instance).await;
    let mut conn = office.house.pool().acquire().await.unwrap();
    let chat = wagate::domain::chat_id::ChatId::parse("15550100001").unwrap();
    event::erase_chat(&mut conn, &cipher, instance, &chat).await.unwrap();
    assert_eq!(office.count("SELECT count(*) FROM webhook_dead_letter WHERE content IS NOT NULL").await, 0);
    receiver.answer(|_| Reply::Status(200));
    let before = receiver.received().len();
    replay(&office, id, Replay::DeadLetters(Some(instance))).await;
    let _worker = office.worker(2).await;
    let again = receiver.has(before + 1).await.pop().unwrap();
    assert_eq!(again.json()["payload"], serde_json::Value::Null);
}

#[tokio::test]
async fn deleting_an_instance_takes_what_webhooks_hold_of_it() {
    let office = Office::new().await;
    let receiver = Receiver::scripted(all_but_the_first()).await;
    let id = with_a_dead_letter(&office, &receiver).await;
    let instance = wagate::domain::instance::InstanceId::parse(SHOP).unwrap();
    replay(&office, id, Replay::DeadLetters(None)).await;
    let mut tx = office.house.database.store().begin().await.unwrap();
    wagate::store::session::erase(&mut tx, instance, office.now()).await.unwrap();
    tx.commit().await.unwrap();
    for query in [
        "SELECT count(*) FROM webhook_stream",
        "SELECT count(*) FROM webhook_aside",
        "SELECT count(*) FROM webhook_dead_letter",
        "SELECT count(*) FROM webhook_delivery",
    ] {
        assert_eq!(office.count(query).await, 0, "{query}");
    }
    assert_eq!(office.count("SELECT count(*) FROM webhook_endpoint").await, 1, "it is the account's");
}
