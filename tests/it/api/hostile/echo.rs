//! Whatever a request says of itself: nothing of it becomes a header of the answer, a link or another client's address.

use serde_json::json;

use super::super::gateway::{Answer, Created, Gateway};
use super::{exchange, statuses};

/// A line break and a header, as a client would smuggle it into an answer.
const SPLIT: &str = "x%0d%0aX-Evil:%20yes%0d%0a%0d%0a<script>";

#[tokio::test]
async fn a_line_break_in_what_may_be_echoed_adds_no_header() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let raw = "x\r\nX-Evil: yes\r\n\r\n<script>";
    let get = |path: String| gateway.request("GET", &path).bearer_auth(&token);
    let post = |path: &str| gateway.request("POST", path).bearer_auth(gateway.key.expose());
    for (what, request) in [
        ("path", get(format!("/v2/{SPLIT}"))),
        ("parameter's name", get(format!("/v2/session/info?{SPLIT}=1&{SPLIT}=2"))),
        ("parameter", get(format!("/v2/auth/qr?wait={SPLIT}&format={SPLIT}&scale={SPLIT}"))),
        ("instance id", get(format!("/v2/session/info?instance_id={SPLIT}"))),
        ("token", gateway.request("GET", &format!("/v2/session/info?access_token={SPLIT}"))),
        ("cursor", post("/v2/session/list").json(&json!({"cursor": raw, "limit": raw, "status": raw}))),
        ("key of a body", post("/v2/session/info").json(&json!({raw: 1, "instance_id": id}))),
        ("value of a body", post("/v2/session/info").json(&json!({"instance_id": raw, "wait_for": raw}))),
        ("name", post("/v2/session/create").json(&json!({"name": raw, "start": raw}))),
        ("form", post("/v2/session/info").header("Content-Type", "application/x-www-form-urlencoded").body(SPLIT)),
    ] {
        let answer = Answer::of(request).await;
        assert!(answer.headers.get("x-evil").is_none(), "{what}: {:?}", answer.headers);
        assert!((400..500).contains(&answer.status.as_u16()) || answer.status == 200, "{what}: {}", answer.text());
        let headers = format!("{:?}", answer.headers);
        assert!(!headers.contains("X-Evil") && !headers.contains("script"), "{what}: {headers}");
        assert_ne!(answer.header("content-type"), "text/html", "{what}");
        // A body is JSON whatever stands in it.
        answer.json();
    }
}

#[tokio::test]
async fn a_header_with_any_byte_in_it_is_answered_and_not_repeated() {
    let gateway = Gateway::start().await;
    for name in
        ["X-Request-Id", "Idempotency-Key", "Accept", "Accept-Language", "Origin", "Content-Type", "Authorization"]
    {
        for value in ["%0d%0aX-Evil: yes", "\u{e9}\u{ff}", "a\tb", ";;;,,,==\"\\", "*/*;q=9e999, ,;q=", "q=,;=,/"] {
            let request =
                format!("GET /v2/session/info HTTP/1.1\r\nHost: x\r\n{name}: {value}\r\nConnection: close\r\n\r\n");
            let answer = exchange(gateway.address, request.as_bytes()).await;
            let seen = statuses(&answer);
            assert!(matches!(seen[..], [400..=499]), "{name}: {value:?}: {answer}");
            let head = answer.split("\r\n\r\n").next().unwrap();
            assert!(!head.contains("X-Evil") && !head.contains(value), "{name}: {value:?}: {head}");
        }
    }
}

#[tokio::test]
async fn nothing_is_made_of_what_a_client_says_about_the_gateways_address() {
    let gateway = Gateway::start().await;
    let instance = gateway.create().await;
    gateway.script.show_code(
        instance.id,
        super::super::script::VALUE,
        1,
        gateway.now() + chrono::TimeDelta::seconds(60),
    );
    for path in
        ["/v2/session/info", "/v2/session/list", "/v2/auth/qr", "/v2/auth/qr-image", "/nowhere", "/health/ready"]
    {
        let body = format!("{{\"instance_id\":\"{}\"}}", instance.id);
        let evil = "evil.example";
        let request = gateway.request("POST", path).bearer_auth(gateway.key.expose()).body(body);
        let request = request
            .header("Host", evil)
            .header("Origin", format!("https://{evil}"))
            .header("Referer", format!("https://{evil}/"))
            .header("X-Forwarded-Host", evil)
            .header("X-Forwarded-Proto", format!("https://{evil}"))
            .header("X-Forwarded-For", evil)
            .header("Forwarded", format!("for={evil};host={evil};proto=https"))
            .header("X-Original-URL", format!("/{evil}"))
            .header("X-Rewrite-URL", format!("/{evil}"));
        let answer = Answer::of(request).await;
        assert!(!answer.text().contains(evil), "{path}: {}", answer.text());
        assert!(!format!("{:?}", answer.headers).contains(evil), "{path}: {:?}", answer.headers);
        assert!(answer.headers.get("access-control-allow-origin").is_none(), "{path}");
        assert!(answer.headers.get("location").is_none(), "{path}");
    }
}

#[tokio::test]
async fn an_address_that_a_stranger_claims_is_not_believed() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 3).await;
    let failure = |address: String| {
        gateway
            .request("GET", "/v2/session/info")
            .header("X-Forwarded-For", address.clone())
            .header("Forwarded", format!("for={address}"))
            .header("X-Real-IP", address)
    };
    let mut seen = Vec::new();
    for n in 0..5 {
        seen.push(Answer::of(failure(format!("203.0.113.{n}"))).await.status.as_u16());
    }
    assert_eq!(seen, [401, 401, 401, 429, 429]);
    assert_eq!(gateway.get("/v2/session/list", gateway.key.expose()).await.status, 200, "a valid key passes");
}

#[tokio::test]
async fn behind_a_trusted_proxy_only_the_hop_it_added_counts() {
    let gateway = Gateway::with(|config| {
        config.limits.failed_auth_per_minute = 3;
        config.server.trusted_proxies = vec!["127.0.0.0/8".into()];
    })
    .await;
    let mut seen = Vec::new();
    for n in 0..5 {
        // What stands left of the proxy's own entry, the client wrote itself.
        let hops = format!("203.0.113.{n}, 198.51.100.7");
        let request = gateway.request("GET", "/v2/session/info").header("X-Forwarded-For", hops);
        seen.push(Answer::of(request).await.status.as_u16());
    }
    assert_eq!(seen, [401, 401, 401, 429, 429]);
    let neighbour = gateway.request("GET", "/v2/session/info").header("X-Forwarded-For", "198.51.100.8");
    assert_eq!(Answer::of(neighbour).await.status, 401, "another client has a bucket of its own");
}
