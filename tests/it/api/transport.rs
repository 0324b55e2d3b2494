//! Routes, methods, media types, sizes, malformed bodies, and the headers every answer carries.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::gateway::{Answer, Created, Gateway};

#[tokio::test]
async fn unknown_routes_and_methods_answer_in_json() {
    let gateway = Gateway::start().await;
    for path in ["/", "/v2", "/v2/session", "/v2/session/infos", "/v2/auth/qr/", "/V2/auth/qr"] {
        let answer = Answer::of(gateway.request("GET", path)).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{path}");
        let answer = Answer::of(gateway.request("POST", path).body("{")).await;
        assert_eq!(answer.error(), (404, "not_found".into()), "{path}");
    }
    for (method, path, allow) in [
        ("DELETE", "/v2/auth/qr", "GET, HEAD, POST"),
        ("PUT", "/v2/session/info", "GET, HEAD, POST"),
        ("GET", "/v2/session/create", "POST"),
        ("GET", "/v2/session/logout", "POST"),
        ("GET", "/v2/session/delete", "DELETE, POST"),
        ("DELETE", "/v2/session/start", "POST, GET"),
        ("POST", "/health/live", "GET, HEAD"),
    ] {
        let answer = Answer::of(gateway.request(method, path)).await;
        assert_eq!(answer.error(), (405, "method_not_allowed".into()), "{method} {path}");
        assert_eq!(answer.header("allow"), allow, "{method} {path}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_refused_before_the_credential_is_looked_at() {
    let gateway = Gateway::start().await;
    let post = |content_type: &str, body: Vec<u8>| {
        gateway.request("POST", "/v2/session/info").header("Content-Type", content_type).body(body)
    };
    let deep = format!("{{\"a\":{}1{}}}", "[".repeat(32), "]".repeat(32));
    for (body, message) in [
        ("{".to_owned(), "not valid JSON"),
        ("[]".to_owned(), "not a JSON object"),
        ("access_token=x".to_owned(), "not valid JSON"),
        ("{\"a\":1,\"a\":1}".to_owned(), "twice"),
        (deep, "32 deep"),
    ] {
        let answer = Answer::of(post("application/json", body.clone().into_bytes())).await;
        assert_eq!(answer.error(), (400, "malformed_body".into()), "{body}");
        assert!(answer.json()["message"].as_str().unwrap().contains(message), "{}", answer.text());
    }
    for content_type in ["application/xml", "multipart/mixed; boundary=x", "application/octet-stream"] {
        let answer = Answer::of(post(content_type, b"<a/>".to_vec())).await;
        assert_eq!(answer.error(), (415, "unsupported_media_type".into()), "{content_type}");
    }
    let zipped = post("application/json", b"\x1f\x8b".to_vec()).header("Content-Encoding", "gzip");
    assert_eq!(Answer::of(zipped).await.error(), (415, "unsupported_media_type".into()));
    for content_type in ["application/xml", "application/json"] {
        let answer = Answer::of(post(content_type, Vec::new())).await;
        assert_eq!(answer.error(), (401, "unauthorized".into()), "an empty body is no body");
    }
}

#[tokio::test]
async fn sixty_four_kibibytes_are_read_and_one_byte_more_is_refused() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    let body = |length: usize| {
        let frame = json!({"access_token": token, "x": ""}).to_string();
        let filled = json!({"access_token": token, "x": "x".repeat(length - frame.len())}).to_string();
        assert_eq!(filled.len(), length);
        gateway.request("POST", "/v2/session/info").body(filled)
    };
    assert_eq!(Answer::of(body(64 * 1024)).await.status, 200);
    let answer = Answer::of(body(64 * 1024 + 1)).await;
    assert_eq!(answer.error(), (413, "payload_too_large".into()));
    assert_eq!(answer.header("connection"), "close");
}

#[tokio::test]
async fn a_connection_lives_on_after_every_refusal_of_a_post_with_a_body() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 3).await;
    let mut connection = TcpStream::connect(gateway.address).await.unwrap();
    let body = "x".repeat(60_000);
    let mut seen = Vec::new();
    for path in ["/v2/auth/qr", "/v2/auth/qr", "/v2/auth/qr", "/v2/auth/qr", "/nowhere", "/health/live"] {
        let form = "Content-Type: application/x-www-form-urlencoded";
        let head = format!("POST {path} HTTP/1.1\r\nHost: x\r\n{form}\r\nContent-Length: {}\r\n\r\n", body.len());
        connection.write_all(head.as_bytes()).await.unwrap();
        // The body comes in two parts, so that an answer sent too early would be noticed.
        connection.write_all(&body.as_bytes()[..30_000]).await.unwrap();
        tokio::task::yield_now().await;
        connection.write_all(&body.as_bytes()[30_000..]).await.unwrap();
        seen.push(read_answer(&mut connection).await);
    }
    assert_eq!(seen, [401, 401, 401, 429, 404, 405]);
}

/// Reads one answer off a connection that stays open.
async fn read_answer(connection: &mut TcpStream) -> u16 {
    let mut answer = Vec::new();
    loop {
        let mut buffer = [0; 4096];
        let read = connection.read(&mut buffer).await.unwrap();
        assert_ne!(read, 0, "the connection was closed after {}", String::from_utf8_lossy(&answer));
        answer.extend_from_slice(&buffer[..read]);
        let text = String::from_utf8_lossy(&answer).to_ascii_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.split("content-length: ").nth(1).unwrap().split("\r\n").next().unwrap();
        if body.len() >= length.parse::<usize>().unwrap() {
            return head.split(' ').nth(1).unwrap().parse().unwrap();
        }
    }
}

#[tokio::test]
async fn every_answer_carries_the_common_headers_and_a_sane_request_id_of_the_callers() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    for (path, status) in [
        ("/v2/session/info", 200),
        ("/v2/auth/qr?wait=99", 400),
        ("/v2/auth/qr", 422),
        ("/nowhere", 404),
        ("/v2/session/create", 405),
    ] {
        let answer = gateway.get(path, &token).await;
        assert_eq!(answer.status, status, "{path}");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "no-referrer");
        let id = answer.header("x-request-id").to_owned();
        assert!(uuid::Uuid::parse_str(&id).is_ok(), "{id}");
        if status != 200 {
            assert_eq!(answer.json()["request_id"], id);
            assert_eq!(answer.header("vary"), "Accept");
        }
    }
    for (given, kept) in
        [("req-42.A_b:c", true), ("", false), ("a b", false), (token.as_str(), false), (&"x".repeat(65), false)]
    {
        let answer = Answer::of(gateway.request("GET", "/nowhere").header("X-Request-Id", given)).await;
        assert_eq!(answer.header("x-request-id") == given, kept, "{given}");
    }
}

#[tokio::test]
async fn head_answers_like_get_without_a_body() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    for path in ["/v2/session/info", "/v2/auth/qr", "/v2/session/list", "/health/live", "/health/ready", "/nowhere"] {
        let get = gateway.get(path, &token).await;
        let head = Answer::of(gateway.request("HEAD", path).bearer_auth(&token)).await;
        assert_eq!(head.status, get.status, "{path}");
        assert_eq!(head.header("content-type"), get.header("content-type"), "{path}");
        assert!(head.body.is_empty(), "{path}");
    }
}
