//! Acknowledgements that come late, never, twice; connections cut; sends refused.

use wagate::sandbox::{FaultKind, FaultSpec};

use super::*;
use crate::sandbox::client::Told;

fn once(kind: FaultKind, device: &DeviceId) -> FaultSpec {
    FaultSpec { count: Some(1), ..FaultSpec::device(kind, device.clone()) }
}

async fn ack(client: &mut Client, id: &str) -> Option<String> {
    client
        .hear("acknowledgement", |heard| match heard {
            Heard::Ack { id: acked, error } if acked == id => Some(error.clone()),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_send_says_463_and_reaches_nobody() {
    let mut pair = Pair::new().await;
    pair.sandbox.add_fault(&once(FaultKind::SendRefused, &pair.device));
    let id = pair.say("unwanted").await;
    assert_eq!(ack(&mut pair.client, &id).await.as_deref(), Some("463"));
    let id = pair.say("wanted").await;
    assert_eq!(ack(&mut pair.client, &id).await, None);
    let inbox = pair.inbox(1).await;
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0].id, id);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_acknowledged_twice() {
    let mut pair = Pair::new().await;
    pair.sandbox.add_fault(&once(FaultKind::AckTwice, &pair.device));
    let id = pair.say("once").await;
    assert_eq!(ack(&mut pair.client, &id).await, None);
    assert_eq!(ack(&mut pair.client, &id).await, None);
    assert_eq!(pair.inbox(1).await[0].copies, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_late_acknowledgement_comes_after_the_receipt() {
    let mut pair = Pair::new().await;
    let late = FaultSpec { delay_ms: Some(300), ..once(FaultKind::AckLate, &pair.device) };
    pair.sandbox.add_fault(&late);
    let id = pair.say("patience").await;
    let mut order = Vec::new();
    pair.client
        .hear("receipt and acknowledgement", |heard| {
            match heard {
                Heard::Receipt { ids, .. } if ids.contains(&id) => order.push("receipt"),
                Heard::Ack { id: acked, .. } if *acked == id => order.push("ack"),
                _ => {}
            }
            (order.len() == 2).then_some(())
        })
        .await;
    assert_eq!(order, ["receipt", "ack"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_never_acknowledged_is_delivered_all_the_same() {
    let mut pair = Pair::new().await;
    pair.sandbox.add_fault(&once(FaultKind::AckNever, &pair.device));
    let id = pair.say("silence").await;
    assert_eq!(pair.inbox(1).await[0].id, id);
    let next = pair.say("sound").await;
    let mut acked = Vec::new();
    pair.client
        .hear("the next acknowledgement", |heard| {
            if let Heard::Ack { id, .. } = heard {
                acked.push(id.clone());
            }
            acked.contains(&next).then_some(())
        })
        .await;
    assert_eq!(acked, [next]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_cut_before_the_acknowledgement_has_delivered_the_message() {
    let mut pair = Pair::new().await;
    pair.sandbox.add_fault(&once(FaultKind::DropBeforeAck, &pair.device));
    let id = pair.say("last words").await;
    pair.client.wait_for(Told::Disconnected).await;
    pair.client.wait_for(Told::Connected).await;
    assert_eq!(pair.inbox(1).await[0].id, id);
    assert!(!pair.client.heard_so_far().iter().any(|heard| matches!(heard, Heard::Ack { .. })));
}
