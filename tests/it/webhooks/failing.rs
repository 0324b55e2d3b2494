//! Receivers that fail: for a while, for long, for good.

use chrono::TimeDelta;
use wagate::domain::webhook::{DisabledReason, Order};
use wagate::store::webhook::endpoint;

use super::office::{OTHER_SHOP, Office, SHOP};
use crate::support::receiver::{Receiver, Reply};
use crate::support::wait::until;

const PARKED: &str = "SELECT count(*) FROM webhook_dead_letter";
const ASIDE: &str = "SELECT count(*) FROM webhook_aside";

#[tokio::test]
async fn in_strict_order_a_failure_holds_up_what_follows_until_it_is_mended() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|_| Reply::Status(500)).await;
    office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 3).await;
    receiver.has(1).await;
    office.pass_until("it is tried again", || async { (receiver.received().len() == 2).then_some(()) }).await;
    assert_eq!(receiver.seqs(), [1, 1]);
    receiver.answer(|_| Reply::Status(200));
    office.pass(TimeDelta::minutes(6));
    office.pass_until("all arrive", || async { (receiver.received().len() == 5).then_some(()) }).await;
    assert_eq!(receiver.seqs(), [1, 1, 1, 2, 3]);
    let ids: Vec<_> = receiver.received().iter().take(3).map(|r| r.header("webhook-id").to_owned()).collect();
    assert!(ids.iter().all(|id| *id == ids[0]), "each attempt has the event's id");
}

#[tokio::test]
async fn in_strict_order_an_event_is_given_up_after_four_attempts_and_the_next_one_comes() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|received| Reply::Status(if received.seq() == 1 { 500 } else { 200 })).await;
    office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 2).await;
    let began = office.now();
    until("the next one comes", || async {
        office.pass_between(TimeDelta::seconds(20)).await;
        (receiver.received().len() == 5).then_some(())
    })
    .await;
    assert_eq!(receiver.seqs(), [1, 1, 1, 1, 2]);
    let waited = office.now() - began;
    assert!(waited >= TimeDelta::minutes(28) && waited < TimeDelta::minutes(50), "{waited}");
    assert_eq!((office.count(PARKED).await, office.count(ASIDE).await), (1, 0));
}

#[tokio::test]
async fn in_relaxed_order_the_stream_goes_on_after_a_minute_and_the_event_is_tried_aside() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|received| Reply::Status(if received.seq() == 1 { 503 } else { 200 })).await;
    office.webhook(&receiver.url(), |endpoint, _| endpoint.order = Order::Relaxed).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 3).await;
    let began = office.now();
    office.pass_until("the stream goes on", || async { (receiver.seqs().last() == Some(&3)).then_some(()) }).await;
    assert!(office.now() - began >= TimeDelta::seconds(60));
    assert_eq!(receiver.seqs(), [1, 1, 1, 2, 3]);
    assert_eq!((office.count(ASIDE).await, office.count(PARKED).await), (1, 0));

    receiver.answer(|_| Reply::Status(200));
    office.pass(TimeDelta::minutes(37));
    until("it arrives after all", || async { (receiver.seqs().last() == Some(&1)).then_some(()) }).await;
    until("it is done with", || async { (office.count(ASIDE).await == 0).then_some(()) }).await;
    assert_eq!(office.count(PARKED).await, 0);
}

#[tokio::test]
async fn in_relaxed_order_an_event_is_given_up_after_ten_attempts() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|received| Reply::Status(if received.seq() == 1 { 404 } else { 200 })).await;
    office.webhook(&receiver.url(), |endpoint, _| endpoint.order = Order::Relaxed).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 1).await;
    until("it is given up", || async {
        office.pass_between(TimeDelta::hours(1)).await;
        (office.count(PARKED).await == 1).then_some(())
    })
    .await;
    // A jump of the clock may void a claim under way; what is sent then is not written down, and comes again.
    assert_eq!(office.count("SELECT count(*) FROM webhook_delivery").await, 10);
    assert_eq!(office.count(ASIDE).await, 0);
    let outcome: String =
        sqlx::query_scalar("SELECT outcome FROM webhook_dead_letter").fetch_one(office.house.pool()).await.unwrap();
    assert_eq!(outcome, "refused 404");
}

#[tokio::test]
async fn a_pause_that_the_receiver_asks_for_is_kept() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|_| Reply::With(429, "Retry-After: 120")).await;
    office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 1).await;
    receiver.has(1).await;
    receiver.answer(|_| Reply::Status(200));
    let began = office.now();
    office.pass_until("it is tried again", || async { (receiver.received().len() == 2).then_some(()) }).await;
    assert!(office.now() - began >= TimeDelta::seconds(119), "{}", office.now() - began);
}

#[tokio::test]
async fn whoever_answers_410_gets_nothing_more_until_the_owner_says_so_and_then_loses_nothing() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|_| Reply::Status(410)).await;
    let id = office.told(&receiver).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 2).await;
    until("it is disabled", || async { office.look(id).await.disabled }).await;
    assert_eq!(office.look(id).await.disabled.unwrap().0, DisabledReason::Gone);
    let line: (String, String, String) =
        sqlx::query_as("SELECT actor, action, detail ->> 'reason' FROM audit_log WHERE action = 'webhook.disabled'")
            .fetch_one(office.house.pool())
            .await
            .unwrap();
    assert_eq!(line, ("gateway".into(), "webhook.disabled".into(), "gone".into()));
    office.pass(TimeDelta::hours(3));
    office.happen(owned, 1).await;

    receiver.answer(|_| Reply::Status(200));
    let mut tx = office.house.database.store().begin().await.unwrap();
    let mut endpoint = office.look(id).await;
    (endpoint.disabled, endpoint.failing_since) = (None, None);
    endpoint::update(&mut tx, &endpoint).await.unwrap();
    endpoint::refresh(&mut tx, id, office.now()).await.unwrap();
    tx.commit().await.unwrap();
    office.pass(TimeDelta::seconds(1));
    receiver.has(4).await;
    assert_eq!(receiver.seqs(), [1, 1, 2, 3]);
}

#[tokio::test]
async fn whoever_fails_for_five_days_gets_nothing_more_and_one_success_between_begins_anew() {
    let office = Office::new().await;
    let owned = office.house.instance(SHOP).await;
    let receiver = Receiver::scripted(|_| Reply::Status(500)).await;
    let id = office.webhook(&receiver.url(), |endpoint, _| endpoint.order = Order::Relaxed).await;
    let _worker = office.worker(1).await;
    office.happen(owned, 1).await;
    receiver.has(1).await;
    until("it is known to fail", || async { office.look(id).await.failing_since }).await;
    let since = office.now();
    office.pass_between(TimeDelta::days(4)).await;
    until("it is tried again", || async { (receiver.received().len() >= 2).then_some(()) }).await;
    receiver.answer(|_| Reply::Status(200));
    until("it works again", || async {
        office.pass_between(TimeDelta::minutes(10)).await;
        office.look(id).await.failing_since.is_none().then_some(())
    })
    .await;
    office.pass(since + TimeDelta::days(6) - office.now());
    assert_eq!(office.look(id).await.disabled, None);

    receiver.answer(|_| Reply::Status(500));
    office.happen(owned, 1).await;
    let since = until("it is known to fail", || async { office.look(id).await.failing_since }).await;
    let disabled = until("it is disabled", || async {
        office.pass_between(TimeDelta::hours(4)).await;
        // Something goes on happening: an event that was given up says nothing more.
        office.happen(owned, 1).await;
        office.look(id).await.disabled
    })
    .await;
    assert_eq!(disabled.0, DisabledReason::Failing);
    assert!(disabled.1 - since >= TimeDelta::days(5), "{}", disabled.1 - since);
}

#[tokio::test]
async fn a_receiver_that_hangs_does_not_hold_up_another() {
    let mut office = Office::new().await;
    office.config.concurrency = 4;
    office.config.concurrency_per_webhook = 2;
    let (one, two) = (office.house.instance(SHOP).await, office.house.instance(OTHER_SHOP).await);
    let hanging = Receiver::scripted(|_| Reply::Hang).await;
    let swift = Receiver::start().await;
    for _ in 0..3 {
        office.told(&hanging).await;
    }
    let id = wagate::domain::instance::InstanceId::parse(SHOP).unwrap();
    office.webhook(&swift.url(), |endpoint, _| endpoint.instance_id = Some(id)).await;
    // Of each hanging webhook both streams hang; the swift one gets its turn as soon as a place is free.
    office.config.timeout = std::time::Duration::from_secs(1);
    let _worker = office.worker(1).await;
    office.happen(one, 20).await;
    office.happen(two, 1).await;
    swift.has(20).await;
    assert_eq!(swift.seqs(), (1..=20).collect::<Vec<_>>());
}
