//! Two hundred at once: all get a code, all are scanned, all work, a restart brings all of them back.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;

use crate::support::gateway::Gateway;
use crate::support::wait::until_within;

const FLEET: usize = 200;
/// Pairing is curve arithmetic on two cores in a test build: minutes are a bound, not an expectation.
const PATIENCE: Duration = Duration::from_secs(150);

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_instances_link_and_survive_a_restart_and_none_has_two_sockets() {
    let mut gateway = Gateway::with(|config| config.engine.prekeys = 5).await;
    let client = gateway.client.clone();
    let network = gateway.network.clone();
    let linked: HashMap<String, String> = stream::iter(0..FLEET)
        .map(|number| {
            let (client, network) = (client.clone(), network.clone());
            async move {
                let instance = client.create(&format!("fleet-{number}")).await;
                let phone = network.phone().await;
                client.scan(&network, &instance, &phone).await;
                (phone, instance)
            }
        })
        .buffer_unordered(FLEET)
        .collect()
        .await;
    assert_eq!(linked.len(), FLEET);
    let linked = Arc::new(linked);
    all_work(&gateway, &linked).await;
    gateway.restart().await;
    all_work(&gateway, &linked).await;
    for device in network.devices().await {
        assert_eq!(device["most_live_sockets"], 1, "{device}");
    }
    gateway.stop().await;
}

/// Every instance is WORKING and the network sees exactly its socket.
async fn all_work(gateway: &Gateway, linked: &HashMap<String, String>) {
    until_within(PATIENCE, "every instance is WORKING", || async {
        let connected = gateway.network.devices().await.iter().filter(|device| device["connected"] == true).count();
        if connected < FLEET {
            return None;
        }
        for instance in linked.values() {
            if gateway.client.info(instance).await["status"] != "WORKING" {
                return None;
            }
        }
        Some(())
    })
    .await;
}
