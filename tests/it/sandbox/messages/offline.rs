//! Queues: what waits for a device or a phone that is not there, and what was not acknowledged.

use super::*;
use crate::sandbox::client::Told;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_written_while_a_device_was_away_awaits_it_in_order() {
    let Pair { sandbox, store, client, device, other } = Pair::new().await;
    client.stop().await;
    let sent = (0..30).map(|turn| sandbox.send(&other.number, &device.number, &says(&format!("missed {turn}"))));
    let sent = sent.map(|sent| sent.unwrap().id).collect::<Vec<_>>();
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    for (turn, id) in sent.iter().enumerate() {
        let message = client.message().await;
        assert_eq!((&message.info.id, message.info.is_offline), (id, true));
        assert_eq!(words(&message.message), Some(format!("missed {turn}").as_str()));
    }
    until("all are acknowledged", async || {
        let outbox = sandbox.outbox(&other.number).unwrap();
        outbox.iter().all(|item| item.delivered_to.contains(&device.to_string()))
    })
    .await;
    // Acknowledged is acknowledged: nothing of it comes again.
    client.stop().await;
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    sandbox.send(&other.number, &device.number, &says("and now")).unwrap();
    assert_eq!(words(&client.message().await.message), Some("and now"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_that_is_off_reads_when_it_is_on_again() {
    let pair = Pair::new().await;
    assert!(pair.sandbox.set_online(&pair.other.number, false));
    pair.say("are you there").await;
    let refused = pair.sandbox.send(&pair.other.number, &pair.own_number(), &says("no"));
    assert_eq!(refused.unwrap_err().to_string(), "this phone is offline");
    assert!(pair.sandbox.inbox(&pair.other.number).unwrap().is_empty());
    assert!(pair.sandbox.set_online(&pair.other.number, true));
    assert_eq!(pair.inbox(1).await[0].said.text.as_deref(), Some("are you there"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_finds_sessions_queues_and_inboxes_again() {
    let data = tempfile::tempdir().unwrap();
    let config =
        || wagate::sandbox::SandboxConfig { data_dir: Some(data.path().to_owned()), ..crate::sandbox::config() };
    let sandbox = wagate::sandbox::Sandbox::start(config()).await.unwrap();
    let (store, mut client, device) = linked(&sandbox).await;
    let other = sandbox.add_phone(None, Some("Omar")).unwrap();
    let jid: Jid = other.jid.parse().unwrap();
    client.inner().send_message(jid.clone(), text("before")).await.unwrap();
    inbox(&sandbox, &other.number, 1).await;
    sandbox.send(&other.number, &device.number, &says("before, back")).unwrap();
    client.message().await;
    client.stop().await;
    sandbox.send(&other.number, &device.number, &says("while you were out")).unwrap();
    sandbox.shutdown().await;

    let sandbox = wagate::sandbox::Sandbox::start(config()).await.unwrap();
    assert_eq!(sandbox.inbox(&other.number).unwrap()[0].said.text.as_deref(), Some("before"));
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    assert_eq!(words(&client.message().await.message), Some("while you were out"));
    client.inner().send_message(jid, text("after")).await.unwrap();
    assert_eq!(inbox(&sandbox, &other.number, 2).await[1].said.text.as_deref(), Some("after"));
    sandbox.send(&other.number, &device.number, &says("after, back")).unwrap();
    let message = client.message().await;
    assert_eq!(words(&message.message), Some("after, back"));
}
