//! What must hold in the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use serde_json::{Value, json};

use super::receiver::Receiver;
use super::traffic::Taken;
use crate::support::client::Client;
use crate::support::network::Network;
use crate::support::wait::{until_within, within};

/// What was under way at the last death has this long to arrive.
const PATIENCE: Duration = Duration::from_mins(3);

/// The instance works. Right after its database died, the gateway may answer a few requests with an error.
pub(super) async fn works_again(client: &Client, instance: &str) {
    until_within(PATIENCE, "the instance works again", || async {
        let (status, info) = client.post("/v2/session/info", &json!({ "instance_id": instance })).await;
        (status == 200 && info["status"] == "WORKING").then_some(())
    })
    .await;
}

/// Each text that a phone sent was delivered, as one event, and first deliveries came in the order of their numbers,
/// which have no gap. How many texts were logged after one that was sent later: a message that a death made unreadable is
/// asked for again, and comes when its phone sends it again.
pub(super) async fn on_inbound(receiver: &Receiver, instance: &str, sent: &[String]) -> usize {
    let text = |delivery: &Value| delivery["payload"]["body"].as_str().map(str::to_owned);
    let is_message = |delivery: &Value| delivery["event"] == "message";
    let missing = || {
        let deliveries = receiver.deliveries();
        let told: BTreeSet<String> = deliveries.iter().filter(|it| is_message(it)).filter_map(text).collect();
        sent.iter().filter(|text| !told.contains(*text)).collect::<Vec<_>>()
    };
    // Whether it came to that is looked at below, where it can be said what is missing.
    within(PATIENCE, || async { missing().is_empty().then_some(()) }).await;
    let (missing, deliveries) = (missing(), receiver.deliveries());
    let unreadable = deliveries.iter().filter(|it| is_message(it) && text(it).is_none()).collect::<Vec<_>>();
    assert!(missing.is_empty(), "never delivered: {missing:?}; told as unreadable: {unreadable:?}");

    let mut seen = BTreeMap::new();
    let mut highest = 0;
    for delivery in &deliveries {
        assert_eq!(delivery["instance_id"], instance);
        let seq = delivery["seq"].as_i64().unwrap();
        if let Some(first) = seen.insert(seq, delivery) {
            assert_eq!(first, delivery, "a repetition says something else");
        } else {
            assert!(seq > highest, "event {seq} was first delivered after event {highest}");
            highest = seq;
        }
    }
    let first = *seen.keys().next().unwrap();
    let gaps: Vec<i64> = (first..=highest).filter(|seq| !seen.contains_key(seq)).collect();
    assert!(gaps.is_empty(), "of {first} to {highest} these were never delivered: {gaps:?}");

    let places: HashMap<&str, usize> = sent.iter().enumerate().map(|(place, text)| (text.as_str(), place)).collect();
    let in_log: Vec<String> = seen.values().filter(|delivery| is_message(delivery)).filter_map(|it| text(it)).collect();
    let distinct: BTreeSet<&String> = in_log.iter().collect();
    assert_eq!((in_log.len(), distinct.len()), (sent.len(), sent.len()), "each text is one event");
    let (mut latest, mut overtaken) = (0, 0);
    for text in &in_log {
        let place = places[text.as_str()];
        overtaken += usize::from(place < latest);
        latest = latest.max(place);
    }
    overtaken
}

/// No message is with the phone twice, each that counts as sent is there, and they are in the order in which the API took
/// them. How many are unknown: the connection died between wire and acknowledgement.
pub(super) async fn on_outbound(
    client: &Client,
    network: &Network,
    (instance, friend): (&str, &str),
    taken: &[Taken],
) -> usize {
    let mut states = HashMap::new();
    for message in taken {
        let state = until_within(PATIENCE, "a message has left the queue", || async {
            let path = format!("/v2/messages/{}", message.id);
            let (status, body) = client.call(reqwest::Method::GET, &path, &json!({ "instance_id": instance })).await;
            if status != 200 {
                return None;
            }
            let state = body["status"].as_str().unwrap().to_owned();
            (state != "queued").then_some(state)
        })
        .await;
        states.insert(message.id.as_str(), state);
    }
    let inbox = network.get(&format!("/phones/{friend}/inbox")).await;
    let arrived: Vec<(&str, u64)> = inbox
        .as_array()
        .unwrap()
        .iter()
        .map(|item| (item["id"].as_str().unwrap(), item["copies"].as_u64().unwrap()))
        .collect();
    for (id, copies) in &arrived {
        assert_eq!(*copies, 1, "message {id} came {copies} times");
    }
    let ids: BTreeSet<&str> = arrived.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids.len(), arrived.len(), "a message is in the inbox twice");
    let texts: BTreeSet<&str> = inbox.as_array().unwrap().iter().filter_map(|item| item["text"].as_str()).collect();
    assert_eq!(texts.len(), arrived.len(), "a text came under two ids");
    let mut unknown = 0;
    for message in taken {
        match (states[message.id.as_str()].as_str(), ids.contains(message.id.as_str())) {
            ("sent" | "delivered" | "read", true) => {}
            ("unknown", _) => unknown += 1,
            (state, there) => panic!("{} is {state}; is it with the phone: {there}", message.text),
        }
    }
    let order: Vec<&str> = arrived.iter().map(|(id, _)| *id).collect();
    let expected: Vec<&str> = taken.iter().map(|it| it.id.as_str()).filter(|id| ids.contains(id)).collect();
    assert_eq!(order, expected, "messages overtook each other");
    unknown
}
