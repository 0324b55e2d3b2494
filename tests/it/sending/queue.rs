//! What waits: for the connection, for its turn, and in vain.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use wagate::domain::chat_id::ChatId;
use wagate::domain::clock::ManualClock;
use wagate::domain::message_id::MessageId;
use wagate::domain::outgoing::{Content, Failure, Message, State, Words};
use wagate::domain::session::{Desired, Status};
use wagate::engine::SendError;
use wagate::supervisor::{Letter, SendRefusal};

use super::*;
use crate::support::database::TestDatabase;
use crate::support::node::{TestNode, create, mark_linked, midnight, until as holds};
use crate::support::scripted_engine::ScriptedEngine;

#[tokio::test(flavor = "multi_thread")]
async fn what_is_sent_while_the_connection_is_away_goes_in_order_when_it_is_back() {
    let post = Post::with(|config| {
        config.session.backoff_min = Duration::from_millis(20);
        config.session.backoff_max = Duration::from_millis(200);
        config.session.breaker_failures = 1_000_000;
    })
    .await;
    let refuse = post.gateway.network.fault(&json!({ "kind": "refuse" })).await;
    post.gateway.network.fault(&json!({ "kind": "drop" })).await;
    post.gateway.client.reaches(&post.instance, "STARTING").await;
    let mut ids = Vec::new();
    for turn in 0..5 {
        let (status, body) = post.ask("/v2/send/text", json!({ "message": format!("waiting {turn}") })).await;
        assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("queued")), "{body}");
        ids.push(body["id"].clone());
    }
    post.gateway.network.mend(&refuse).await;
    let inbox = post.inbox(5).await;
    assert_eq!(inbox.iter().map(|item| item["id"].clone()).collect::<Vec<_>>(), ids);
    assert!(inbox.iter().all(|item| item["copies"] == 1));
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_messages_of_a_chat_arrive_in_order_while_the_connection_drops() {
    let post = Post::with(|config| {
        config.session.backoff_min = Duration::from_millis(20);
        config.session.backoff_max = Duration::from_millis(100);
        config.session.breaker_failures = 1_000_000;
    })
    .await;
    let client = &post.gateway.client;
    let mut ids = Vec::new();
    for turn in 0..50 {
        if turn % 10 == 5 {
            post.gateway.network.fault(&json!({ "kind": "drop" })).await;
        }
        let body = post.body(json!({ "message": format!("{turn:02}") }));
        let sent = tokio::time::timeout(Duration::from_mins(1), client.post("/v2/send/text", &body));
        let (status, body) = sent.await.expect("it is answered");
        assert!(status.is_success(), "{status} {body}");
        ids.push(body["id"].as_str().unwrap().to_owned());
    }
    let mut settled = Vec::new();
    for id in &ids {
        let message = until("no message waits", || async {
            let message = post.message(id).await;
            (message["status"] != "queued").then_some(message)
        })
        .await;
        settled.push(message["status"].as_str().unwrap().to_owned());
    }
    let sure = ids.iter().zip(&settled).filter(|(_, status)| *status != "unknown").count();
    assert!(sure >= 40, "four drops leave four messages in doubt at most: {settled:?}");
    let inbox = post.inbox(sure).await;
    let arrived: Vec<&str> = inbox.iter().map(|item| item["id"].as_str().unwrap()).collect();
    let places: Vec<usize> = arrived.iter().map(|id| ids.iter().position(|other| other == id).unwrap()).collect();
    assert!(places.is_sorted(), "out of order: {places:?}");
    assert!(inbox.iter().all(|item| item["copies"] == 1), "no message came twice");
    for (id, status) in ids.iter().zip(&settled) {
        assert!(status == "unknown" || arrived.contains(&id.as_str()), "{id} is {status} and did not arrive");
    }
    post.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_its_owner_stopped_or_nobody_linked_takes_no_message() {
    let post = Post::new().await;
    let client = &post.gateway.client;
    client.post("/v2/session/stop", &json!({ "instance_id": post.instance })).await;
    let (status, body) = post.ask("/v2/send/text", json!({ "message": "no" })).await;
    assert_eq!((status, &body["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("session_status_mismatch")));
    assert_eq!((&body["session_status"], &body["recovering"]), (&json!("STOPPED"), &json!(false)));
    let unlinked = client.create("unlinked").await;
    client.reaches(&unlinked, "SCAN_QR_CODE").await;
    let (status, body) = post.ask("/v2/send/text", json!({ "instance_id": unlinked, "message": "no" })).await;
    assert_eq!((status, &body["session_status"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("SCAN_QR_CODE")));
    assert_eq!(body["expected"], json!(["WORKING"]));
    post.gateway.stop().await;
}

// On a scripted WhatsApp and a clock that the test moves.

struct House {
    clock: ManualClock,
    engine: ScriptedEngine,
    node: TestNode,
    id: wagate::domain::instance::InstanceId,
    _database: TestDatabase,
}

impl House {
    async fn new() -> Self {
        let database = TestDatabase::fresh().await;
        let clock = ManualClock::new(midnight());
        let engine = ScriptedEngine::new(std::sync::Arc::new(clock.clone()));
        let id = create(database.store(), Desired::Running, 1, 7).await[0];
        mark_linked(database.store(), &[id]).await;
        engine.link(id);
        let node = TestNode::start_simple(database.store(), std::sync::Arc::new(engine.clone()), &clock, 1).await;
        let house = Self { clock, engine, node, id, _database: database };
        house.connected().await;
        house
    }

    async fn connected(&self) {
        holds("the session works", async || {
            self.node.supervisor.view(self.id).await.is_ok_and(|view| view.status == Status::Working)
        })
        .await;
    }

    /// WhatsApp is out of reach.
    async fn cut(&self) {
        self.engine.set_reachable(false);
        self.engine.drop_all().await;
        holds("the session is away", async || {
            self.node.supervisor.view(self.id).await.is_ok_and(|view| view.status == Status::Starting)
        })
        .await;
    }

    async fn send(&self, name: &str, ttl: TimeDelta) -> Result<State, SendRefusal> {
        let text = Words::parse(name).unwrap();
        let message = Message {
            chat: ChatId::parse("201012345678").unwrap(),
            content: Content::Text { text, quote: None, mentions: Vec::new(), preview: None },
        };
        let letter = Letter { id: id(name), message, ttl, over: None };
        self.node.supervisor.send(self.id, letter, None).await.map(|sent| sent.state)
    }

    async fn state(&self, name: &str) -> (State, Option<Failure>) {
        let message = self.node.supervisor.message(self.id, &id(name)).await.unwrap();
        (message.state, message.failure)
    }

    fn sent(&self) -> Vec<String> {
        self.engine.sent(self.id).iter().map(|(id, _)| id.to_string()).collect()
    }
}

fn id(name: &str) -> MessageId {
    MessageId::parse(name).unwrap()
}

fn hour() -> TimeDelta {
    TimeDelta::hours(1)
}

#[tokio::test]
async fn a_message_that_waits_longer_than_its_time_to_live_is_never_sent() {
    let house = House::new().await;
    house.cut().await;
    assert_eq!(house.send("SHORT", TimeDelta::minutes(1)).await.unwrap(), State::Queued);
    assert_eq!(house.send("LONG", TimeDelta::hours(24)).await.unwrap(), State::Queued);
    house.clock.advance(TimeDelta::minutes(2));
    assert_eq!(house.state("SHORT").await, (State::Failed, Some(Failure::Expired)));
    house.engine.set_reachable(true);
    holds("the other is sent", async || {
        house.clock.advance(TimeDelta::seconds(10));
        house.state("LONG").await.0 == State::Sent
    })
    .await;
    assert_eq!(house.sent(), ["LONG"]);
    assert_eq!(house.state("SHORT").await, (State::Failed, Some(Failure::Expired)));
    house.node.stop().await;
}

#[tokio::test]
async fn what_did_not_leave_waits_in_its_place_and_what_may_have_left_does_not() {
    let house = House::new().await;
    house.cut().await;
    for name in ["FIRST", "SECOND"] {
        assert_eq!(house.send(name, hour()).await.unwrap(), State::Queued);
    }
    house.engine.answer_messages([SendError::NotSent { cause: "cut" }, SendError::Unknown { cause: "cut" }]);
    house.engine.set_reachable(true);
    holds("the second is sent", async || {
        house.clock.advance(TimeDelta::seconds(1));
        house.state("SECOND").await.0 == State::Sent
    })
    .await;
    // The first was tried twice and is in doubt; the other followed it.
    assert_eq!(house.state("FIRST").await.0, State::Unknown);
    assert_eq!(house.sent(), ["FIRST", "FIRST", "SECOND"]);
    house.node.stop().await;
}

#[tokio::test]
async fn a_pace_that_was_chosen_spreads_messages_and_refuses_when_it_is_told_to() {
    use wagate::domain::outgoing::{Over, Pace};
    let house = House::new().await;
    let pace = Pace { per_minute: 2, per_day: 100, pause: TimeDelta::zero(), over: Over::Queue };
    house.node.supervisor.set_pace(house.id, pace).await.unwrap();
    for name in ["ONE", "TWO"] {
        assert_eq!(house.send(name, hour()).await.unwrap(), State::Sent);
    }
    assert_eq!(house.send("THREE", hour()).await.unwrap(), State::Queued, "nobody waits a minute for an answer");
    house.node.supervisor.set_pace(house.id, Pace { over: Over::Refuse, ..pace }).await.unwrap();
    let refused = house.send("FOUR", hour()).await.unwrap_err();
    assert!(matches!(refused, SendRefusal::TooFast { retry_after, .. } if retry_after == TimeDelta::minutes(1)));
    house.clock.advance(TimeDelta::seconds(59));
    assert_eq!(house.state("THREE").await.0, State::Queued);
    house.clock.advance(TimeDelta::seconds(1));
    holds("the third is sent", async || house.state("THREE").await.0 == State::Sent).await;
    assert_eq!(house.node.supervisor.pace(house.id).await.unwrap().today, 3);
    house.node.stop().await;
}

#[tokio::test]
async fn a_day_s_messages_are_counted_over_a_restart() {
    use wagate::domain::outgoing::{Over, Pace};
    let house = House::new().await;
    let pace = Pace { per_minute: 60, per_day: 2, pause: TimeDelta::zero(), over: Over::Refuse };
    house.node.supervisor.set_pace(house.id, pace).await.unwrap();
    for name in ["ONE", "TWO"] {
        assert_eq!(house.send(name, hour()).await.unwrap(), State::Sent);
    }
    let House { clock, engine, node, id, _database: database } = house;
    node.stop().await;
    let node = TestNode::start_simple(database.store(), std::sync::Arc::new(engine.clone()), &clock, 2).await;
    let house = House { clock, engine, node, id, _database: database };
    house.connected().await;
    let refused = house.send("THREE", hour()).await.unwrap_err();
    let next_day: DateTime<Utc> = midnight() + TimeDelta::days(1);
    let SendRefusal::TooFast { retry_after, .. } = refused else { panic!("{refused}") };
    assert_eq!(retry_after, next_day - wagate::domain::clock::Clock::now(&house.clock));
    house.node.stop().await;
}
