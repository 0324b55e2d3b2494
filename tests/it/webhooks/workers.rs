//! Workers that die, stop, or work side by side.

use std::collections::HashMap;
use std::time::Duration;

use chrono::TimeDelta;
use uuid::Uuid;
use wagate::domain::event::EventKind;
use wagate::domain::lease::NodeId;
use wagate::domain::webhook::Outcome;
use wagate::store::webhook::delivery::Attempt;
use wagate::store::webhook::stream::{self, Claim, Held, Stream};
use wagate::store::webhook::{Claimant, Free};

use super::office::{OTHER_SHOP, Office, SHOP};
use crate::support::receiver::{Receiver, Reply};

/// Of each instance, the numbers in the order in which they came for the first time.
fn first_deliveries(receiver: &Receiver) -> HashMap<String, Vec<i64>> {
    let mut firsts: HashMap<String, Vec<i64>> = HashMap::new();
    for received in receiver.received() {
        let seqs = firsts.entry(received.json()["instance_id"].as_str().unwrap().to_owned()).or_default();
        if !seqs.contains(&received.seq()) {
            seqs.push(received.seq());
        }
    }
    firsts
}

#[tokio::test(flavor = "multi_thread")]
async fn two_workers_on_one_database_deliver_each_event_once_and_in_order() {
    let office = Office::new().await;
    let (one, two) = (office.house.instance(SHOP).await, office.house.instance(OTHER_SHOP).await);
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    let _workers = [office.worker(1).await, office.worker(2).await];
    for _ in 0..40 {
        office.happen(one, 2).await;
        office.happen(two, 2).await;
        office.pass(TimeDelta::seconds(1));
    }
    receiver.has(160).await;
    office.all_told().await;
    assert_eq!(receiver.received().len(), 160, "nobody died, so nothing came twice");
    for (id, seqs) in first_deliveries(&receiver) {
        assert_eq!(seqs, (1..=80).collect::<Vec<_>>(), "{id}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_moment_a_worker_dies_at_every_event_is_delivered_and_first_deliveries_are_in_order() {
    let office = Office::new().await;
    let (one, two) = (office.house.instance(SHOP).await, office.house.instance(OTHER_SHOP).await);
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    for round in 0..20 {
        let before = receiver.received().len();
        let worker = office.worker(round).await;
        office.happen(one, 5).await;
        office.happen(two, 5).await;
        receiver.has(before + 1 + usize::try_from(round).unwrap() % 5).await;
        worker.die();
        office.bury(round).await;
    }
    let _last = office.worker(99).await;
    office.all_told().await;
    for (id, seqs) in first_deliveries(&receiver) {
        assert_eq!(seqs, (1..=100).collect::<Vec<_>>(), "{id}");
    }
}

#[tokio::test]
async fn a_worker_that_stops_finishes_what_is_under_way_and_leaves_the_rest_to_the_next_at_once() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    let worker = office.worker(1).await;
    office.happen(owned, 200).await;
    receiver.has(3).await;
    worker.stop().await;
    let before = receiver.received().len();
    assert!(before < 200, "it stopped in the middle");
    let _next = office.worker(2).await;
    receiver.has(200).await;
    office.all_told().await;
    assert_eq!(receiver.seqs(), (1..=200).collect::<Vec<_>>(), "nothing twice, nothing waited for a claim to run out");
}

/// Claims the one stream there is, in the name of a node.
async fn claimed(office: &Office, node: u128) -> Option<Stream> {
    let node = NodeId(Uuid::from_u128(0xA000 + node));
    let claimant = Claimant { node, now: office.now(), until: office.now() + TimeDelta::seconds(90) };
    let free = Free { slots: 10, per_endpoint: 10, under_way: HashMap::new() };
    let mut conn = office.house.pool().acquire().await.unwrap();
    stream::claim(&mut conn, claimant, None, &free).await.unwrap().pop()
}

/// Whether the first event can be acknowledged under a claim.
async fn acknowledges(office: &Office, stream: &Stream) -> bool {
    let held = Held {
        endpoint_id: stream.told.endpoint_id,
        instance_id: stream.told.instance_id,
        claim: stream.claim,
        now: office.now(),
    };
    let attempt =
        Attempt { number: 1, outcome: Outcome::Delivered, status: Some(200), took: Duration::ZERO, at: office.now() };
    let mut conn = office.house.pool().acquire().await.unwrap();
    stream::delivered(&mut conn, held, (EventKind::Message, 1, 1), &attempt, Claim::Released).await.unwrap()
}

#[tokio::test]
async fn a_claim_that_ran_out_or_was_taken_over_acknowledges_nothing() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::start().await;
    office.told(&receiver).await;
    for node in [1, 2] {
        office.worker(node).await.stop().await;
    }
    office.happen(owned, 1).await;
    let first = claimed(&office, 1).await.unwrap();
    assert!(claimed(&office, 2).await.is_none(), "it is taken");
    office.pass(TimeDelta::seconds(91));
    assert!(!acknowledges(&office, &first).await, "it has run out");
    let second = claimed(&office, 2).await.unwrap();
    assert!(!acknowledges(&office, &first).await, "it was taken over");
    // Its node dies: nobody waits for the claim to run out.
    office.bury(2).await;
    let third = claimed(&office, 1).await.unwrap();
    assert!(!acknowledges(&office, &second).await);
    assert!(acknowledges(&office, &third).await);
    assert_eq!(office.count("SELECT count(*) FROM webhook_delivery").await, 1);
}

#[tokio::test]
async fn a_claim_stays_with_a_receiver_that_is_slow_and_its_late_answer_counts() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|_| Reply::SlowBody).await;
    office.told(&receiver).await;
    let _workers = [office.worker(1).await, office.worker(2).await];
    office.happen(owned, 1).await;
    receiver.has(1).await;
    office.pass(TimeDelta::seconds(60));
    office.all_told().await;
    assert_eq!(receiver.received().len(), 1);
}
