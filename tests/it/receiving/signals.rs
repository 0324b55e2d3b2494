//! Receipts, typing, and changes of groups.

use super::*;

impl Pair {
    /// Waits for an event of this kind that `is_it`.
    async fn one(&self, kind: EventKind, is_it: impl Fn(&Value) -> bool) -> Value {
        until(&format!("{kind} is told"), || async {
            let log = self.log().await;
            log.iter().filter(|event| event.kind == kind).map(payload).find(|payload| is_it(payload)).cloned()
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_types_or_records_is_told() {
    let pair = Pair::new().await;
    let network = &pair.gateway.network;
    network.post(&format!("/phones/{}/typing", pair.other), &json!({ "to": pair.own, "state": "composing" })).await;
    let typing = pair.one(EventKind::PresenceUpdate, |told| told["id"] == pair.other_id()).await;
    assert_eq!(typing["presences"][0]["lastKnownPresence"], "typing");
    assert_eq!(typing["presences"][0]["participant"], pair.other_id());
    network.post(&format!("/phones/{}/typing", pair.other), &json!({ "to": pair.own, "state": "recording" })).await;
    pair.one(EventKind::PresenceUpdate, |told| told["presences"][0]["lastKnownPresence"] == "recording").await;
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_joins_and_leaves_a_group_is_told() {
    let pair = Pair::new().await;
    let network = &pair.gateway.network;
    let third = network.phone().await;
    let group = json!({ "creator": pair.other, "subject": "trip", "participants": [pair.own] });
    let (_, group) = network.post("/groups", &group).await;
    let id = group["jid"].as_str().expect("it has an address");
    pair.one(EventKind::GroupJoined, |told| told["group"]["id"] == id).await;
    let change = |action: &str, number: &str| json!({ "by": pair.other, "action": action, "participants": [number] });
    network.post(&format!("/groups/{id}/participants"), &change("add", &third)).await;
    let added = pair.one(EventKind::GroupParticipants, |told| told["type"] == "join").await;
    assert_eq!(added["participants"][0]["id"], format!("{third}@c.us"));
    assert_eq!((&added["group"]["id"], &added["author"]), (&json!(id), &json!(pair.other_id())));
    network.post(&format!("/groups/{id}/participants"), &change("promote", &third)).await;
    pair.one(EventKind::GroupParticipants, |told| told["type"] == "promote").await;
    network.post(&format!("/groups/{id}/participants"), &change("remove", &pair.own)).await;
    pair.one(EventKind::GroupLeft, |told| told["group"]["id"] == id).await;
    pair.gateway.stop().await;
}
