//! Bodies that lie about their length or have none to speak of, and JSON made to be expensive or ambiguous.

use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::super::gateway::{Answer, Created, Gateway};
use super::{LAST, exchange, read_to_close, statuses};

/// What the sockets of both sides may hold beside what the gateway has read.
const SOCKET_BUFFERS: usize = 16 * 1024 * 1024;

/// How a parameter out of form is answered.
const REFUSED: (u16, &str) = (400, "invalid_parameter");

const POST: &str = "POST /v2/session/info HTTP/1.1\r\nHost: x\r\n";

#[tokio::test]
async fn a_body_without_end_is_read_to_the_limit_and_no_further() {
    let gateway = Gateway::start().await;
    let chunk = [&b"10000\r\n"[..], "x".repeat(64 * 1024).as_bytes(), b"\r\n"].concat();
    let whole = "x".repeat(64 * 1024).into_bytes();
    let (chunked, sized) = ("Transfer-Encoding: chunked".to_owned(), format!("Content-Length: {}", 10_u64 << 30));
    for (length, part) in [(chunked, chunk), (sized, whole)] {
        let connection = TcpStream::connect(gateway.address).await.unwrap();
        let (mut reading, mut writing) = connection.into_split();
        writing.write_all(format!("{POST}{length}\r\n\r\n").as_bytes()).await.unwrap();
        let endless = async {
            let mut sent = 0_usize;
            // Of 10 GiB; the gateway has closed long before.
            while sent < 10 << 30 && writing.write_all(&part).await.is_ok() {
                sent += part.len();
                assert!(sent < SOCKET_BUFFERS, "the gateway goes on reading after {sent} bytes: {length}");
            }
        };
        let (answer, ()) = tokio::join!(read_to_close(&mut reading), endless);
        assert_eq!(statuses(&answer), [413], "whoever is still sending reads why: {length}: {answer}");
    }
    assert_eq!(gateway.get("/health/live", "").await.status, 200, "and others are served");
}

#[tokio::test]
async fn the_refusal_of_a_body_too_large_arrives_and_the_connection_ends() {
    let gateway = Gateway::start().await;
    let body = "x".repeat(64 * 1024 + 1);
    let sized = format!("{POST}Content-Length: {}\r\n\r\n{body}", 10_u64 << 30);
    let chunked = format!("{POST}Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n", body.len());
    for request in [sized, chunked] {
        let answer = exchange(gateway.address, request.as_bytes()).await;
        assert_eq!(statuses(&answer), [413], "{answer}");
        assert!(answer.contains("payload_too_large") && answer.contains("connection: close"), "{answer}");
    }
}

#[tokio::test]
async fn a_body_shorter_than_it_was_said_to_be_is_no_request() {
    let gateway = Gateway::start().await;
    let mut connection = TcpStream::connect(gateway.address).await.unwrap();
    connection.write_all(format!("{POST}Content-Length: 100\r\n\r\n{{\"a\":1}}").as_bytes()).await.unwrap();
    connection.shutdown().await.unwrap();
    let answer = read_to_close(&mut connection).await;
    assert!(!answer.contains("HTTP/1.1 2"), "{answer}");
    assert!(answer.is_empty() || answer.contains("malformed_body"), "{answer}");
}

#[tokio::test]
async fn what_follows_a_body_longer_than_it_was_said_to_be_is_not_taken_for_a_request() {
    let gateway = Gateway::start().await;
    let request = format!("{POST}Content-Length: 2\r\n\r\n{{}}{{\"surplus\":1}}\r\n\r\n");
    let answer = exchange(gateway.address, &[request.as_bytes(), LAST].concat()).await;
    assert_eq!(statuses(&answer), [401, 400], "{answer}");
}

#[tokio::test]
async fn json_made_to_be_expensive_or_ambiguous_is_refused() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let keys = |count: usize| (0..count).map(|n| format!("\"k{n}\":0")).collect::<Vec<_>>().join(",");
    for (what, body, expected) in [
        ("10,000 deep", format!("{{\"a\":{}1{}}}", "[".repeat(10_000), "]".repeat(10_000)), (400, "malformed_body")),
        ("10,000 objects deep", format!("{}1{}", "{\"a\":".repeat(9_000), "}".repeat(9_000)), (400, "malformed_body")),
        ("10,000 deep and open", format!("{{\"a\":{}", "[".repeat(60_000)), (400, "malformed_body")),
        ("a million keys", format!("{{{}}}", keys(1_000_000)), (413, "payload_too_large")),
        ("the same key twice", r#"{"instance_id":"A","instance_id":"B"}"#.to_owned(), (400, "malformed_body")),
        ("the same key twice, once escaped", r#"{"name":1,"n\u0061me":1}"#.to_owned(), (400, "malformed_body")),
        ("the same key twice within", r#"{"metadata":{"a":1,"a":2}}"#.to_owned(), (400, "malformed_body")),
        ("a lone surrogate", r#"{"instance_id":"\ud800"}"#.to_owned(), (400, "malformed_body")),
        ("a lone surrogate in a key", r#"{"\udfff":1}"#.to_owned(), (400, "malformed_body")),
        ("surrogates the wrong way round", r#"{"a":"\udc00\ud800"}"#.to_owned(), (400, "malformed_body")),
        ("a control character", "{\"a\":\"\u{1}\"}".to_owned(), (400, "malformed_body")),
        ("a NUL byte", "{\"a\":\"\0\"}".to_owned(), (400, "malformed_body")),
        ("two values", "{}{}".to_owned(), (400, "malformed_body")),
        ("no number", r#"{"wait":NaN}"#.to_owned(), (400, "malformed_body")),
        ("a number without measure", format!("{{\"wait\":1{}}}", "0".repeat(400)), (400, "malformed_body")),
    ] {
        let request = gateway.request("POST", "/v2/session/info").bearer_auth(&token).body(body);
        let answer = Answer::of(request).await;
        assert_eq!(answer.error(), (expected.0, expected.1.to_owned()), "{what}: {}", answer.text());
    }
    let full = format!("{{{}}}", keys(6_000));
    let answer = Answer::of(gateway.request("POST", "/v2/session/info").bearer_auth(&token).body(full)).await;
    assert_eq!(answer.status, 200, "as many keys as fit are only unknown parameters");
}

#[tokio::test]
async fn ids_that_no_instance_can_have_are_refused_and_the_rest_are_ids_of_nothing() {
    let gateway = Gateway::start().await;
    let Created { id, .. } = gateway.create().await;
    let id = id.as_str();
    let nobodys: &[&str] = &["IIIIIIIIIIII", "aaaaaaaaaaaa", "000000000000"];
    let malformed: &[&str] = &[
        &id[..11],
        &format!("{id}0"),
        &format!(" {id}"),
        &format!("{id} "),
        &format!("{id}\u{200b}"),
        &format!("{}-", &id[..11]),
        "ÄÄÄÄÄÄ",
        "000000000000' OR '1'='1",
    ];
    for (wrong, expected) in
        nobodys.iter().map(|id| (id, (404, "session_not_found"))).chain(malformed.iter().map(|id| (id, REFUSED)))
    {
        let posted = gateway.post("/v2/session/info", gateway.key.expose(), json!({ "instance_id": wrong })).await;
        let path = format!("/v2/session/info?instance_id={}", encoded(wrong));
        for answer in [posted, gateway.get(&path, gateway.key.expose()).await] {
            assert_eq!(answer.error(), (expected.0, expected.1.to_owned()), "{wrong:?}");
            if expected == REFUSED {
                assert_eq!(answer.json()["parameters"][0]["name"], "instance_id", "{wrong:?}: {}", answer.text());
            }
        }
    }
}

#[tokio::test]
async fn nul_is_refused_wherever_it_stands() {
    let gateway = Gateway::start().await;
    for body in [
        json!({"instance_id": "00000000000\0"}),
        json!({"instance_id": "000000000000\0"}),
        json!({"name": "a\0b"}),
        json!({"metadata": {"a": "\0"}}),
        json!({"metadata": {"\0": 1}}),
        json!({"metadata": {"a": [{"b": "x\0"}]}}),
    ] {
        let answer = gateway.post("/v2/session/create", gateway.key.expose(), body.clone()).await;
        assert_eq!(answer.error(), (400, "malformed_body".into()), "{body}");
    }
    for wrong in ["\0\0\0\0\0\0\0\0\0\0\0\0", "00000000000\0", "000000000000\0"] {
        let fields = format!("instance_id={}", encoded(wrong));
        let queried = gateway.get(&format!("/v2/session/info?{fields}"), gateway.key.expose()).await;
        let form = gateway.request("POST", "/v2/session/info").bearer_auth(gateway.key.expose());
        let form = form.header("Content-Type", "application/x-www-form-urlencoded").body(fields);
        for answer in [queried, Answer::of(form).await] {
            assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{wrong:?}");
        }
    }
}

/// Every byte of it as a query takes it.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat()
}
