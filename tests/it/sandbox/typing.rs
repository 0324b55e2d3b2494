//! Codes that are typed: the phone's and the server's side, before a client of the library.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta};
use wagate::domain::clock::ManualClock;
use wagate::sandbox::{Sandbox, SandboxConfig, SandboxHandle, ScanError};
use whatsapp_rust::pair_code::{PairCodeOptions, PairCodeRejection};

use super::client::{Client, Store, Told};
use super::{config, start};

/// A client that shows codes, a phone, and the code that is to be typed into it.
async fn asked(sandbox: &SandboxHandle) -> (Client, String, String) {
    let number = sandbox.add_phone(None, None).unwrap().number;
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    client.code().await;
    let options = PairCodeOptions { phone_number: number.clone(), ..PairCodeOptions::default() };
    let code = client.inner().pair_with_code(options).await.unwrap();
    (client, number, code)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_is_linked_by_the_code_it_shows_and_by_no_other() {
    let sandbox = start().await;
    let (mut client, number, code) = asked(&sandbox).await;
    let wrong = code.replace(&code[7..], if code.ends_with('Z') { "Y" } else { "Z" });
    assert_eq!(sandbox.type_code(&number, &wrong).await, Err(ScanError::Unknown));
    assert_eq!(sandbox.devices(), []);
    let device = sandbox.type_code(&number, &code).await.unwrap();
    assert_eq!(device.to_string(), format!("{number}:1@s.whatsapp.net"));
    client.wait_for(Told::Paired).await;
    client.wait_for(Told::Connected).await;
    assert_eq!(sandbox.type_code(&number, &code).await, Err(ScanError::Used));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_ends_with_its_time_or_with_its_client() {
    let clock = ManualClock::new(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
    let config = SandboxConfig { clock: Arc::new(clock.clone()), ..config() };
    let sandbox = Sandbox::start(config).await.unwrap();
    let (client, number, code) = asked(&sandbox).await;
    let (other, others_number, others_code) = asked(&sandbox).await;
    other.stop().await;
    assert_eq!(sandbox.type_code(&others_number, &others_code).await, Err(ScanError::Expired), "its client is gone");
    clock.advance(TimeDelta::seconds(180));
    assert_eq!(sandbox.type_code(&number, &code).await, Err(ScanError::Expired));
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn there_is_a_code_only_for_a_phone_that_is_there() {
    let sandbox = start().await;
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    client.code().await;
    let options = PairCodeOptions { phone_number: "15550100000".to_owned(), ..PairCodeOptions::default() };
    let refused = client.inner().pair_with_code(options).await.unwrap_err();
    assert_eq!(refused.rejection(), Some(PairCodeRejection::BadRequest));
    assert_eq!(sandbox.type_code("15550100000", "ABCD-1234").await, Err(ScanError::NoPhone));
    let number = sandbox.add_phone(None, None).unwrap().number;
    assert_eq!(sandbox.type_code(&number, "ABCD-1234").await, Err(ScanError::Unknown));
    assert_eq!(sandbox.type_code(&number, "1234").await, Err(ScanError::NotACode));
}
