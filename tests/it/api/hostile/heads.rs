//! Heads that two servers could read differently. Each is refused and the connection closed, so that whatever follows
//! on it is never taken for a request.

use super::super::gateway::Gateway;
use super::{LAST, exchange, statuses};

/// Sends a head, whatever body belongs to it, and then a harmless request on the same connection.
async fn answers(gateway: &Gateway, head: &str, body: &str) -> Vec<u16> {
    let bytes = [head.as_bytes(), b"\r\n", body.as_bytes(), LAST].concat();
    statuses(&exchange(gateway.address, &bytes).await)
}

#[tokio::test]
async fn a_body_whose_length_is_told_in_two_ways_is_refused_and_the_connection_closed() {
    let gateway = Gateway::start().await;
    for lengths in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 0\r\n",
        "Content-Length: 5\r\nContent-Length: 5\r\n",
        "Content-Length: 5\r\nContent-Length: 6\r\n",
        "Content-Length: 5, 5\r\n",
        "Content-Length: +5\r\n",
        "Content-Length: -5\r\n",
        "Content-Length: 0x5\r\n",
        "Content-Length: five\r\n",
        "Content-Length: 18446744073709551616\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked, identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Content-Length : 5\r\n",
        "Content-Length:\r\n 5\r\n",
    ] {
        let head = format!("POST /v2/session/info HTTP/1.1\r\nHost: x\r\n{lengths}");
        assert_eq!(answers(&gateway, &head, "0\r\n\r\n").await, [400], "{lengths:?}");
    }
    let old = "POST /v2/session/info HTTP/1.0\r\nTransfer-Encoding: chunked\r\n";
    assert_eq!(answers(&gateway, old, "0\r\n\r\n").await, [400], "chunks are of HTTP/1.1");
}

#[tokio::test]
async fn a_head_out_of_form_is_refused_and_the_connection_closed() {
    let gateway = Gateway::start().await;
    let get = "GET /v2/session/info HTTP/1.1\r\n";
    for head in [
        format!("{get}Host: x\r\nX-Folded: a\r\n b\r\n"),
        format!("{get}Host: x\r\nX-Folded: a\r\n\tb\r\n"),
        format!("{get}Host: x\r\nX-Nul: a\0b\r\n"),
        format!("{get}Host: x\r\nX-Return: a\rb\r\n"),
        format!("{get}Host: x\r\nX-Name\0: a\r\n"),
        format!("{get}Host: x\r\nX Name: a\r\n"),
        format!("{get}Host: x\r\n: a\r\n"),
        format!("{get}Host: x\r\nno colon\r\n"),
        format!("{get}Host: x\r\nHost: y\r\n"),
        get.to_owned(),
        "GET /v2/session/info HTTP/9.9\r\nHost: x\r\n".to_owned(),
        "GET /v2/session/info\r\nHost: x\r\n".to_owned(),
        "GET /a b HTTP/1.1\r\nHost: x\r\n".to_owned(),
        "G\0T / HTTP/1.1\r\nHost: x\r\n".to_owned(),
        "\u{16}\u{3}\u{1}\u{2}\0\u{1}\0\u{1}\u{fc}\u{3}\u{3}".to_owned(),
    ] {
        assert_eq!(answers(&gateway, &head, "").await, [400], "{head:?}");
    }
}

#[tokio::test]
async fn a_head_without_measure_is_refused_and_the_connection_closed() {
    let gateway = Gateway::start().await;
    let get = "GET /v2/session/info HTTP/1.1\r\nHost: x\r\n";
    let long = format!("{get}X-Long: {}\r\n", "x".repeat(200 * 1024));
    assert_eq!(answers(&gateway, &long, "").await, [431], "also while the rest of it is on its way");
    let many = format!("{get}{}", "X-Many: x\r\n".repeat(1_000));
    let seen = answers(&gateway, &many, "").await;
    assert!(seen == [431] || seen == [400], "{seen:?}");
    assert_eq!(gateway.get("/health/live", "").await.status, 200, "and others are served");
}

#[tokio::test]
async fn chunks_out_of_form_end_the_connection() {
    let gateway = Gateway::start().await;
    let head = "POST /v2/session/info HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n";
    for chunks in [
        "zz\r\n{}\r\n0\r\n\r\n",
        "-1\r\n{}\r\n",
        "2 \0\r\n{}\r\n",
        "fffffffffffffffff\r\n{}\r\n",
        "2\r\n{}x\r\n0\r\n\r\n",
    ] {
        let seen = answers(&gateway, head, chunks).await;
        assert!(!seen.is_empty() && seen.iter().all(|status| *status == 400), "{chunks:?}: {seen:?}");
    }
}
