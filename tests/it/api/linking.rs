//! Codes: their forms, their headers, and what stands in their place.

use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};
use wagate::supervisor::QrRefusalKind;

use super::gateway::{Answer, Created, Gateway};
use super::script::{VALUE, later};

async fn showing() -> (Gateway, Created) {
    let gateway = Gateway::start().await;
    let created = gateway.create().await;
    gateway.script.show_code(created.id, VALUE, 2, later(gateway.now(), 17));
    (gateway, created)
}

/// What the raw envelope holds.
fn unwrap(envelope: &Value) -> Value {
    let keys: HashSet<&str> = envelope.as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(keys, HashSet::from(["mimetype", "data"]), "exactly these two keys");
    assert_eq!(envelope["mimetype"], "application/json; charset=utf-8");
    serde_json::from_slice(&STANDARD.decode(envelope["data"].as_str().unwrap()).unwrap()).unwrap()
}

fn decode_png(bytes: &[u8]) -> String {
    let mut decoder = png::Decoder::new(std::io::Cursor::new(bytes));
    decoder.set_transformations(png::Transformations::EXPAND);
    let mut reader = decoder.read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    let (width, height) = (info.width as usize, info.height as usize);
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(width, height, |x, y| pixels[y * width + x]);
    image.detect_grids()[0].decode().unwrap().1
}

#[tokio::test]
async fn every_form_of_a_code_holds_its_value() {
    let (gateway, Created { token, .. }) = showing().await;
    let raw = gateway.get("/v2/auth/qr", &token).await;
    let inside = unwrap(&raw.json());
    let expiry = later(gateway.now(), 17).timestamp_millis();
    assert_eq!(inside, serde_json::json!({"value": VALUE, "expiry": expiry}));
    assert_eq!(raw.header("content-type"), "application/json");

    let image = gateway.get("/v2/auth/qr-image", &token).await;
    let document = image.json();
    assert_eq!(document.as_object().unwrap().len(), 1, "exactly this key");
    let data = document["qr"].as_str().unwrap().strip_prefix("data:image/png;base64,").unwrap();
    assert_eq!(decode_png(&STANDARD.decode(data).unwrap()), VALUE);
    assert!(image.body.len() < 6_000, "{} bytes", image.body.len());
    assert_eq!(gateway.get("/v2/auth/qr?format=image", &token).await.body, image.body);

    let png = gateway.get("/v2/auth/qr?format=png", &token).await;
    assert_eq!(png.header("content-type"), "image/png");
    assert_eq!(png.body, STANDARD.decode(data).unwrap());
    for scale in [4, 16] {
        let png = gateway.get(&format!("/v2/auth/qr?format=png&scale={scale}"), &token).await;
        assert_eq!(decode_png(&png.body), VALUE);
    }
    let svg = gateway.get("/v2/auth/qr?format=svg", &token).await;
    assert_eq!((svg.header("content-type"), svg.text().starts_with("<svg ")), ("image/svg+xml", true));
    let text = gateway.get("/v2/auth/qr?format=text", &token).await;
    assert_eq!((text.header("content-type"), text.text().contains('▀')), ("text/plain; charset=utf-8", true));

    let camera = format!("https://wa.me/settings/linked_devices#{VALUE}");
    let png = gateway.get("/v2/auth/qr?format=png&camera=true", &token).await;
    assert_eq!(decode_png(&png.body), camera);
    assert_eq!(unwrap(&gateway.get("/v2/auth/qr?camera=1", &token).await.json())["value"], camera);
    assert_eq!(gateway.get("/v2/auth/qr", &token).await.body, raw.body, "and the plain one is unchanged by it");
}

#[tokio::test]
async fn a_code_comes_with_its_expiry_its_attempt_and_a_digest() {
    let (gateway, Created { token, .. }) = showing().await;
    let paths = ["/v2/auth/qr", "/v2/auth/qr-image", "/v2/auth/qr?format=svg", "/v2/auth/qr?format=png&scale=5"];
    for path in paths {
        let answer = gateway.get(path, &token).await;
        let expiry = later(gateway.now(), 17).timestamp_millis().to_string();
        assert_eq!(answer.header("x-qr-expires-at"), expiry);
        assert_eq!((answer.header("x-qr-attempt"), answer.header("x-qr-max-attempts")), ("2", "6"));
        let digest = STANDARD.encode(Sha256::digest(&answer.body));
        assert_eq!(answer.header("content-digest"), format!("sha-256=:{digest}:"), "{path}");
    }
}

#[tokio::test]
async fn an_image_is_sent_to_whoever_prefers_one() {
    let (gateway, Created { token, .. }) = showing().await;
    for (accept, content_type) in [
        ("image/avif,image/webp,image/*,*/*;q=0.8", "image/png"),
        ("image/png", "image/png"),
        ("*/*", "application/json"),
        ("application/json, image/png", "application/json"),
    ] {
        for path in ["/v2/auth/qr-image", "/v2/auth/qr?format=image"] {
            let request = gateway.request("GET", path).bearer_auth(&token).header("Accept", accept);
            let answer = Answer::of(request).await;
            assert_eq!((answer.header("content-type"), answer.header("vary")), (content_type, "Accept"), "{accept}");
        }
    }
}

#[tokio::test]
async fn every_bad_parameter_is_named_at_once() {
    let (gateway, Created { token, .. }) = showing().await;
    let answer = gateway.get("/v2/auth/qr?format=gif&scale=3&camera=perhaps&wait=26", &token).await;
    assert_eq!(answer.error(), (400, "invalid_parameter".into()));
    let parameters = answer.json()["parameters"].clone();
    let names: Vec<&str> = parameters.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["format", "scale", "camera", "wait"]);
    let missing = gateway.get("/v2/auth/qr?scale=17", gateway.key.expose()).await;
    assert_eq!(missing.error(), (400, "missing_parameter".into()));
    for id in ["x", "7K2M9QX4T0ABC", "7K2M-QX4T0AB"] {
        let answer = gateway.get(&format!("/v2/auth/qr?instance_id={id}"), gateway.key.expose()).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{id}");
    }
    assert!(!gateway.script.calls.lock().iter().any(|call| call.starts_with("qr")), "no session was asked");
}

#[tokio::test]
async fn the_wait_is_the_callers_or_five_seconds() {
    let (gateway, Created { token, .. }) = showing().await;
    for path in ["/v2/auth/qr", "/v2/auth/qr?wait=0", "/v2/auth/qr-image?wait=25"] {
        assert_eq!(gateway.get(path, &token).await.status, 200);
    }
    let calls = gateway.script.calls.lock().clone();
    assert_eq!(calls[1..], ["qr 5", "qr 0", "qr 25"]);
}

#[tokio::test]
async fn without_a_code_the_answer_says_why_and_when_to_ask_again() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let answer = gateway.get("/v2/auth/qr", &token).await;
    assert_eq!(answer.error(), (422, "session_status_mismatch".into()));
    let body = answer.json();
    assert_eq!((&body["session_status"], &body["recovering"]), (&"STARTING".into(), &true.into()));
    assert_eq!(body["expected"], serde_json::json!(["SCAN_QR_CODE"]));
    assert_eq!((body["instance_id"].as_str(), body["retry_after"].as_u64()), (Some(id.as_str()), Some(10)));
    assert_eq!(answer.header("retry-after"), "10");

    let next = later(gateway.now(), 4);
    gateway.script.set(id, |view| view.next_change_at = Some(next));
    assert_eq!(gateway.get("/v2/auth/qr", &token).await.header("retry-after"), "4");

    for (kind, error, retry_after) in [
        (QrRefusalKind::UpstreamUnreachable, (502, "upstream_unreachable"), "10"),
        (QrRefusalKind::PairingInProgress, (422, "pairing_in_progress"), "2"),
        (QrRefusalKind::AlreadyLinked, (422, "already_linked"), ""),
        (QrRefusalKind::PasskeyRequired, (422, "session_status_mismatch"), ""),
        (QrRefusalKind::NotRecovering, (422, "session_status_mismatch"), ""),
    ] {
        *gateway.script.refusal.lock() = Some(kind);
        for path in ["/v2/auth/qr", "/v2/auth/qr-image"] {
            let answer = gateway.get(path, &token).await;
            assert_eq!(answer.error(), (error.0, error.1.to_owned()), "{kind:?}");
            assert_eq!(answer.header("retry-after"), retry_after, "{kind:?}");
            if error.0 == 422 {
                assert_eq!(answer.json()["recovering"], !retry_after.is_empty(), "{kind:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_first_code_of_a_round_is_audited_once() {
    let (gateway, Created { id, token }) = showing().await;
    let shown = |audit: Vec<(String, String, String)>| {
        audit.into_iter().filter(|(action, actor, _)| action == "qr.shown" && actor == "instance").count()
    };
    for path in ["/v2/auth/qr", "/v2/auth/qr-image", "/v2/auth/qr?format=svg"] {
        gateway.get(path, &token).await;
    }
    gateway.script.show_code(id, VALUE, 3, later(gateway.now(), 37));
    gateway.get("/v2/auth/qr", &token).await;
    assert_eq!(shown(gateway.audit().await), 1);
    gateway.script.show_code(id, VALUE, 1, later(gateway.now(), 160));
    gateway.get("/v2/auth/qr", &token).await;
    assert_eq!(shown(gateway.audit().await), 2);
}
