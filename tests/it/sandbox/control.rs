//! The control API over HTTP.

use http::StatusCode;
use serde_json::{Value, json};
use wagate::sandbox::SandboxHandle;

use super::client::{Store, Told};
use super::start;

async fn call(sandbox: &SandboxHandle, method: &str, path: &str, body: Option<Value>) -> (StatusCode, Value) {
    let method = method.parse().unwrap();
    let mut request = http_client().request(method, format!("{}{path}", sandbox.url()));
    if let Some(body) = body {
        request = request.json(&body);
    }
    read(request).await
}

async fn read(request: reqwest::RequestBuilder) -> (StatusCode, Value) {
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    (status, if body.is_empty() { Value::Null } else { serde_json::from_slice(&body).unwrap() })
}

fn http_client() -> reqwest::Client {
    // Whoever comes first in this process installs it.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder().no_proxy().build().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_is_linked_seen_and_unlinked_over_http() {
    let sandbox = start().await;
    let (status, phone) = call(&sandbox, "POST", "/phones", Some(json!({"name": "Nadia"}))).await;
    assert_eq!(status, StatusCode::CREATED);
    let number = phone["number"].as_str().unwrap().to_owned();
    assert_eq!(phone["jid"], format!("{number}@s.whatsapp.net"));
    assert!(phone["lid"].as_str().unwrap().ends_with("@lid"));

    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    let scan = json!({"value": client.code().await});
    let (status, linked) = call(&sandbox, "POST", &format!("/phones/{number}/scan"), Some(scan.clone())).await;
    assert_eq!((status, &linked), (StatusCode::OK, &json!({"device": format!("{number}:1@s.whatsapp.net")})));
    client.wait_for(Told::Connected).await;

    let (status, error) = call(&sandbox, "POST", &format!("/phones/{number}/scan"), Some(scan)).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let message = "this code has been used";
    assert_eq!(error, json!({"status": 409, "error": "Conflict", "code": "code_used", "message": message}));

    let (status, devices) = call(&sandbox, "GET", "/devices", None).await;
    assert_eq!(status, StatusCode::OK);
    // A bare client of the library registers under the library's own name.
    let expected = json!([{"device": linked["device"], "number": number, "name": "rust", "connected": true,
        "live_sockets": 1, "most_live_sockets": 1, "logins": 1}]);
    assert_eq!(devices, expected);

    let (status, unlinked) = call(&sandbox, "POST", &format!("/phones/{number}/unlink"), None).await;
    assert_eq!((status, unlinked), (StatusCode::OK, json!({"unlinked": 1})));
    client.wait_for(Told::LoggedOut { on_connect: false }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_and_the_clock_are_set_over_http() {
    let sandbox = start().await;
    let (status, fault) = call(&sandbox, "POST", "/faults", Some(json!({"kind": "half_open", "seconds": 60}))).await;
    assert_eq!(status, StatusCode::CREATED);
    let path = format!("/faults/{}", fault["id"]);
    assert_eq!(call(&sandbox, "DELETE", &path, None).await, (StatusCode::NO_CONTENT, Value::Null));
    assert_eq!(call(&sandbox, "DELETE", &path, None).await.0, StatusCode::NOT_FOUND);
    let speed = json!({"rotation_factor": 30.0});
    assert_eq!(call(&sandbox, "POST", "/clock", Some(speed.clone())).await, (StatusCode::OK, speed));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn refused_clients_get_a_503_while_the_control_api_stays_reachable() {
    let sandbox = start().await;
    assert_eq!(call(&sandbox, "POST", "/faults", Some(json!({"kind": "refuse", "count": 1}))).await.0, 201);
    assert_eq!(call(&sandbox, "GET", "/ws/chat", None).await, (StatusCode::SERVICE_UNAVAILABLE, Value::Null));
    assert_eq!(call(&sandbox, "GET", "/devices", None).await.0, 200);
    let mut client = Store::default().start(&sandbox.websocket_url()).await;
    client.code().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_requests_get_their_own_errors() {
    let sandbox = start().await;
    let taken = json!({"number": "15550100000"});
    assert_eq!(call(&sandbox, "POST", "/phones", Some(taken.clone())).await.0, StatusCode::CREATED);
    let cases = [
        ("POST", "/phones", Some(taken), 409, "phone_exists"),
        ("POST", "/phones", Some(json!({"number": "call me"})), 400, "invalid_parameter"),
        ("POST", "/phones", Some(json!({"phone": "15550100001"})), 400, "malformed_body"),
        ("POST", "/phones/15550100000/scan", Some(json!({"value": "not a code"})), 422, "not_a_code"),
        ("POST", "/phones/15550100000/scan", None, 400, "malformed_body"),
        ("POST", "/phones/15550109999/scan", Some(json!({"value": "x"})), 404, "phone_not_found"),
        ("POST", "/phones/15550109999/unlink", None, 404, "phone_not_found"),
        ("POST", "/faults", Some(json!({"kind": "earthquake"})), 400, "malformed_body"),
        ("POST", "/faults", Some(json!({"kind": "drop", "device": "somebody"})), 400, "invalid_parameter"),
        ("POST", "/clock", Some(json!({"rotation_factor": 0})), 400, "invalid_parameter"),
        ("GET", "/phones", None, 405, "method_not_allowed"),
        ("POST", "/devices", None, 405, "method_not_allowed"),
        ("GET", "/", None, 404, "not_found"),
    ];
    for (method, path, body, status, code) in cases {
        let (got, error) = call(&sandbox, method, path, body).await;
        assert_eq!((got.as_u16(), error["code"].as_str()), (status, Some(code)), "{method} {path}: {error}");
        assert_eq!(error["status"], status);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_host_or_origin_is_refused() {
    let sandbox = start().await;
    let url = format!("{}/devices", sandbox.url());
    let port = sandbox.local_addr().port();
    let get = || http_client().get(&url);
    let cases = [
        (get(), 200),
        (get().header("Host", format!("localhost:{port}")), 200),
        (get().header("Origin", sandbox.url()), 200),
        (get().header("Host", "sandbox.example"), 403),
        (get().header("Host", "127.0.0.1"), 403),
        (get().header("Origin", "https://sandbox.example"), 403),
        (get().header("Origin", "null"), 403),
    ];
    for (request, expected) in cases {
        let shown = format!("{request:?}");
        let (status, body) = read(request).await;
        assert_eq!(status.as_u16(), expected, "{shown}");
        assert_eq!(body["code"] == "forbidden", expected == 403);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_over_64_kib_is_refused() {
    let sandbox = start().await;
    let body = json!({"name": "x".repeat(70_000)});
    let (status, error) = call(&sandbox, "POST", "/phones", Some(body)).await;
    assert_eq!((status, error["code"].as_str()), (StatusCode::PAYLOAD_TOO_LARGE, Some("body_too_large")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn phones_write_and_read_over_http() {
    let sandbox = start().await;
    for number in ["15550100001", "15550100002"] {
        assert_eq!(call(&sandbox, "POST", "/phones", Some(json!({ "number": number }))).await.0, 201);
    }
    let path = "/phones/15550100001/send";
    let (status, sent) = call(&sandbox, "POST", path, Some(json!({ "to": "15550100002", "text": "hello" }))).await;
    assert_eq!((status.as_u16(), &sent["chat"]), (201, &json!("15550100002@s.whatsapp.net")));
    let (_, inbox) = call(&sandbox, "GET", "/phones/15550100002/inbox", None).await;
    let item = &inbox[0];
    let expected = json!({"id": sent["id"], "kind": "text", "text": "hello", "copies": 1, "from_me": false,
        "from": "15550100001@s.whatsapp.net", "chat": "15550100001@s.whatsapp.net"});
    for (name, value) in expected.as_object().unwrap() {
        assert_eq!(&item[name], value, "{name}");
    }
    let (status, read) = call(&sandbox, "POST", "/phones/15550100002/read", None).await;
    assert_eq!((status.as_u16(), read), (200, json!({ "read": 1 })));
    let (_, outbox) = call(&sandbox, "GET", "/phones/15550100001/outbox", None).await;
    assert_eq!(outbox[0]["read_by"], json!(["15550100002@s.whatsapp.net"]));
    assert_eq!(call(&sandbox, "POST", "/phones/15550100001/online", Some(json!({ "online": false }))).await.0, 200);
    let cases = [
        ("POST", path, Some(json!({ "to": "15550100002", "text": "x" })), 409, "phone_offline"),
        ("POST", path, Some(json!({ "text": "x" })), 400, "malformed_body"),
        ("POST", path, Some(json!({ "to": "1", "kind": "shout" })), 400, "malformed_body"),
        ("POST", "/phones/15550100002/send", Some(json!({ "to": "1", "text": "x" })), 422, "recipient_not_found"),
        ("GET", "/phones/15550109999/inbox", None, 404, "phone_not_found"),
        ("GET", path, None, 405, "method_not_allowed"),
    ];
    for (method, path, body, status, code) in cases {
        let (got, error) = call(&sandbox, method, path, body).await;
        assert_eq!((got.as_u16(), error["code"].as_str()), (status, Some(code)), "{method} {path}: {error}");
    }
}
