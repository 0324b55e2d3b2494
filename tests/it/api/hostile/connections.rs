//! Connections that have brought a request and then neither bring another nor end.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::super::gateway::Gateway;
use super::{read_to_close, statuses};

const LIVE: &str = "GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n";

async fn impatient() -> Gateway {
    Gateway::with(|config| config.server.request_head_timeout = Duration::from_secs(1)).await
}

#[tokio::test]
async fn a_later_head_that_does_not_end_is_given_up_however_slowly_it_comes() {
    let gateway = impatient().await;
    let connection = TcpStream::connect(gateway.address).await.unwrap();
    let (mut reading, mut writing) = connection.into_split();
    writing.write_all(LIVE.as_bytes()).await.unwrap();
    let mut first = [0; 12];
    reading.read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    writing.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\nX-Slow: ").await.unwrap();
    let drip = async {
        let mut next = tokio::time::interval(Duration::from_millis(50));
        loop {
            next.tick().await;
            if writing.write_all(b"x").await.is_err() {
                // The gateway has reset it: it is closed all the more.
                return std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        rest = read_to_close(&mut reading) => assert_eq!(statuses(&rest), [] as [u16; 0], "{rest}"),
        () = drip => {}
    }
}

#[tokio::test]
async fn a_head_begun_in_the_same_breath_as_the_request_before_it_is_given_up() {
    let gateway = impatient().await;
    let mut connection = TcpStream::connect(gateway.address).await.unwrap();
    connection.write_all(format!("{LIVE}GET /health").as_bytes()).await.unwrap();
    let answers = read_to_close(&mut connection).await;
    assert_eq!(statuses(&answers), [200], "{answers}");
}

#[tokio::test]
async fn a_connection_that_brings_nothing_more_is_closed() {
    let gateway = impatient().await;
    let mut connection = TcpStream::connect(gateway.address).await.unwrap();
    connection.write_all(LIVE.repeat(3).as_bytes()).await.unwrap();
    let answers = read_to_close(&mut connection).await;
    assert_eq!(statuses(&answers), [200, 200, 200], "{answers}");
}

#[tokio::test]
async fn a_request_may_take_longer_than_a_head() {
    let gateway = impatient().await;
    let mut connection = TcpStream::connect(gateway.address).await.unwrap();
    connection.write_all(LIVE.as_bytes()).await.unwrap();
    let head = "POST /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 3\r\n\r\n";
    connection.write_all(head.as_bytes()).await.unwrap();
    let mut next = tokio::time::interval(Duration::from_millis(1_200));
    for _ in 0..3 {
        next.tick().await;
        connection.write_all(b"x").await.unwrap();
    }
    let answers = read_to_close(&mut connection).await;
    assert_eq!(statuses(&answers), [200, 405], "{answers}");
}
