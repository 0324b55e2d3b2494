//! The stand-in network, driven by the real client library.
#![expect(clippy::unwrap_used, reason = "in a test, a panic is the report")]

mod client;
mod control;
mod crowd;
mod faults;
mod linking;
mod messages;
mod typing;

use std::sync::Arc;
use std::time::Duration;

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use wagate::domain::clock::SystemClock;
use wagate::sandbox::{DeviceId, DeviceView, Sandbox, SandboxConfig, SandboxHandle};

use client::{Client, PATIENCE, Store, Told};

pub(crate) fn config() -> SandboxConfig {
    SandboxConfig {
        listen: "127.0.0.1:0".parse().unwrap(),
        data_dir: None,
        clock: Arc::new(SystemClock),
        rng: StdRng::seed_from_u64(0x5a4d_b0f5),
    }
}

pub(crate) async fn start() -> SandboxHandle {
    Sandbox::start(config()).await.unwrap()
}

/// A client of a new device, linked and connected.
pub(crate) async fn linked(sandbox: &SandboxHandle) -> (Store, Client, DeviceId) {
    let store = Store::default();
    let mut client = store.start(&sandbox.websocket_url()).await;
    let phone = sandbox.add_phone(None, Some("Nadia")).unwrap();
    let code = client.code().await;
    let device = sandbox.scan(&phone.number, &code).await.unwrap();
    client.wait_for(Told::Connected).await;
    (store, client, device)
}

pub(crate) fn view(sandbox: &SandboxHandle, device: &DeviceId) -> DeviceView {
    sandbox.devices().into_iter().find(|view| view.device == device.to_string()).expect("the device is linked")
}

/// Waits until `condition` holds.
pub(crate) async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "it never came to pass that {what}");
}
