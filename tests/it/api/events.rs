//! `/v2/events` on logs that a test writes and a clock that it moves.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::RequestBuilder;
use serde_json::{Value, json};
use uuid::Uuid;
use wagate::domain::account::AccountId;
use wagate::domain::event::{Draft, EventKind};
use wagate::domain::instance::InstanceId;
use wagate::domain::lease::{Fence, NodeId};
use wagate::domain::token::{Scope, TokenKind};
use wagate::store::event::{self, partitions};
use wagate::store::token::Holder;

use super::gateway::{Answer, Gateway, key};
use crate::support::event_stream::{EventStream, Frame};
use crate::support::wait::{PATIENCE, until};

const EVENTS: &str = "/v2/events";

/// Events of an instance, after the one that every log begins with.
async fn log(gateway: &Gateway, id: InstanceId, kinds: &[EventKind]) -> i64 {
    log_at(gateway, id, kinds, gateway.now()).await
}

async fn log_at(gateway: &Gateway, id: InstanceId, kinds: &[EventKind], at: DateTime<Utc>) -> i64 {
    let store = gateway.database.store();
    let node = NodeId(Uuid::from_u128(1));
    sqlx::query("UPDATE instance_lease SET node_id = $2, epoch = 1 WHERE instance_id = $1")
        .bind(id.as_str())
        .bind(node.0)
        .execute(store.pool())
        .await
        .unwrap();
    let draft =
        |(index, kind): (usize, &EventKind)| Draft { kind: *kind, at, chat: None, payload: json!({ "n": index }) };
    let drafts: Vec<Draft> = kinds.iter().enumerate().map(draft).collect();
    let cipher = gateway.vault.unlock(store, id).await.unwrap();
    let mut tx = store.begin().await.unwrap();
    let fence = Fence { node_id: node, epoch: 1 };
    let last = event::record(&mut tx, &cipher, (id, fence), &Value::Null, drafts).await.unwrap().unwrap();
    tx.commit().await.unwrap();
    store.logged(id, last, kinds.iter().copied());
    last
}

async fn page(gateway: &Gateway, token: &str, query: &str) -> Value {
    let answer = gateway.get(&format!("{EVENTS}?{query}"), token).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn seqs(page: &Value) -> Vec<i64> {
    page["events"].as_array().unwrap().iter().map(|event| event["seq"].as_i64().unwrap()).collect()
}

fn streamed(gateway: &Gateway, token: &str, query: &str) -> RequestBuilder {
    gateway.request("GET", &format!("{EVENTS}?{query}")).bearer_auth(token)
}

async fn stream(gateway: &Gateway, token: &str, query: &str) -> EventStream {
    EventStream::of(streamed(gateway, token, query)).await
}

/// Moves the clock once the stream waits for it: by then it has nothing else to do.
async fn pass(gateway: &Gateway, time: TimeDelta) {
    until("the stream waits", || async { gateway.clock.next_deadline() }).await;
    gateway.clock.advance(time);
}

#[tokio::test]
async fn pages_lead_from_the_first_event_to_the_last_and_tell_where_they_stand() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    assert_eq!(log(&gateway, own.id, &[EventKind::Message; 6]).await, 7);
    let first = page(&gateway, &own.token, "limit=3").await;
    assert_eq!((seqs(&first), &first["next"]), (vec![1, 2, 3], &json!(3)));
    assert_eq!((&first["first_seq"], &first["last_seq"], &first["lost_before"]), (&json!(1), &json!(7), &Value::Null));
    assert_eq!(first["events"][0]["event"], "session.status");
    assert_eq!(first["events"][0]["payload"]["status"], "STARTING");
    assert_eq!(first["events"][1]["id"], format!("evt_{}_2", own.id));
    let second = page(&gateway, &own.token, "limit=3&after=3").await;
    assert_eq!((seqs(&second), &second["next"]), (vec![4, 5, 6], &json!(6)));
    let third = page(&gateway, &own.token, "limit=3&after=6").await;
    assert_eq!((seqs(&third), &third["next"]), (vec![7], &Value::Null));
    let newest = page(&gateway, &own.token, "limit=2&latest=true").await;
    assert_eq!((seqs(&newest), &newest["next"]), (vec![6, 7], &Value::Null));
    assert_eq!(seqs(&page(&gateway, &own.token, "after=7").await), [] as [i64; 0]);
}

#[tokio::test]
async fn a_page_of_some_kinds_leads_past_the_others() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    log(&gateway, own.id, &[EventKind::Message, EventKind::MessageAck, EventKind::MessageOwn]).await;
    assert_eq!(seqs(&page(&gateway, &own.token, "events=message").await), [2]);
    assert_eq!(seqs(&page(&gateway, &own.token, "events=message.any,session.status").await), [1, 2, 4]);
    let one = page(&gateway, &own.token, "events=message.any&limit=1").await;
    assert_eq!((seqs(&one), &one["next"]), (vec![2], &json!(2)));
    let none = page(&gateway, &own.token, "events=call.received").await;
    assert_eq!((seqs(&none), &none["next"], &none["last_seq"]), (vec![], &Value::Null, &json!(4)));
}

#[tokio::test]
async fn what_is_kept_no_more_is_said_to_be_lost() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    let mut conn = gateway.database.pool().acquire().await.unwrap();
    partitions::make(&mut conn, gateway.now()).await.unwrap();
    log_at(&gateway, own.id, &[EventKind::Message; 2], gateway.now() - TimeDelta::days(9)).await;
    log(&gateway, own.id, &[EventKind::Message]).await;
    // The first event of all goes too.
    sqlx::query("DELETE FROM event WHERE seq = 1").execute(gateway.database.pool()).await.unwrap();
    partitions::prune(&mut conn, gateway.now() - TimeDelta::days(7)).await.unwrap();
    let rest = page(&gateway, &own.token, "after=1").await;
    assert_eq!((seqs(&rest), &rest["first_seq"], &rest["lost_before"]), (vec![4], &json!(4), &json!(4)));
    let fresh = page(&gateway, &own.token, "limit=5").await;
    assert_eq!((seqs(&fresh), &fresh["lost_before"]), (vec![4], &Value::Null), "nothing was missed by who begins");
    let mut stream = stream(&gateway, &own.token, "after=1").await;
    let (id, kind, data) = stream.event().await;
    assert_eq!((id, kind.as_str(), data), (3, "events.lost", json!({ "lost_before": 4 })));
    assert_eq!(stream.event().await.0, 4);
}

#[tokio::test]
async fn a_place_behind_the_end_or_that_is_none_is_refused() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    for query in ["after=2", "after=-1", "after=x", "latest=true&after=1", "events=gossip", "limit=501", "limit=0"] {
        let answer = gateway.get(&format!("{EVENTS}?{query}"), &own.token).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{query}");
    }
    for last in ["2", "x", "-1"] {
        let request = streamed(&gateway, &own.token, "").header("accept", "text/event-stream");
        let refused = request.header("last-event-id", last).send().await.unwrap();
        assert_eq!(refused.status(), 400, "{last}");
    }
}

#[tokio::test]
async fn nobody_reads_without_the_scope_or_of_another_account() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    let sender = key(TokenKind::Instance, 70);
    gateway.add_token(&sender, Holder::Instance(gateway.account, own.id), &[Scope::Send], None).await;
    let stranger = key(TokenKind::Account, 71);
    gateway.add_account(AccountId(Uuid::from_u128(71)), &stranger, |_| {}).await;
    for (token, expected) in [(sender.expose(), 403), (stranger.expose(), 404)] {
        let request = streamed(&gateway, token, &format!("instance_id={}", own.id));
        let refused = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(refused.status(), expected);
    }
    assert_eq!(gateway.get(EVENTS, gateway.key.expose()).await.error(), (400, "missing_parameter".into()));
}

#[tokio::test]
async fn a_stream_begins_at_the_end_or_where_it_is_told_and_comes_back_at_exactly_the_next() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    log(&gateway, own.id, &[EventKind::Message; 3]).await;
    let mut live = stream(&gateway, &own.token, "").await;
    assert_eq!((live.last_id, live.text.as_str()), (Some(4), "retry: 2000\nid: 4\n\n"));
    let mut all = stream(&gateway, &own.token, "after=0").await;
    let told = all.until(|_, envelope| envelope["seq"] == 4).await;
    assert_eq!(told.iter().map(|(id, ..)| *id).collect::<Vec<_>>(), [1, 2, 3, 4]);
    log(&gateway, own.id, &[EventKind::MessageAck; 2]).await;
    for stream in [&mut live, &mut all] {
        let (id, kind, envelope) = stream.event().await;
        assert_eq!((id, kind.as_str(), &envelope["seq"]), (5, "message.ack", &json!(5)));
    }
    assert_eq!(live.event().await.0, 6);
    drop((live, all));
    log(&gateway, own.id, &[EventKind::Message; 120]).await;
    for (query, header) in [("after=2", Some("5")), ("last_event_id=5&after=2", None), ("last_event_id=2", Some("5"))] {
        let request = streamed(&gateway, &own.token, query);
        let request = header.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        let mut back = EventStream::of(request).await;
        for seq in 6..=126 {
            assert_eq!(back.event().await.0, seq, "{query}");
        }
    }
}

#[tokio::test]
async fn a_silent_stream_says_that_it_is_there_and_how_far_it_got_past_unwanted_events() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    let mut all = stream(&gateway, &own.token, "").await;
    let mut calls = stream(&gateway, &own.token, "events=call.received").await;
    log(&gateway, own.id, &[EventKind::Message; 2]).await;
    assert_eq!((all.event().await.0, all.event().await.0), (2, 3));
    pass(&gateway, TimeDelta::seconds(15)).await;
    assert_eq!(calls.frame().await, Some(Frame::Progress(3)));
    pass(&gateway, TimeDelta::seconds(15)).await;
    assert_eq!(all.frame().await, Some(Frame::Heartbeat));
    assert_eq!(calls.frame().await, Some(Frame::Heartbeat));
    log(&gateway, own.id, &[EventKind::CallReceived]).await;
    assert_eq!((calls.event().await.0, all.event().await.0), (4, 4));
}

#[tokio::test]
async fn a_stream_ends_with_its_token_and_with_its_instance() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    let ends_at = gateway.now() + TimeDelta::seconds(60);
    let (revoked, expiring) = (key(TokenKind::Instance, 72), key(TokenKind::Instance, 73));
    let holder = Holder::Instance(gateway.account, own.id);
    let token_id = gateway.add_token(&revoked, holder, &[Scope::Read], None).await;
    gateway.add_token(&expiring, holder, &[Scope::Read], Some(ends_at)).await;
    let of_revoked = stream(&gateway, revoked.expose(), "").await;
    let of_expiring = stream(&gateway, expiring.expose(), "").await;
    let mut of_account = stream(&gateway, gateway.key.expose(), &format!("instance_id={}", own.id)).await;

    let ask = json!({ "instance_id": own.id, "token_id": token_id });
    let answer =
        Answer::of(gateway.request("DELETE", "/v2/session/token").bearer_auth(gateway.key.expose()).json(&ask));
    assert_eq!(answer.await.status, 200);
    pass(&gateway, TimeDelta::seconds(2)).await;
    assert!(of_revoked.ends_within(PATIENCE).await.is_empty());
    pass(&gateway, TimeDelta::seconds(58)).await;
    assert!(of_expiring.ends_within(PATIENCE).await.is_empty());
    assert_eq!(of_account.frame().await, Some(Frame::Heartbeat));

    let mut tx = gateway.database.store().begin().await.unwrap();
    wagate::store::session::erase(&mut tx, own.id, gateway.now()).await.unwrap();
    tx.commit().await.unwrap();
    pass(&gateway, TimeDelta::seconds(15)).await;
    assert!(of_account.ends_within(PATIENCE).await.is_empty());
}

#[tokio::test]
async fn no_more_streams_are_open_than_may_be_and_one_that_is_left_makes_room() {
    let gateway = Gateway::with(|config| config.events.max_streams_per_account = 2).await;
    let own = gateway.create().await;
    let first = stream(&gateway, &own.token, "").await;
    let _second = stream(&gateway, &own.token, "").await;
    let third = || streamed(&gateway, &own.token, "").header("accept", "text/event-stream");
    let refused = third().send().await.unwrap();
    assert_eq!(refused.status(), 429);
    assert!(refused.headers().contains_key("retry-after"));
    assert_eq!(refused.json::<Value>().await.unwrap()["code"], "too_many_streams");
    drop(first);
    // Nothing is sent meanwhile: that the client closed its side is enough.
    until("there is room", || async { (third().send().await.unwrap().status() == 200).then_some(()) }).await;
}

#[tokio::test]
async fn a_living_stream_is_not_cut_and_its_end_is_in_order() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    let mut living = stream(&gateway, &own.token, "").await;
    for _ in 0..5 {
        pass(&gateway, TimeDelta::seconds(15)).await;
        assert_eq!(living.frame().await, Some(Frame::Heartbeat));
    }
    gateway.state.end_streams();
    assert!(living.ends_within(Duration::from_secs(5)).await.is_empty());
    let late = stream(&gateway, &own.token, "").await;
    assert!(late.ends_within(Duration::from_secs(5)).await.is_empty());
}

#[tokio::test]
async fn only_the_head_of_a_stream_is_one_without_a_body() {
    let gateway = Gateway::start().await;
    let own = gateway.create().await;
    let request = gateway.request("HEAD", EVENTS).bearer_auth(&own.token).header("accept", "text/event-stream");
    let answer = Answer::of(request).await;
    assert_eq!((answer.status.as_u16(), answer.header("content-type")), (200, "text/event-stream"));
    assert!(answer.body.is_empty());
}
