//! Many clients at once.

use std::sync::Arc;

use futures_util::future::join_all;

use super::client::{Client, Store, Told};
use super::{linked, start};

/// Enough to find a lock held over an await or a count that races, few enough for every run.
const CLIENTS: usize = 60;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_links_leaves_and_returns_with_one_socket_each() {
    let sandbox = Arc::new(start().await);
    let linking = (0..CLIENTS).map(|_| {
        let sandbox = Arc::clone(&sandbox);
        tokio::spawn(async move { linked(&sandbox).await })
    });
    let linked = join_all(linking).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let (stores, clients): (Vec<Store>, Vec<Client>) =
        linked.into_iter().map(|(store, client, _)| (store, client)).unzip();
    join_all(clients.into_iter().map(Client::stop)).await;
    let returning = stores.into_iter().map(|store| {
        let url = sandbox.websocket_url();
        tokio::spawn(async move {
            let mut client = store.start(&url).await;
            client.wait_for(Told::Connected).await;
            client
        })
    });
    let clients = join_all(returning).await.into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let devices = sandbox.devices();
    assert_eq!(devices.len(), CLIENTS);
    for device in &devices {
        assert!(device.logins >= 2, "{device:?}");
        assert_eq!((device.live_sockets, device.most_live_sockets), (1, 1), "{device:?}");
    }
    join_all(clients.into_iter().map(Client::stop)).await;
}
