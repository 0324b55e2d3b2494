//! The table of linking, whole: every status with every reason, linked or not, wanted or not, before every route that
//! links a device.

use std::sync::Arc;

use serde_json::{Value, json};
use wagate::domain::instance::InstanceId;
use wagate::domain::link_code::LinkCode;
use wagate::domain::passkey::{PasskeyAsk, PasskeyPrompt};
use wagate::domain::phone_number::PhoneNumber;
use wagate::domain::qr_code::{QrCode, QrValue};
use wagate::domain::session::{Desired, Reason, SessionView, Status};

use super::gateway::{Answer, Created, Gateway};
use super::script::{VALUE, later};

const NUMBER: &str = "+20 10 1234-5678";

/// Status, code, `recovering` and `Retry-After`; the last two as the body and the header of a 422 or 502 have them.
type Told = (u16, &'static str, Option<bool>, &'static str);

const SHOWN: Told = (200, "", None, "");
const COMING: Told = (422, "session_status_mismatch", Some(true), "10");
const UNREACHABLE: Told = (502, "upstream_unreachable", None, "10");
const PAIRING: Told = (422, "pairing_in_progress", Some(true), "2");
const LINKED: Told = (422, "already_linked", Some(false), "");
const FINAL: Told = (422, "session_status_mismatch", Some(false), "");

fn is_healed(reason: Option<Reason>) -> bool {
    let healed = [Reason::QrNotScanned, Reason::Stalled, Reason::LoggedOut, Reason::PairingRejected];
    reason.is_some_and(|reason| healed.contains(&reason))
}

/// What a request for a code is told, whichever form the code would have.
fn of_code(status: Status, reason: Option<Reason>, linked: bool) -> Told {
    match (status, linked) {
        (Status::ScanQrCode, _) => SHOWN,
        (Status::Starting, _) if reason == Some(Reason::Pairing) => PAIRING,
        (Status::Working, _) | (Status::Starting | Status::Stopped, true) => LINKED,
        (Status::Starting | Status::Stopped, false) => COMING,
        (Status::Failed, false) if is_healed(reason) => COMING,
        (Status::PasskeyRequired | Status::PasskeyConfirmationRequired | Status::Failed, _) => FINAL,
    }
}

fn of_passkey(status: Status) -> Told {
    match status {
        Status::PasskeyRequired | Status::PasskeyConfirmationRequired => SHOWN,
        Status::Stopped | Status::Starting | Status::ScanQrCode | Status::Working | Status::Failed => FINAL,
    }
}

fn told(answer: &Answer) -> (u16, String, Option<bool>, String) {
    if answer.status == 200 {
        return (200, String::new(), None, answer.header("retry-after").to_owned());
    }
    let body = answer.json();
    let (status, code) = answer.error();
    assert_eq!(body["retry_after"].as_u64().map_or_else(String::new, |s| s.to_string()), answer.header("retry-after"));
    (status, code, body["recovering"].as_bool(), answer.header("retry-after").to_owned())
}

pub(super) fn assertion() -> Value {
    let response = json!({ "clientDataJSON": "e30", "authenticatorData": "AA", "signature": "_-8" });
    json!({ "id": "AQID", "rawId": "AQID", "type": "public-key", "response": response })
}

fn put(gateway: &Gateway, id: InstanceId, (status, reason, linked, desired): (Status, Option<Reason>, bool, Desired)) {
    let expires_at = later(gateway.now(), 17);
    let number = PhoneNumber::parse(NUMBER).unwrap();
    gateway.script.set(id, |view: &mut SessionView| {
        (view.status, view.reason, view.linked, view.desired) = (status, reason, linked, desired);
        let is_scanned = status == Status::ScanQrCode;
        view.qr = is_scanned.then(|| Arc::new(QrCode::new(QrValue::new(VALUE), expires_at, 2)));
        view.link_code = is_scanned.then(|| Arc::new(LinkCode::new("ABCDEFGH", number, expires_at).unwrap()));
        let ask = match status {
            Status::PasskeyRequired => Some(PasskeyAsk::Assertion { options: json!({ "challenge": "AQID" }) }),
            Status::PasskeyConfirmationRequired => Some(PasskeyAsk::Confirmation { code: "ABCD-EFGH".into() }),
            Status::Stopped | Status::Starting | Status::ScanQrCode | Status::Working | Status::Failed => None,
        };
        view.passkey = ask.map(|ask| PasskeyPrompt { ask: Arc::new(ask), answered: false, expires_at });
    });
}

async fn unlimited() -> Gateway {
    Gateway::with(|config| {
        let limits = &mut config.limits;
        for limit in [&mut limits.api_burst, &mut limits.qr_burst, &mut limits.link_code_burst] {
            *limit = 1_000_000;
        }
    })
    .await
}

#[tokio::test]
async fn every_state_answers_every_route_as_the_table_of_linking_says() {
    let gateway = unlimited().await;
    let Created { id, token } = gateway.create().await;
    let reasons: Vec<Option<Reason>> = std::iter::once(None).chain(Reason::ALL.iter().copied().map(Some)).collect();
    for status in Status::ALL.iter().copied() {
        for reason in reasons.iter().copied() {
            for (linked, desired) in [
                (false, Desired::Running),
                (false, Desired::Stopped),
                (true, Desired::Running),
                (true, Desired::Stopped),
            ] {
                let state = (status, reason, linked, desired);
                let code = of_code(status, reason, linked);
                let passkey = of_passkey(status);
                let handed_in =
                    if status == Status::PasskeyRequired { json!({ "assertion": assertion() }) } else { json!({}) };
                for (method, path, body, expected) in [
                    ("GET", "/v2/auth/qr", json!({}), code),
                    ("POST", "/v2/auth/qr", json!({}), code),
                    ("GET", "/v2/auth/qr-image", json!({}), code),
                    ("POST", "/v2/auth/request-code", json!({ "phone_number": NUMBER }), code),
                    ("GET", "/v2/auth/passkey", json!({}), passkey),
                    ("POST", "/v2/auth/passkey", handed_in, passkey),
                ] {
                    put(&gateway, id, state);
                    let answer = match method {
                        "GET" => gateway.get(path, &token).await,
                        _ => gateway.post(path, &token, body).await,
                    };
                    let (status, code, recovering, retry_after) = told(&answer);
                    let told = (status, code.as_str(), recovering, retry_after.as_str());
                    assert_eq!(told, expected, "{method} {path} at {state:?}: {}", answer.text());
                }
            }
        }
    }
}

#[tokio::test]
async fn what_waits_for_a_whatsapp_that_cannot_be_reached_is_a_502() {
    let gateway = unlimited().await;
    let Created { id, token } = gateway.create().await;
    for (status, reason) in [
        (Status::Starting, Some(Reason::UpstreamUnreachable)),
        (Status::Starting, None),
        (Status::Stopped, None),
        (Status::Failed, Some(Reason::Stalled)),
    ] {
        for (path, body) in [
            ("/v2/auth/qr", json!({})),
            ("/v2/auth/qr-image", json!({})),
            ("/v2/auth/request-code", json!({ "phone_number": NUMBER })),
        ] {
            put(&gateway, id, (status, reason, false, Desired::Running));
            gateway.script.set(id, |view| view.upstream_failing = true);
            let answer = gateway.post(path, &token, body).await;
            let (status, code, recovering, retry_after) = told(&answer);
            assert_eq!((status, code.as_str(), recovering, retry_after.as_str()), UNREACHABLE, "{path} {reason:?}");
        }
    }
}

#[tokio::test]
async fn a_request_for_a_code_starts_what_rests_unlinked_and_nothing_that_is_linked() {
    let gateway = unlimited().await;
    let Created { id, token } = gateway.create().await;
    let desired = || gateway.script.views.lock()[&id].desired;
    for path in ["/v2/auth/qr", "/v2/auth/qr-image", "/v2/auth/request-code"] {
        for (linked, expected) in [(false, Desired::Running), (true, Desired::Stopped)] {
            put(&gateway, id, (Status::Stopped, None, linked, Desired::Stopped));
            gateway.post(path, &token, json!({ "phone_number": NUMBER })).await;
            assert_eq!(desired(), expected, "{path}");
        }
    }
}
