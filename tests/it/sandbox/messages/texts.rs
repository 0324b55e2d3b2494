//! Texts, and what tells their authors how far they got.

use wacore::types::presence::ReceiptType;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_s_text_reaches_a_linked_device_with_its_author_and_id() {
    let mut pair = Pair::new().await;
    let id = pair.hear("good morning");
    let message = pair.client.message().await;
    assert_eq!(words(&message.message), Some("good morning"));
    assert_eq!(message.info.id, id);
    assert_eq!(message.info.push_name, "Omar");
    assert_eq!(message.info.source.sender.to_string(), pair.other.jid);
    assert_eq!(message.info.source.sender_alt.as_ref().unwrap().to_string(), pair.other.lid);
    assert!(!message.info.source.is_from_me);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_device_s_text_reaches_a_phone_and_is_acknowledged_and_delivered() {
    let mut pair = Pair::new().await;
    let id = pair.say("good evening").await;
    let item = pair.inbox(1).await.remove(0);
    assert_eq!((item.id.as_str(), item.said.kind.as_str()), (id.as_str(), "text"));
    assert_eq!(item.said.text.as_deref(), Some("good evening"));
    assert_eq!(item.from, format!("{}@s.whatsapp.net", pair.own_number()));
    assert_eq!((item.from_me, item.copies), (false, 1));
    // In either order: the client hands each on from a task of its own, however they came.
    let (mut acknowledged, mut received) = (None, None);
    pair.client
        .hear("acknowledgement and receipt", |heard| {
            match heard {
                Heard::Ack { id: acked, error } if *acked == id => acknowledged = Some(error.clone()),
                Heard::Receipt { ids, kind, .. } if ids.contains(&id) => received = Some(kind.clone()),
                _ => {}
            }
            (acknowledged.is_some() && received.is_some()).then_some(())
        })
        .await;
    assert_eq!((acknowledged, received), (Some(None), Some(ReceiptType::Delivered)));
}

async fn receipt(client: &mut Client, id: &str) -> ReceiptType {
    client
        .hear("receipt", |heard| match heard {
            Heard::Receipt { ids, kind, .. } if ids.iter().any(|about| about == id) => Some(kind.clone()),
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_conversation_goes_on_in_the_same_sessions() {
    let mut pair = Pair::new().await;
    for turn in 0..5 {
        pair.say(&format!("question {turn}")).await;
        let inbox = pair.inbox(turn + 1).await;
        assert_eq!(inbox[turn].said.text, Some(format!("question {turn}")));
        pair.hear(&format!("answer {turn}"));
        assert_eq!(words(&pair.client.message().await.message), Some(format!("answer {turn}").as_str()));
    }
    let sent = pair.sandbox.outbox(&pair.other.number).unwrap();
    let device = pair.device.to_string();
    until("every answer is delivered", async || {
        let sent = pair.sandbox.outbox(&pair.other.number).unwrap();
        sent.iter().all(|item| item.delivered_to.contains(&device))
    })
    .await;
    assert_eq!(sent.len(), 5);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_says_that_it_has_read_and_learns_that_it_was_read() {
    let mut pair = Pair::new().await;
    let id = pair.say("read this").await;
    pair.inbox(1).await;
    assert_eq!(receipt(&mut pair.client, &id).await, ReceiptType::Delivered);
    assert_eq!(pair.sandbox.read(&pair.other.number, None), Some(1));
    assert_eq!(receipt(&mut pair.client, &id).await, ReceiptType::Read);

    let answer = pair.hear("done");
    let message = pair.client.message().await;
    let chat = message.info.source.chat.clone();
    pair.client.inner().mark_as_read(&chat, None, &[answer.as_str()]).await.unwrap();
    let reader = format!("{}@s.whatsapp.net", pair.own_number());
    until("the phone knows that it was read", async || {
        pair.sandbox.outbox(&pair.other.number).unwrap()[0].read_by.contains(&reader)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_account_s_own_phone_sends_reaches_its_linked_device_as_a_copy_and_back() {
    let mut pair = Pair::new().await;
    let sent = pair.sandbox.send(&pair.own_number(), &pair.other.number, &says("from my phone")).unwrap();
    let message = pair.client.message().await;
    assert!(message.info.source.is_from_me);
    assert_eq!(message.info.id, sent.id);
    assert_eq!(message.info.source.chat.to_string(), pair.other.jid);
    assert_eq!(words(&message.message), Some("from my phone"));
    assert_eq!(pair.inbox(1).await[0].said.text.as_deref(), Some("from my phone"));

    pair.say("from my computer").await;
    let own = inbox(&pair.sandbox, &pair.own_number(), 1).await.remove(0);
    assert!(own.from_me);
    assert_eq!((own.chat, own.said.text.as_deref()), (pair.other.jid.clone(), Some("from my computer")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_linked_devices_of_different_accounts_and_two_phones_write_to_each_other() {
    let mut pair = Pair::new().await;
    let (_store, mut far, far_device) = linked(&pair.sandbox).await;
    let far_jid: Jid = format!("{}@s.whatsapp.net", far_device.number).parse().unwrap();
    pair.client.inner().send_message(far_jid, text("device to device")).await.unwrap();
    assert_eq!(words(&far.message().await.message), Some("device to device"));
    let near: Jid = format!("{}@s.whatsapp.net", pair.own_number()).parse().unwrap();
    far.inner().send_message(near, text("and back")).await.unwrap();
    assert_eq!(words(&pair.client.message().await.message), Some("and back"));

    let third = pair.sandbox.add_phone(None, None).unwrap();
    pair.sandbox.send(&third.number, &pair.other.number, &says("phone to phone")).unwrap();
    assert_eq!(pair.inbox(1).await[0].said.text.as_deref(), Some("phone to phone"));
    let sent = pair.sandbox.outbox(&third.number).unwrap();
    assert!(sent[0].delivered_to.contains(&pair.other.jid));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn typing_and_presence_are_seen_on_both_sides() {
    let mut pair = Pair::new().await;
    pair.client.inner().chatstate().send_composing(&pair.other_jid()).await.unwrap();
    until("the phone sees it", async || !pair.sandbox.noted(&pair.other.number).unwrap().is_empty()).await;
    assert_eq!(pair.sandbox.noted(&pair.other.number).unwrap()[0].state, "composing");

    pair.client.inner().presence().subscribe(pair.other_jid()).await.unwrap();
    let typing = pair.sandbox.url();
    let http = crate::support::network::Network::at(&typing);
    let path = format!("/phones/{}/typing", pair.other.number);
    let body = serde_json::json!({ "to": pair.own_number(), "state": "composing" });
    assert_eq!(http.post(&path, &body).await.0, 200);
    let (from, state) = pair
        .client
        .hear("typing", |heard| match heard {
            Heard::Typing { from, state } => Some((from.clone(), state.clone())),
            _ => None,
        })
        .await;
    assert_eq!((from, state.as_str()), (pair.other.jid.clone(), "Composing"));
    let path = format!("/phones/{}/presence", pair.other.number);
    assert_eq!(http.post(&path, &serde_json::json!({ "available": true })).await.0, 200);
    let other = pair.other.jid.clone();
    pair.client
        .hear("presence", |heard| match heard {
            Heard::Presence { from, available: true } if *from == other => Some(()),
            _ => None,
        })
        .await;
}
