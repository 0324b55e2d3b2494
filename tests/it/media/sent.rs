//! `/v2/send/{image,…}`: files on their way to a phone.

use std::io::Write as _;

use reqwest::Method;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

/// A picture's header, and bytes that nobody decodes.
fn png(width: u32, height: u32, length: usize) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR".to_vec();
    file.extend_from_slice(&width.to_be_bytes());
    file.extend_from_slice(&height.to_be_bytes());
    file.extend_from_slice(b"\x08\x02\0\0\0\0\0\0\0");
    file.extend(bytes(length));
    file
}

fn opus() -> Vec<u8> {
    let mut file = b"OggS\0\x02\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\0\0\0\0\x01\x13".to_vec();
    file.extend_from_slice(b"OpusHead\x01\x01\0\0\x80\xbb\0\0\0\0\0");
    file.extend(bytes(50_000));
    file
}

fn webp() -> Vec<u8> {
    let mut file = b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\x01\0\xff\x01\0".to_vec();
    file.extend(bytes(1000));
    file
}

/// A multipart body: fields, then a file.
fn multipart(fields: &[(&str, &str)], (name, mimetype, content): (&str, &str, &[u8])) -> Vec<u8> {
    let mut body = Vec::new();
    for (field, value) in fields {
        write!(body, "--edge\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n{value}\r\n").unwrap();
    }
    let head =
        format!("Content-Disposition: form-data; name=\"file\"; filename=\"{name}\"\r\nContent-Type: {mimetype}");
    write!(body, "--edge\r\n{head}\r\n\r\n").unwrap();
    body.extend_from_slice(content);
    body.extend_from_slice(b"\r\n--edge--\r\n");
    body
}

/// A server that gives every request the same answer.
pub(super) async fn server(head: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut asked = [0; 4096];
            let _ = socket.read(&mut asked).await.unwrap();
            let length = body.len();
            let head = format!("HTTP/1.1 {head}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            socket.write_all(head.as_bytes()).await.unwrap();
            // A client that has seen enough leaves.
            let _ = socket.write_all(&body).await;
            let _ = socket.shutdown().await;
        }
    });
    format!("http://{address}")
}

impl Scene {
    /// With a gateway that fetches files from this host.
    pub(super) async fn fetching() -> Self {
        let local = |config: &mut wagate::config::Config| config.media.allow_private = vec!["127.0.0.1".into()];
        Self::on(Gateway::with(local).await).await
    }

    pub(super) async fn send(&self, route: &str, mut body: Value) -> (StatusCode, Value) {
        body["instance_id"] = self.instance.as_str().into();
        body["chatId"] = self.other.as_str().into();
        self.gateway.client.post(&format!("/v2/send/{route}"), &body).await
    }

    async fn upload(&self, route: &str, fields: &[(&str, &str)], file: (&str, &str, &[u8])) -> (StatusCode, Value) {
        let named = [("instance_id", self.instance.as_str()), ("chatId", self.other.as_str())];
        let body = multipart(&[&named[..], fields].concat(), file);
        self.post_parts(route, self.gateway.client.key(), body).await
    }

    async fn post_parts(&self, route: &str, key: &str, body: Vec<u8>) -> (StatusCode, Value) {
        let request = crate::support::network::http()
            .request(Method::POST, format!("{}/v2/send/{route}", self.gateway.url))
            .bearer_auth(key)
            .header("content-type", "multipart/form-data; boundary=edge")
            .body(body);
        let answer = request.send().await.unwrap();
        (answer.status(), answer.json().await.unwrap_or_default())
    }

    /// The message of this id, once the other phone has it.
    pub(super) async fn arrived(&self, sent: &Value) -> Value {
        let id = sent["id"].as_str().unwrap_or_else(|| panic!("it was sent: {sent}"));
        until("the message has arrived", || async {
            let inbox = self.get(&format!("/phones/{}/inbox", self.other)).await;
            let inbox: Vec<Value> = serde_json::from_slice(&inbox).unwrap();
            inbox.into_iter().find(|item| item["id"] == id)
        })
        .await
    }

    async fn file_at_phone(&self, sent: &Value) -> Vec<u8> {
        self.get(&format!("/phones/{}/inbox/{}/file", self.other, sent["id"].as_str().unwrap())).await
    }

    async fn get(&self, path: &str) -> Vec<u8> {
        let answer = crate::support::network::http().get(format!("{}{path}", self.gateway.network.url())).send().await;
        answer.unwrap().bytes().await.unwrap().to_vec()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_of_each_kind_reaches_the_phone_as_it_was_given() {
    let scene = Scene::new().await;
    let mut film = b"\0\0\0\x20ftypisom\0\0\x02\0isomiso2avc1mp41".to_vec();
    film.extend(bytes(200_000));
    let pdf = [b"%PDF-1.7\n".as_slice(), &bytes(5000)].concat();
    for (route, file, kind, mimetype) in [
        ("image", png(640, 480, 70_000), "image", "image/png"),
        ("video", film, "video", "video/mp4"),
        ("voice", opus(), "voice", "audio/ogg; codecs=opus"),
        ("audio", [b"ID3\x03\0\0\0\0\0\0".as_slice(), &bytes(3000)].concat(), "audio", "audio/mpeg"),
        ("pdf", pdf, "document", "application/pdf"),
        ("document", bytes(999), "document", "text/csv"),
        ("sticker", webp(), "sticker", "image/webp"),
    ] {
        let named = json!({ "data": BASE64_STANDARD.encode(&file), "filename": "a.csv", "mimetype": mimetype });
        let (status, sent) = scene.send(route, json!({ "file": named, "caption": "look" })).await;
        assert_eq!(status, StatusCode::OK, "{route}: {sent}");
        let item = scene.arrived(&sent).await;
        assert_eq!((&item["kind"], &item["mimetype"]), (&json!(kind), &json!(mimetype)), "{route}");
        let captioned = ["image", "video", "document"].contains(&kind);
        assert_eq!(item["text"].as_str(), captioned.then_some("look"), "{route}");
        assert_eq!(item["filename"].as_str(), (kind == "document").then_some("a.csv"), "{route}");
        assert!(scene.file_at_phone(&sent).await == file, "{route}: it is another file");
    }
    assert_eq!(scene.gateway.left_files().len(), 0, "what was sent is not kept");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_taken_as_a_part_and_from_an_address_too() {
    let scene = Scene::fetching().await;
    let file = png(10, 10, 6 * 1024 * 1024);
    let (status, sent) = scene.upload("image", &[("caption", "part")], ("a.png", "image/png", &file)).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    assert_eq!(scene.arrived(&sent).await["text"], "part");
    assert!(scene.file_at_phone(&sent).await == file);

    let url = server("200 OK\r\nContent-Type: image/png", file.clone()).await;
    for body in [json!({ "url": format!("{url}/b.png") }), json!({ "file": { "url": url } })] {
        let (status, sent) = scene.send("image", body).await;
        assert_eq!(status, StatusCode::OK, "{sent}");
        scene.arrived(&sent).await;
        assert!(scene.file_at_phone(&sent).await == file);
    }

    let (status, sent) = scene.send("document", json!({ "url": format!("{url}/report%201.png") })).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
    assert_eq!(scene.arrived(&sent).await["filename"], "report 1.png");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_cannot_be_sent_is_refused_and_says_why() {
    let scene = Scene::fetching().await;
    let data = |file: &[u8]| json!({ "file": { "data": BASE64_STANDARD.encode(file) } });
    let page = server("200 OK\r\nContent-Type: image/png", b"<html>".to_vec()).await;
    let absent = server("404 Not Found", b"a secret".to_vec()).await;
    let away = server("302 Found\r\nLocation: http://169.254.169.254/latest/meta-data/", Vec::new()).await;
    for (route, body, status, code) in [
        ("image", data(b"%PDF-1.7\n"), 415, "unsupported_media_type"),
        ("image", data(&png(60_000, 60_000, 10)), 415, "unsupported_media_type"),
        ("image", data(b""), 400, "invalid_parameter"),
        ("voice", data(b"ID3\x03\0\0\0\0\0\0"), 415, "unsupported_media_type"),
        ("image", json!({ "file": { "data": "iVBORw0KG" } }), 415, "unsupported_media_type"),
        ("image", json!({ "file": { "data": "not base64!" } }), 415, "unsupported_media_type"),
        ("image", json!({ "file": { "data": "QUJD", "url": page } }), 400, "invalid_parameter"),
        ("image", json!({ "file": {} }), 400, "invalid_parameter"),
        ("image", json!({}), 400, "missing_parameter"),
        ("image", json!({ "url": page }), 415, "unsupported_media_type"),
        ("image", json!({ "url": absent }), 422, "media_unavailable"),
        ("image", json!({ "url": away }), 422, "media_unavailable"),
        ("image", json!({ "url": "http://10.0.0.1/a.png" }), 422, "media_unavailable"),
        ("image", json!({ "url": "http://localhost:1/a.png" }), 422, "media_unavailable"),
        ("image", json!({ "url": "file:///etc/passwd" }), 422, "media_unavailable"),
    ] {
        let (told, answer) = scene.send(route, body.clone()).await;
        assert_eq!((told.as_u16(), answer["code"].as_str()), (status, Some(code)), "{body}: {answer}");
        assert!(!answer.to_string().contains("secret"), "{answer}");
    }
    assert_eq!(scene.gateway.left_files().len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_is_taken_from_nobody_who_may_not_send_and_only_whole() {
    let scene = Scene::on(Gateway::with(|config| config.media.max_bytes = 200_000).await).await;
    let file = png(10, 10, 100_000);
    let of = |instance: &str, file: &[u8]| {
        multipart(&[("instance_id", instance), ("chatId", scene.other.as_str())], ("a.png", "image/png", file))
    };
    let own = scene.instance.as_str();
    let key = scene.gateway.client.key();
    let (status, _) = scene.post_parts("image", "wga_wrong", of(own, &file)).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    let (status, answer) = scene.post_parts("image", key, of("000000000000", &file)).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("session_not_found")));
    let (status, answer) = scene.post_parts("image", key, of(own, &bytes(300_000))).await;
    assert_eq!((status, &answer["code"]), (StatusCode::PAYLOAD_TOO_LARGE, &json!("payload_too_large")));

    let whole = of(own, &file);
    let (status, answer) = scene.post_parts("image", key, whole[..whole.len() - 20].to_vec()).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("malformed_body")));
    let mut followed = whole[..whole.len() - 4].to_vec();
    followed.extend_from_slice(b"\r\nContent-Disposition: form-data; name=\"caption\"\r\n\r\nlate\r\n--edge--\r\n");
    let (status, answer) = scene.post_parts("image", key, followed).await;
    assert_eq!((status, &answer["code"]), (StatusCode::BAD_REQUEST, &json!("malformed_body")));
    let long = format!("--edge\r\nContent-Disposition: form-data; name=\"{}\"\r\n\r\n", "x".repeat(4_000_000));
    let (status, _) = scene.post_parts("image", key, long.into_bytes()).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);

    let (status, sent) = scene.post_parts("image", key, whole).await;
    assert_eq!(status, StatusCode::OK, "{sent}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_sent_again_sends_one_file() {
    let scene = Scene::new().await;
    let body = json!({
        "instance_id": scene.instance, "chatId": scene.other,
        "file": { "data": BASE64_STANDARD.encode(png(10, 10, 1000)) },
    });
    let key = [("idempotency-key", "order-1042")];
    let first = scene.gateway.client.ask("/v2/send/image", &body, &key).await;
    let first: Value = first.json().await.unwrap();
    let again = scene.gateway.client.ask("/v2/send/image", &body, &key).await;
    assert_eq!(header(&again, "idempotency-replayed"), "true");
    let again: Value = again.json().await.unwrap();
    assert_eq!(again["id"], first["id"]);
    let mut other = body;
    other["file"]["data"] = BASE64_STANDARD.encode(png(10, 10, 1001)).into();
    let other = scene.gateway.client.ask("/v2/send/image", &other, &key).await;
    assert_eq!(code(&other.bytes().await.unwrap()), "idempotency_key_reused");
    assert_eq!(scene.arrived(&first).await["copies"], 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_that_waits_for_the_connection_survives_a_restart() {
    let mut scene = Scene::new().await;
    let fault = scene.gateway.network.fault(&json!({ "kind": "refuse" })).await;
    scene.gateway.network.fault(&json!({ "kind": "drop" })).await;
    scene.gateway.client.reaches(&scene.instance, "STARTING").await;
    let file = png(10, 10, 50_000);
    let (status, sent) = scene.send("image", json!({ "file": { "data": BASE64_STANDARD.encode(&file) } })).await;
    assert_eq!((status, &sent["status"]), (StatusCode::ACCEPTED, &json!("queued")), "{sent}");
    assert_eq!(scene.gateway.left_files().len(), 1);
    scene.gateway.restart().await;
    scene.gateway.network.mend(&fault).await;
    assert_eq!(scene.arrived(&sent).await["copies"], 1);
    assert!(scene.file_at_phone(&sent).await == file);
    until("what was sent is not kept", || async { scene.gateway.left_files().is_empty().then_some(()) }).await;
}
