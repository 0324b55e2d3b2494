//! The passkey: what is asked, and how the answer is taken.

use std::sync::Arc;

use serde_json::{Value, json};
use wagate::domain::passkey::{PasskeyAsk, PasskeyPrompt};
use wagate::domain::session::Status;

use super::gateway::{Created, Gateway};
use super::script::{Upstream, later};
use super::states::assertion;

const PATH: &str = "/v2/auth/passkey";

async fn asking(ask: PasskeyAsk, answered: bool) -> (Gateway, String) {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let expires_at = later(gateway.now(), 180);
    gateway.script.set(id, |view| {
        view.status = match ask {
            PasskeyAsk::Assertion { .. } => Status::PasskeyRequired,
            PasskeyAsk::Confirmation { .. } => Status::PasskeyConfirmationRequired,
        };
        view.passkey = Some(PasskeyPrompt { ask: Arc::new(ask), answered, expires_at });
    });
    (gateway, token)
}

fn options() -> PasskeyAsk {
    PasskeyAsk::Assertion { options: json!({ "challenge": "AQID", "rpId": "web.whatsapp.com" }) }
}

fn confirmation() -> PasskeyAsk {
    PasskeyAsk::Confirmation { code: "ABCD-EFGH".into() }
}

#[tokio::test]
async fn the_options_are_given_as_whatsapp_gave_them_and_the_assertion_is_taken() {
    let (gateway, token) = asking(options(), false).await;
    let expires_at = later(gateway.now(), 180).timestamp_millis();
    let public_key = json!({ "challenge": "AQID", "rpId": "web.whatsapp.com" });
    let asked = json!({ "status": "PASSKEY_REQUIRED", "publicKey": public_key, "expires_at": expires_at });
    assert_eq!(gateway.get(PATH, &token).await.json(), asked);
    let answer = gateway.post(PATH, &token, json!({ "assertion": assertion() })).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "PASSKEY_REQUIRED" })));
    let text = json!({ "assertion": assertion().to_string() });
    assert_eq!(gateway.post(PATH, &token, text).await.status, 200, "as a form has it");
    assert_eq!(gateway.script.calls.lock().iter().filter(|call| *call == "passkey assertion").count(), 2);
}

#[tokio::test]
async fn what_is_no_assertion_is_a_400_that_names_the_part() {
    let (gateway, token) = asking(options(), false).await;
    let with = |pointer: &str, value: Value| {
        let mut whole = assertion();
        *whole.pointer_mut(pointer).unwrap() = value;
        whole
    };
    for (assertion, words) in [
        (json!("{"), "JSON object"),
        (json!({}), "WebAuthn assertion"),
        (with("/type", json!("password")), "public-key"),
        (with("/id", json!("AQIE")), "id and rawId"),
        (with("/response/signature", json!("not base64!")), "response.signature"),
        (with("/response/clientDataJSON", json!(7)), "response.clientDataJSON"),
    ] {
        let answer = gateway.post(PATH, &token, json!({ "assertion": assertion })).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{assertion}");
        let problem = answer.json()["parameters"][0].clone();
        assert_eq!(problem["name"], "assertion");
        assert!(problem["problem"].as_str().unwrap().contains(words), "{problem}");
    }
    let missing = gateway.post(PATH, &token, json!({})).await;
    assert_eq!(missing.error(), (400, "missing_parameter".into()));
}

#[tokio::test]
async fn a_confirmation_is_a_post_without_an_assertion() {
    let (gateway, token) = asking(confirmation(), false).await;
    let expires_at = later(gateway.now(), 180).timestamp_millis();
    let asked = json!({ "status": "PASSKEY_CONFIRMATION_REQUIRED", "code": "ABCD-EFGH", "expires_at": expires_at });
    assert_eq!(gateway.get(PATH, &token).await.json(), asked);
    let late = gateway.post(PATH, &token, json!({ "assertion": assertion() })).await;
    assert_eq!(late.error(), (422, "session_status_mismatch".into()), "an assertion is nobody's word");
    assert_eq!(late.json()["expected"], json!(["PASSKEY_REQUIRED"]));
    let answer = gateway.post(PATH, &token, json!({})).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({ "status": "PASSKEY_CONFIRMATION_REQUIRED" })));
    assert_eq!(gateway.script.calls.lock().last().unwrap(), "passkey confirmed");
}

#[tokio::test]
async fn what_was_answered_is_recovering_and_what_is_out_of_reach_a_502() {
    for (ask, body, next) in [
        (options(), json!({ "assertion": assertion() }), "PASSKEY_CONFIRMATION_REQUIRED"),
        (confirmation(), json!({}), "WORKING"),
    ] {
        let (gateway, token) = asking(ask.clone(), true).await;
        let answer = gateway.post(PATH, &token, body.clone()).await;
        assert_eq!((answer.error().0, answer.header("retry-after")), (422, "2"));
        assert_eq!((&answer.json()["expected"], &answer.json()["recovering"]), (&json!([next]), &json!(true)));
        let (gateway, token) = asking(ask, false).await;
        *gateway.script.upstream.lock() = Upstream::Unreachable;
        assert_eq!(gateway.post(PATH, &token, body).await.error(), (502, "upstream_unreachable".into()));
    }
}
