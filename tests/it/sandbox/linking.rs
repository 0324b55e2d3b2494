//! From the first code to the linked device.

use super::client::Told;
use super::{linked, start, view};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scanned_client_connects_and_later_logs_in_without_a_scan() {
    let sandbox = start().await;
    let (store, client, device) = linked(&sandbox).await;
    client.stop().await;
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    let view = view(&sandbox, &device);
    assert!(view.connected);
    assert_eq!((view.logins, view.live_sockets, view.most_live_sockets), (2, 1, 1));
    client.stop().await;
    sandbox.shutdown().await;
}
