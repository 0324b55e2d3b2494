//! The commands a person types, as the real binary.

use std::process::{Command, Output, Stdio};

use crate::support::gateway::Gateway;

mod credentials;
mod events;

fn wagate(arguments: &[&str], key: Option<&str>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagate"));
    command.args(arguments).env_remove("WAGATE_KEY").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    if let Some(key) = key {
        command.env("WAGATE_KEY", key);
    }
    command
}

async fn finished(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn said(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn qr_draws_the_live_code_and_ends_with_the_linked_number() {
    let gateway = Gateway::start().await;
    let instance = gateway.client.create("terminal").await;
    let (value, _) = gateway.client.code(&instance).await;
    let key = gateway.client.key().to_owned();
    let child = wagate(&["qr", &instance, "--url", &gateway.url], Some(&key)).spawn().unwrap();
    let drawing = tokio::task::spawn_blocking(move || child.wait_with_output());
    // Whether it draws before or after the scan, it must end with the number.
    let number = gateway.network.phone().await;
    let (status, body) = gateway.network.scan(&number, &value).await;
    assert!(status.is_success(), "{body}");
    let output = drawing.await.unwrap().unwrap();
    assert!(output.status.success(), "{}", said(&output.stderr));
    assert!(said(&output.stdout).ends_with(&format!("Linked: +{number}\n")), "{}", said(&output.stdout));

    // Once more, for an instance that is linked already.
    let output = finished(wagate(&["qr", &instance, "--url", &gateway.url], Some(&key))).await;
    assert_eq!(said(&output.stdout), format!("Linked: +{number}\n"), "{}", said(&output.stderr));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn qr_prints_a_code_that_decodes_to_the_value() {
    use std::io::{BufRead, BufReader};

    let gateway = Gateway::start().await;
    let instance = gateway.client.create("terminal").await;
    let (value, _) = gateway.client.code(&instance).await;
    let mut child = wagate(&["qr", &instance, "--url", &gateway.url], Some(gateway.client.key())).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let drawing = tokio::task::spawn_blocking(move || {
        let lines = stdout.lines().map_while(Result::ok);
        lines.take_while(|line| line.contains(['█', '▀', '▄'])).collect::<Vec<_>>().join("\n")
    });
    let drawn = drawing.await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(crate::support::decode::text(&drawn), value);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_gets_wrong_is_named() {
    let gateway = Gateway::start().await;
    let url = gateway.url.as_str();
    let key = gateway.client.key();
    for (arguments, key, says) in [
        (vec!["qr", "000000000000", "--url", url], Some(key), "404"),
        (vec!["qr", "000000000000", "--url", url], Some("wga_nonsense"), "401"),
        (vec!["qr", "000000000000", "--url", url], None, "WAGATE_KEY"),
        (vec!["qr", "000000000000", "--url", "http://127.0.0.1:1"], Some(key), "no gateway answers"),
        (vec!["healthcheck", "--url", "http://127.0.0.1:1"], None, "no gateway answers"),
        (vec!["serve"], None, "--sandbox"),
        (vec!["serve", "--config", "/nowhere.toml"], None, "/nowhere.toml"),
        (vec!["serve", "--sandbox", "--listen", "nonsense"], None, "--listen"),
        (vec!["sandbox", "--listen", "0.0.0.0:0"], None, "loopback"),
    ] {
        let output = finished(wagate(&arguments, key)).await;
        assert!(!output.status.success(), "{arguments:?}");
        assert!(said(&output.stderr).contains(says), "{arguments:?}: {}", said(&output.stderr));
    }
    let output = finished(wagate(&["healthcheck", "--url", url], None)).await;
    assert!(output.status.success(), "{}", said(&output.stderr));
    gateway.stop().await;
}
