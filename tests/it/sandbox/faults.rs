//! Every fault, as the client sees it.

use std::time::{Duration, Instant};

use wagate::sandbox::{FaultKind, FaultSpec};

use super::client::{Store, Told};
use super::{linked, start, until, view};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn drop_cuts_the_connection_once_and_the_client_comes_back() {
    let sandbox = start().await;
    let (_store, mut client, device) = linked(&sandbox).await;
    sandbox.add_fault(&FaultSpec::device(FaultKind::Drop, device.clone()));
    client.wait_for(Told::Disconnected).await;
    client.wait_for(Told::Connected).await;
    assert_eq!(view(&sandbox, &device).most_live_sockets, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuse_keeps_everybody_out_while_it_lasts() {
    let sandbox = start().await;
    let (store, client, device) = linked(&sandbox).await;
    client.stop().await;
    let fault = sandbox.add_fault(&FaultSpec { count: Some(2), ..FaultSpec::everybody(FaultKind::Refuse) });
    let started = Instant::now();
    let mut client = store.start(&sandbox.websocket_url()).await;
    let mut stranger = Store::default().start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    stranger.code().await;
    assert!(started.elapsed() > Duration::from_millis(800), "each was refused once, and waited before it came back");
    assert_eq!(view(&sandbox, &device).logins, 2);
    assert!(sandbox.remove_fault(fault));
    assert!(!sandbox.remove_fault(fault));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refuse_of_one_device_spares_the_others() {
    let sandbox = start().await;
    let (store, client, device) = linked(&sandbox).await;
    client.stop().await;
    let fault = sandbox.add_fault(&FaultSpec::device(FaultKind::Refuse, device.clone()));
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Disconnected).await;
    let (_other_store, _other, _) = linked(&sandbox).await;
    assert_eq!(view(&sandbox, &device).logins, 1);
    sandbox.remove_fault(fault);
    client.wait_for(Told::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_answers_nothing_while_the_socket_stays_up() {
    let sandbox = start().await;
    let (_store, mut client, device) = linked(&sandbox).await;
    assert!(client.is_answered().await);
    let fault = sandbox.add_fault(&FaultSpec::device(FaultKind::Silent, device.clone()));
    assert!(!client.is_answered().await);
    assert!(view(&sandbox, &device).connected);
    assert!(!client.told_so_far().contains(&Told::Disconnected));
    sandbox.remove_fault(fault);
    assert!(client.is_answered().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_ends_with_its_seconds() {
    let sandbox = start().await;
    let (_store, client, device) = linked(&sandbox).await;
    sandbox.add_fault(&FaultSpec { seconds: Some(1), ..FaultSpec::device(FaultKind::Silent, device) });
    assert!(!client.is_answered().await);
    until("the client is answered", async || client.is_answered().await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_meets_a_stranger_and_a_log_in_too() {
    let sandbox = start().await;
    let (store, client, device) = linked(&sandbox).await;
    client.stop().await;
    let fault = sandbox.add_fault(&FaultSpec::everybody(FaultKind::Silent));
    let mut stranger = Store::default().start(&sandbox.websocket_url()).await;
    let mut client = store.start(&sandbox.websocket_url()).await;
    until("both handshakes are done", async || stranger.inner().is_connected() && client.inner().is_connected()).await;
    assert_eq!((stranger.told_so_far(), client.told_so_far()), (vec![], vec![]));
    assert!(!view(&sandbox, &device).connected);
    sandbox.remove_fault(fault);
    stranger.code().await;
    client.wait_for(Told::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn half_open_accepts_and_then_leaves_everybody_alone() {
    let sandbox = start().await;
    let (_store, linked_client, device) = linked(&sandbox).await;
    let fault = sandbox.add_fault(&FaultSpec::everybody(FaultKind::HalfOpen));
    let mut stranger = Store::default().start(&sandbox.websocket_url()).await;
    assert!(!linked_client.is_answered().await);
    assert_eq!(stranger.told_so_far(), []);
    assert!(view(&sandbox, &device).connected);
    sandbox.remove_fault(fault);
    stranger.code().await;
    assert!(linked_client.is_answered().await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_left_a_half_open_connection_is_not_counted_when_it_returns() {
    let sandbox = start().await;
    let (store, client, device) = linked(&sandbox).await;
    let fault =
        sandbox.add_fault(&FaultSpec { count: Some(1), ..FaultSpec::device(FaultKind::HalfOpen, device.clone()) });
    assert!(!client.is_answered().await);
    client.stop().await;
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    assert_eq!(view(&sandbox, &device).most_live_sockets, 1);
    sandbox.remove_fault(fault);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_code_withholds_the_references() {
    let sandbox = start().await;
    let fault = sandbox.add_fault(&FaultSpec::everybody(FaultKind::NoCode));
    let mut stranger = Store::default().start(&sandbox.websocket_url()).await;
    until("the stranger's handshake is done", async || stranger.inner().is_connected()).await;
    assert_eq!(stranger.told_so_far(), []);
    sandbox.remove_fault(fault);
    stranger.code().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logout_removes_the_device() {
    let sandbox = start().await;
    let (store, mut client, device) = linked(&sandbox).await;
    sandbox.add_fault(&FaultSpec::device(FaultKind::Logout, device));
    client.wait_for(Told::LoggedOut { on_connect: false }).await;
    assert_eq!(sandbox.devices(), []);
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::LoggedOut { on_connect: true }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replace_takes_the_device_s_place() {
    let sandbox = start().await;
    let (store, mut client, device) = linked(&sandbox).await;
    sandbox.add_fault(&FaultSpec::device(FaultKind::Replace, device.clone()));
    client.wait_for(Told::Replaced).await;
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    sandbox.add_fault(&FaultSpec { count: Some(1), ..FaultSpec::device(FaultKind::Replace, device.clone()) });
    client.wait_for(Told::Replaced).await;
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Replaced).await;
    assert_eq!(view(&sandbox, &device).most_live_sockets, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ban_outdated_and_restrict_refuse_the_log_in_each_in_its_way() {
    let sandbox = start().await;
    let (store, mut client, device) = linked(&sandbox).await;
    let ban = FaultSpec { seconds: Some(600), ..FaultSpec::device(FaultKind::Ban, device.clone()) };
    let faults = [
        (ban, None),
        (FaultSpec::everybody(FaultKind::Outdated), Some(Told::Outdated)),
        (FaultSpec::device(FaultKind::Restrict, device.clone()), Some(Told::Locked)),
    ];
    for (spec, expected) in faults {
        let fault = sandbox.add_fault(&spec);
        client.wait_for(Told::Disconnected).await;
        if let Some(expected) = expected {
            client.wait_for(expected).await;
        } else {
            let told = client.wait("ban", |told| matches!(told, Told::Banned { .. }).then(|| told.clone())).await;
            assert!(matches!(told, Told::Banned { seconds: 590..=600 }), "{told:?}");
        }
        sandbox.remove_fault(fault);
        client.stop().await;
        client = store.start(&sandbox.websocket_url()).await;
        client.wait_for(Told::Connected).await;
    }
    assert_eq!(view(&sandbox, &device).most_live_sockets, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_client_is_refused_before_it_is_linked() {
    let sandbox = start().await;
    sandbox.add_fault(&FaultSpec { count: Some(1), ..FaultSpec::everybody(FaultKind::Outdated) });
    let mut first = Store::default().start(&sandbox.websocket_url()).await;
    first.wait_for(Told::Outdated).await;
    let mut second = Store::default().start(&sandbox.websocket_url()).await;
    second.code().await;
}
