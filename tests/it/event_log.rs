//! The log of events in the database: numbered without gaps, sealed, pruned by days.

use chrono::{DateTime, Days, TimeDelta, Utc};
use serde_json::{Value, json};
use wagate::domain::chat_id::ChatId;
use wagate::domain::event::{Draft, EventKind, Logged};
use wagate::domain::instance::InstanceId;
use wagate::domain::lease::Fence;
use wagate::store::event::{self, Incoming, TakenIn, partitions};

use crate::support::house::House;
use crate::support::node::midnight;

const SHOP: &str = "7K2M9QX4T0AB";

fn draft(text: &str, chat: &str, at: DateTime<Utc>) -> Draft {
    Draft { kind: EventKind::Message, at, chat: ChatId::parse(chat).ok(), payload: json!({ "body": text }) }
}

/// Records and commits; the number of the last.
async fn record(house: &House, (id, fence): (InstanceId, Fence), drafts: Vec<Draft>) -> Option<i64> {
    let cipher = house.cipher(id).await;
    let mut tx = house.database.store().begin().await.unwrap();
    let last =
        event::record(&mut tx, &cipher, (id, fence), &json!({ "id": "15550100000@c.us" }), drafts).await.unwrap();
    tx.commit().await.unwrap();
    last
}

async fn page(house: &House, id: InstanceId, after: i64, limit: i64) -> Vec<Logged> {
    let cipher = house.cipher(id).await;
    event::page(&mut house.pool().acquire().await.unwrap(), &cipher, id, after, limit).await.unwrap()
}

fn bodies(events: &[Logged]) -> Vec<&str> {
    events.iter().map(|event| event.content.as_ref().unwrap().payload["body"].as_str().unwrap()).collect()
}

async fn days(house: &House) -> Vec<String> {
    sqlx::query_scalar(
        "SELECT relname::text FROM pg_inherits JOIN pg_class ON oid = inhrelid WHERE inhparent = 'event'::regclass
         ORDER BY relname",
    )
    .fetch_all(house.pool())
    .await
    .unwrap()
}

#[tokio::test]
async fn events_are_numbered_in_order_across_days_and_batches_and_read_from_any_number_on() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    let mut conn = house.pool().acquire().await.unwrap();
    partitions::make(&mut conn, midnight()).await.unwrap();
    let evening = midnight() + TimeDelta::hours(23);
    let texts = ["one", "two", "three"].map(|text| draft(text, "15550100001", evening));
    assert_eq!(record(&house, owned, texts.to_vec()).await, Some(3));
    assert_eq!(record(&house, owned, vec![draft("four", "15550100001", evening + TimeDelta::hours(2))]).await, Some(4));
    let all = page(&house, id, 0, 100).await;
    assert_eq!(all.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(bodies(&all), ["one", "two", "three", "four"]);
    assert_eq!(all[0].id(), "evt_7K2M9QX4T0AB_1");
    assert_eq!(all[0].content.as_ref().unwrap().me, json!({ "id": "15550100000@c.us" }));
    assert_eq!(bodies(&page(&house, id, 1, 2).await), ["two", "three"]);
    assert_eq!(event::bounds(&mut conn, id).await.unwrap(), Some((1, 4)));
}

#[tokio::test]
async fn a_stale_owner_adds_nothing_and_leaves_no_gap() {
    let house = House::new().await;
    let owned @ (id, fence) = house.instance(SHOP).await;
    assert_eq!(record(&house, owned, vec![draft("mine", "15550100001", midnight())]).await, Some(1));
    house.lose_lease(id).await;
    assert_eq!(record(&house, owned, vec![draft("late", "15550100001", midnight())]).await, None);
    let successor = Fence { node_id: wagate::domain::lease::NodeId(uuid::Uuid::from_u128(2)), epoch: fence.epoch + 1 };
    assert_eq!(record(&house, (id, successor), vec![draft("theirs", "15550100001", midnight())]).await, Some(2));
    assert_eq!(bodies(&page(&house, id, 0, 10).await), ["mine", "theirs"]);
}

#[tokio::test]
async fn a_transaction_that_is_rolled_back_takes_its_numbers_with_it() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    let cipher = house.cipher(id).await;
    let mut tx = house.database.store().begin().await.unwrap();
    let lost = vec![draft("lost", "15550100001", midnight())];
    assert_eq!(event::record(&mut tx, &cipher, owned, &Value::Null, lost).await.unwrap(), Some(1));
    tx.rollback().await.unwrap();
    assert_eq!(record(&house, owned, vec![draft("kept", "15550100001", midnight())]).await, Some(1));
    assert_eq!(bodies(&page(&house, id, 0, 10).await), ["kept"]);
}

#[tokio::test]
async fn no_word_and_no_number_stands_in_the_table_in_clear() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    record(&house, owned, vec![draft("a secret word", "15550100001", midnight())]).await;
    let row: String = sqlx::query_scalar("SELECT event::text || encode(content, 'escape') FROM event")
        .fetch_one(house.pool())
        .await
        .unwrap();
    for clear in ["secret", "15550100001", "15550100000"] {
        assert!(!row.contains(clear), "{clear}");
    }
    // Another instance's key does not open it.
    let (other, _) = house.instance("7K2M9QX4T0AC").await;
    let cipher = house.cipher(other).await;
    assert!(event::page(&mut house.pool().acquire().await.unwrap(), &cipher, id, 0, 10).await.is_err());
}

#[tokio::test]
async fn a_message_is_taken_in_once_also_when_a_batch_brings_it_twice() {
    let house = House::new().await;
    let (id, _) = house.instance(SHOP).await;
    let cipher = house.cipher(id).await;
    let mut conn = house.pool().acquire().await.unwrap();
    let (ours, theirs) = (["chat", "nadia", "A1"], ["chat", "omar", "A1"]);
    let fresh = event::first_seen(&mut conn, &cipher, id, &[ours, theirs, ours], midnight()).await.unwrap();
    assert_eq!(fresh, [0, 1]);
    let fresh = event::first_seen(&mut conn, &cipher, id, &[ours, ["chat", "nadia", "A2"]], midnight()).await.unwrap();
    assert_eq!(fresh, [1]);
}

#[tokio::test]
async fn what_was_taken_in_is_logged_once_and_takes_no_number_when_it_comes_again() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    let cipher = house.cipher(id).await;
    let one = |text: &str, key: Option<&str>| Incoming {
        key: key.map(|key| ["chat", "nadia", key].map(str::to_owned)),
        drafts: vec![draft(text, "15550100001", midnight())],
    };
    let take_in = async |mut batch: Vec<Incoming>| {
        let mut tx = house.database.store().begin().await.unwrap();
        let me = json!({ "id": "15550100000@c.us" });
        let taken = event::take_in(&mut tx, &cipher, owned, &me, &mut batch, midnight()).await.unwrap();
        tx.commit().await.unwrap();
        taken
    };
    let first = vec![one("a", Some("A1")), one("ack", None), one("a again", Some("A1")), one("b", Some("A2"))];
    assert_eq!(
        take_in(first).await,
        Some(TakenIn { last: Some(3), kinds: vec![EventKind::Message; 3], fresh: vec![0, 1, 3] })
    );
    assert_eq!(take_in(vec![one("a", Some("A1"))]).await, Some(TakenIn { last: None, kinds: vec![], fresh: vec![] }));
    assert_eq!(
        take_in(vec![one("ack", None)]).await,
        Some(TakenIn { last: Some(4), kinds: vec![EventKind::Message], fresh: vec![0] })
    );
    assert_eq!(bodies(&page(&house, id, 0, 10).await), ["a", "ack", "b", "ack"]);
    let mut conn = house.pool().acquire().await.unwrap();
    assert!(event::is_seen(&mut conn, &cipher, id, &["chat", "nadia", "A2"]).await.unwrap());
    assert!(!event::is_seen(&mut conn, &cipher, id, &["chat", "nadia", "A3"]).await.unwrap());
    house.lose_lease(id).await;
    assert_eq!(take_in(vec![one("c", Some("A3"))]).await, None);
}

#[tokio::test]
async fn erasing_a_contact_leaves_the_numbers_and_the_other_contacts() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    let drafts = [("to stay", "15550100001"), ("to go", "15550100002"), ("to stay too", "15550100001")];
    record(&house, owned, drafts.map(|(text, chat)| draft(text, chat, midnight())).to_vec()).await;
    let cipher = house.cipher(id).await;
    let mut conn = house.pool().acquire().await.unwrap();
    let erased = ChatId::parse("15550100002@s.whatsapp.net").unwrap();
    assert_eq!(event::erase_chat(&mut conn, &cipher, id, &erased).await.unwrap(), 1);
    let left = page(&house, id, 0, 10).await;
    assert_eq!(
        left.iter().map(|event| (event.seq, event.content.is_some())).collect::<Vec<_>>(),
        [(1, true), (2, false), (3, true)]
    );
}

#[tokio::test]
async fn days_are_made_ahead_once_and_old_ones_go_with_what_they_hold() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    let mut conn = house.pool().acquire().await.unwrap();
    let before = midnight() - TimeDelta::hours(1);
    partitions::make(&mut conn, before).await.unwrap();
    partitions::make(&mut conn, midnight()).await.unwrap();
    partitions::make(&mut conn, midnight()).await.unwrap();
    assert_eq!(days(&house).await.len(), 6, "five days and the one for all others");
    // Two nodes at once.
    let mut other = house.pool().acquire().await.unwrap();
    let later = midnight() + TimeDelta::days(2);
    let (one, two) = tokio::join!(partitions::make(&mut conn, later), partitions::make(&mut other, later));
    one.unwrap();
    two.unwrap();

    let ages = [before - TimeDelta::days(9), before, midnight()];
    record(&house, owned, ages.map(|at| draft("aged", "15550100001", at)).to_vec()).await;
    assert_eq!(partitions::prune(&mut conn, midnight()).await.unwrap(), 1);
    assert_eq!(page(&house, id, 0, 10).await.iter().map(|event| event.seq).collect::<Vec<_>>(), [3]);
    assert_eq!(event::bounds(&mut conn, id).await.unwrap(), Some((3, 3)));
    let week = midnight() + Days::new(7);
    partitions::prune(&mut conn, week).await.unwrap();
    assert_eq!(days(&house).await, ["event_other"]);
    assert_eq!(event::bounds(&mut conn, id).await.unwrap(), Some((4, 3)), "an empty log still knows where it stands");
}

#[tokio::test]
async fn deleting_an_instance_takes_its_log() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    record(&house, owned, vec![draft("gone", "15550100001", midnight())]).await;
    let mut tx = house.database.store().begin().await.unwrap();
    wagate::store::session::erase(&mut tx, id, midnight()).await.unwrap();
    tx.commit().await.unwrap();
    let left: i64 = sqlx::query_scalar("SELECT count(*) FROM event").fetch_one(house.pool()).await.unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_backup_that_holds_the_log_holds_up_nobody_who_writes_to_it() {
    let house = House::new().await;
    let owned @ (id, _) = house.instance(SHOP).await;
    let mut conn = house.pool().acquire().await.unwrap();
    let before = midnight() - TimeDelta::days(9);
    partitions::make(&mut conn, before).await.unwrap();
    partitions::make(&mut conn, midnight()).await.unwrap();
    let mut backup = house.pool().begin().await.unwrap();
    sqlx::query("LOCK TABLE event IN ACCESS SHARE MODE").execute(&mut *backup).await.unwrap();
    let pruning = tokio::spawn(async move { partitions::prune(&mut conn, midnight()).await });
    // It waits for the backup for a moment, and whoever comes after waits behind it; then it gives up.
    assert_eq!(record(&house, owned, vec![draft("meanwhile", "15550100001", midnight())]).await, Some(1));
    assert!(pruning.await.unwrap().is_err());
    backup.rollback().await.unwrap();
    let mut conn = house.pool().acquire().await.unwrap();
    assert_eq!(partitions::prune(&mut conn, midnight()).await.unwrap(), 4);
    assert_eq!(bodies(&page(&house, id, 0, 10).await), ["meanwhile"]);
}
