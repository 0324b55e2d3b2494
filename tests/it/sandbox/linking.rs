//! From the first code to the linked device, and the ways it can fail.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use wagate::domain::clock::ManualClock;
use wagate::sandbox::{PhoneError, Sandbox, SandboxConfig, SandboxError, ScanError};

use super::client::{Store, Told};
use super::{config, linked, start, until, view};

const CAMERA_PREFIX: &str = "https://wa.me/settings/linked_devices#";

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
    until("the socket is closed", async || !super::view(&sandbox, &device).connected).await;
    sandbox.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_account_s_name_reaches_the_client() {
    let sandbox = start().await;
    let (_store, client, device) = linked(&sandbox).await;
    let stored = client.inner().persistence_manager().get_device_snapshot();
    assert_eq!(stored.push_name, "Nadia");
    assert_eq!(stored.pn.as_ref().map(ToString::to_string), Some(device.to_string()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_with_the_camera_prefix_can_be_scanned() {
    let sandbox = start().await;
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    let phone = sandbox.add_phone(Some("+201012345678"), None).unwrap();
    assert_eq!(phone.number, "201012345678");
    assert_eq!(phone.jid, "201012345678@s.whatsapp.net");
    let code = client.code().await;
    let device = sandbox.scan(&phone.number, &format!("{CAMERA_PREFIX}{code}")).await.unwrap();
    assert_eq!(device.to_string(), "201012345678:1@s.whatsapp.net");
    client.wait_for(Told::Paired).await;
    client.wait_for(Told::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_that_was_used_or_that_nobody_shows_is_refused() {
    let sandbox = start().await;
    let phone = sandbox.add_phone(None, None).unwrap();
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    let mut other = Store::default().start(&sandbox.websocket_url()).await;
    let (code, others_code) = (client.code().await, other.code().await);
    let reference = |code: &str| code.split(',').next().unwrap().to_owned();
    let forged = code.replace(&reference(&code), &reference(&others_code));
    assert_eq!(
        sandbox.scan(&phone.number, &forged).await,
        Err(ScanError::Unknown),
        "keys of one, reference of another"
    );
    let invented = code.replace(&reference(&code), "2@invented");
    assert_eq!(sandbox.scan(&phone.number, &invented).await, Err(ScanError::Unknown));
    assert_eq!(sandbox.scan(&phone.number, "https://example.org/").await, Err(ScanError::NotACode));
    assert_eq!(sandbox.scan("15550100000", &code).await, Err(ScanError::NoPhone));
    sandbox.scan(&phone.number, &code).await.unwrap();
    assert_eq!(sandbox.scan(&phone.number, &code).await, Err(ScanError::Used));
    other.stop().await;
    assert_eq!(sandbox.scan(&phone.number, &others_code).await, Err(ScanError::Expired), "whoever showed it is gone");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_secret_is_noticed_by_the_client_and_links_nothing() {
    let sandbox = start().await;
    let phone = sandbox.add_phone(None, None).unwrap();
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    let code = client.code().await;
    let parts = code.split(',').collect::<Vec<_>>();
    let forged = [parts[0], parts[1], parts[2], parts[1], parts[4]].join(",");
    assert_eq!(sandbox.scan(&phone.number, &forged).await, Err(ScanError::Refused));
    assert_eq!(sandbox.devices(), []);
    client.wait_for(Told::PairError).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_expires_by_the_sandbox_s_own_clock() {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
    let config = SandboxConfig { clock: Arc::new(clock.clone()), ..config() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let phone = sandbox.add_phone(None, None).unwrap();
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    let code = client.code().await;
    clock.advance(TimeDelta::seconds(62));
    assert_eq!(sandbox.scan(&phone.number, &code).await, Err(ScanError::Expired));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fast_round_shows_six_codes_and_is_then_exhausted() {
    let sandbox = start().await;
    sandbox.set_rotation_factor(200.0);
    let phone = sandbox.add_phone(None, None).unwrap();
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    let mut codes = Vec::new();
    while codes.len() < 6 {
        codes.push(client.code().await);
        codes.dedup();
    }
    client.wait_for(Told::Exhausted).await;
    for code in &codes {
        assert_eq!(sandbox.scan(&phone.number, code).await, Err(ScanError::Expired));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_on_screen_expires_when_the_rotation_is_sped_up() {
    let sandbox = start().await;
    let phone = sandbox.add_phone(None, None).unwrap();
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    let first = client.code().await;
    sandbox.set_rotation_factor(60.0);
    let second = client.code().await;
    assert_ne!(first, second);
    client.code().await;
    assert_eq!(sandbox.scan(&phone.number, &first).await, Err(ScanError::Expired));
    let live = client.code().await;
    sandbox.scan(&phone.number, &live).await.unwrap();
    client.wait_for(Told::Connected).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_log_in_replaces_the_first_and_is_counted() {
    let sandbox = start().await;
    let (store, mut first, device) = linked(&sandbox).await;
    let mut second = store.start(&sandbox.websocket_url()).await;
    first.wait_for(Told::Replaced).await;
    second.wait_for(Told::Connected).await;
    until("the first socket is closed", async || view(&sandbox, &device).live_sockets == 1).await;
    assert_eq!(view(&sandbox, &device).most_live_sockets, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_one_after_the_other_never_count_as_two_sockets() {
    let sandbox = start().await;
    let (store, mut client, device) = linked(&sandbox).await;
    for _ in 0..10 {
        client.stop().await;
        client = store.start(&sandbox.websocket_url()).await;
        client.wait_for(Told::Connected).await;
    }
    assert_eq!(view(&sandbox, &device).most_live_sockets, 1);
    assert_eq!(view(&sandbox, &device).logins, 11);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_logs_out_is_gone() {
    let sandbox = start().await;
    let (store, mut client, _) = linked(&sandbox).await;
    client.inner().logout().await;
    client.wait_for(Told::LoggedOut { on_connect: false }).await;
    assert_eq!(sandbox.devices(), []);
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::LoggedOut { on_connect: true }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_phone_unlinks_one_of_its_devices() {
    let sandbox = start().await;
    let (_store, mut first, first_device) = linked(&sandbox).await;
    let second_store = Store::default();
    let mut second = second_store.start(&sandbox.websocket_url()).await;
    let second_device = sandbox.scan(&first_device.number, &second.code().await).await.unwrap();
    second.wait_for(Told::Connected).await;
    assert_eq!(second_device.device, first_device.device + 1);
    assert_eq!(sandbox.unlink(&first_device.number, Some(&first_device)), Some(1));
    first.wait_for(Told::LoggedOut { on_connect: false }).await;
    assert!(second.is_answered().await);
    assert_eq!(sandbox.unlink(&first_device.number, None), Some(1));
    second.wait_for(Told::LoggedOut { on_connect: false }).await;
    assert_eq!(sandbox.unlink("15550100000", None), None);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn devices_survive_a_restart_of_the_sandbox() {
    let folder = tempfile::tempdir().unwrap();
    let data_dir = || Some(folder.path().join("sandbox"));
    let sandbox = Sandbox::start(SandboxConfig { data_dir: data_dir(), ..config() }).await.unwrap();
    let (store, client, device) = linked(&sandbox).await;
    client.stop().await;
    sandbox.shutdown().await;

    let sandbox = Sandbox::start(SandboxConfig { data_dir: data_dir(), ..config() }).await.unwrap();
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::Connected).await;
    assert_eq!(view(&sandbox, &device).logins, 2);
    let (kept, number) = (files(folder.path()), device.number.as_bytes());
    assert_eq!(kept.len(), 3, "the server's key, one phone and its messages: {kept:?}");
    let phone = kept.iter().find(|path| path.parent().unwrap().ends_with("phones")).unwrap();
    let phone: serde_json::Value = serde_json::from_slice(&std::fs::read(phone).unwrap()).unwrap();
    assert_eq!(phone["devices"][0]["has_app_state_key"], true, "the client confirmed the key; it is not sent again");
    for path in kept {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "keys are nobody else's to read");
        let shown = path.display().to_string();
        assert!(!shown.as_bytes().windows(number.len()).any(|part| part == number), "paths are logged: {shown}");
    }
    assert_eq!(sandbox.add_phone(Some(&device.number), None), Err(PhoneError::Exists));
    client.stop().await;
    sandbox.shutdown().await;

    // A sandbox that has lost its key and its phones takes the client for a stranger, and says so.
    let sandbox = start().await;
    let mut client = store.start(&sandbox.websocket_url()).await;
    client.wait_for(Told::LoggedOut { on_connect: true }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_file_in_the_data_folder_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("server.json"), "{}").unwrap();
    let config = SandboxConfig { data_dir: Some(folder.path().to_owned()), ..config() };
    let error = Sandbox::start(config).await.err().unwrap();
    assert!(matches!(error, SandboxError::Archive(_)), "{error:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_sandbox_listens_on_loopback_only() {
    for listen in ["0.0.0.0:0", "192.0.2.1:0", "[::]:0"] {
        let config = SandboxConfig { listen: listen.parse().unwrap(), ..config() };
        let error = Sandbox::start(config).await.err().unwrap();
        assert!(matches!(error, SandboxError::NotLoopback(_)), "{listen}: {error:?}");
    }
}
