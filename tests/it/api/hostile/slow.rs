//! Clients that never finish what they say, against the product's own server.

use std::io::ErrorKind;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::StatusCode;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::{read_to_close, statuses};
use crate::support::gateway::Gateway;

const SLOW: usize = 2_000;

/// What slow clients have said so far: nothing, half a head, a head, a bit of the body.
const BEGINNINGS: [&str; 4] = [
    "",
    "GET /v2/session/li",
    "POST /v2/session/info HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    "POST /v2/session/info HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n{",
];

fn address(gateway: &Gateway) -> String {
    gateway.url.trim_start_matches("http://").to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_thousand_slow_connections_keep_nobody_waiting() {
    // Far longer than the test, so that all of them are there until the end.
    let gateway = Gateway::with(|config| config.server.request_head_timeout = Duration::from_mins(10)).await;
    let open = |n: usize| {
        let address = address(&gateway);
        async move {
            let mut connection = TcpStream::connect(address).await.expect("the gateway takes the connection");
            connection.write_all(BEGINNINGS[n % BEGINNINGS.len()].as_bytes()).await.expect("it takes what is said");
            connection
        }
    };
    let mut slow = Vec::with_capacity(SLOW);
    for batch in 0..SLOW / 100 {
        slow.extend(join_all((0..100).map(|n| open(batch * 100 + n))).await);
    }

    let mut times = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        let (status, body) = gateway.client.post("/v2/session/list", &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        times.push(began.elapsed());
    }
    times.sort();
    let open = |connection: &&TcpStream| {
        connection.try_read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    };
    assert_eq!(slow.iter().filter(open).count(), SLOW, "none was let go before");
    report(&times);
    drop(slow);
    gateway.stop().await;
}

#[expect(clippy::print_stderr, reason = "times are told, never asserted: they are the machine's")]
fn report(times: &[Duration]) {
    eprintln!("beside {SLOW} slow connections: p50 {:?}, p99 {:?}", times[49], times[98]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_does_not_end_is_given_up() {
    let gateway = Gateway::with(|config| config.server.request_head_timeout = Duration::from_secs(1)).await;
    for beginning in &BEGINNINGS[1..3] {
        let mut connection = TcpStream::connect(address(&gateway)).await.unwrap();
        connection.write_all(beginning.as_bytes()).await.unwrap();
        let answer = read_to_close(&mut connection).await;
        assert_eq!(statuses(&answer), [408], "{beginning:?}: {answer}");
    }
    gateway.stop().await;
}
