//! `wagate events`.

use std::io::{BufRead, BufReader};

use serde_json::Value;

use super::{finished, said, wagate};
use crate::support::gateway::Gateway;

/// The statuses that the lines tell, up to the first that is WORKING.
fn until_working(lines: &mut impl Iterator<Item = String>) -> Vec<String> {
    let mut told = Vec::new();
    while told.last().is_none_or(|status| status != "WORKING") {
        let event: Value = serde_json::from_str(&lines.next().expect("it goes on")).unwrap();
        told.push(event["payload"]["status"].as_str().unwrap().to_owned());
    }
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn events_prints_a_line_for_each_event_and_goes_on_after_a_restart() {
    let mut gateway = Gateway::start().await;
    let (instance, _) = gateway.client.linked(&gateway.network).await;
    let key = gateway.client.key().to_owned();
    let arguments = ["events", &instance, "--after", "0", "--events", "session.status", "--url", &gateway.url];
    let mut child = wagate(&arguments, Some(&key)).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (told, mut lines) = tokio::task::spawn_blocking(move || (until_working(&mut lines), lines)).await.unwrap();
    assert_eq!(told, ["STARTING", "SCAN_QR_CODE", "STARTING", "WORKING"]);
    gateway.restart().await;
    let told = tokio::task::spawn_blocking(move || until_working(&mut lines)).await.unwrap();
    assert_eq!(told, ["STARTING", "WORKING"]);
    child.kill().unwrap();
    child.wait().unwrap();
    let output = finished(wagate(&["events", "000000000000", "--url", &gateway.url], Some(&key))).await;
    assert!(!output.status.success() && said(&output.stderr).contains("404"), "{}", said(&output.stderr));
    gateway.stop().await;
}
