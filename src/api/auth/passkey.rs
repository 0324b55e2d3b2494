//! `/v2/auth/passkey`: what WhatsApp asks of a passkey before it links, and the way back for the answer.
//!
//! The relying party is WhatsApp's own web page, so a page of ours cannot make the assertion; a native app or a browser
//! extension can.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::error::{ApiError, ParameterProblem, StatusMismatch};
use crate::api::extract::{Call, Target};
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::passkey::{PasskeyAnswer, PasskeyAsk, PasskeyAssertion, PasskeyPrompt};
use crate::domain::session::{SessionView, Status};
use crate::domain::token::Scope;
use crate::supervisor::PasskeyRefusal;

/// Seconds after which the phone has had its turn.
const ANSWERED_RETRY_AFTER: u64 = 2;

const ASKING: &[Status] = &[Status::PasskeyRequired, Status::PasskeyConfirmationRequired];

/// What is asked.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyAsked)]
struct Asked<'a> {
    status: Status,
    /// What `navigator.credentials.get` takes under this name.
    #[serde(rename = "publicKey", skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Object, required = false)]
    public_key: Option<&'a Value>,
    /// What the phone must show too.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "ABCD-EFGH")]
    code: Option<&'a str>,
    /// In Unix milliseconds.
    #[schema(example = 1_790_000_000_000_i64)]
    expires_at: i64,
}

/// Where the session stands after WhatsApp took the answer.
#[derive(Serialize, ToSchema)]
#[schema(as = PasskeyTaken)]
struct Taken {
    status: Status,
}

/// Tells what WhatsApp asks of a passkey before it links.
///
/// In PASSKEY_REQUIRED `publicKey` is what `navigator.credentials.get` takes; in PASSKEY_CONFIRMATION_REQUIRED `code` is
/// what the phone must show too. The relying party is WhatsApp's own web page: a native app or a browser extension makes
/// the assertion, a page of the gateway cannot.
#[utoipa::path(
    get, path = "/v2/auth/passkey", tag = "Linking", operation_id = "passkey_ask",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "What is asked.", body = Asked), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn ask(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let (_, view, prompt) = prompted(&call, target).await?;
    Ok(asked(&view, &prompt))
}

/// Hands in a passkey's assertion, or confirms the code.
///
/// In PASSKEY_REQUIRED with `assertion`; in PASSKEY_CONFIRMATION_REQUIRED without it, once a person has seen the same code
/// on the phone.
#[utoipa::path(
    post, path = "/v2/auth/passkey", tag = "Linking", operation_id = "passkey_answer",
    params(
        ("instance_id" = InstanceId, Query),
        ("assertion" = Option<Object>, Query, description = "What `PublicKeyCredential.toJSON()` gives.",
            example = json!({"id": "AQID", "rawId": "AQID", "type": "public-key", "response": {
                "clientDataJSON": "e30", "authenticatorData": "AQID", "signature": "AQID"}})),
    ),
    responses((status = 200, description = "WhatsApp took it.", body = Taken), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn answer(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let assertion = read.assertion("assertion");
    read.finish()?;
    let (id, _, prompt) = prompted(&call, target).await?;
    let taken = hand_in(&call, id, &prompt, assertion).await?;
    Ok(respond::json(StatusCode::OK, &Taken { status: taken.status }))
}

/// The instance, if WhatsApp waits for something of this kind.
async fn prompted(call: &Call, target: Option<Target>) -> Result<(InstanceId, SessionView, PasskeyPrompt), ApiError> {
    let id = call.instance(target, Scope::Link).await?;
    let view = call.state.sessions.view(id).await?;
    match view.passkey.clone() {
        Some(prompt) => Ok((id, view, prompt)),
        None => Err(mismatch(&view)),
    }
}

fn asked(view: &SessionView, prompt: &PasskeyPrompt) -> HttpResponse {
    let (public_key, code) = match &*prompt.ask {
        PasskeyAsk::Assertion { options } => (Some(options), None),
        PasskeyAsk::Confirmation { code } => (None, Some(code.as_str())),
    };
    let expires_at = prompt.expires_at.timestamp_millis();
    respond::json(StatusCode::OK, &Asked { status: view.status, public_key, code, expires_at })
}

async fn hand_in(
    call: &Call,
    id: InstanceId,
    prompt: &PasskeyPrompt,
    assertion: Option<PasskeyAssertion>,
) -> Result<SessionView, ApiError> {
    let answer = match (&*prompt.ask, assertion) {
        (PasskeyAsk::Assertion { .. }, None) => {
            let problem = "is missing".to_owned();
            return Err(ApiError::Parameters(vec![ParameterProblem { name: "assertion", problem, missing: true }]));
        }
        // An assertion handed in twice must not pass for a person's word; the session refuses it.
        (PasskeyAsk::Assertion { .. } | PasskeyAsk::Confirmation { .. }, Some(assertion)) => {
            PasskeyAnswer::Assertion(assertion)
        }
        (PasskeyAsk::Confirmation { .. }, None) => PasskeyAnswer::Confirmed,
    };
    call.state.sessions.answer_passkey(id, answer).await.map_err(refusal)
}

fn refusal(refusal: PasskeyRefusal) -> ApiError {
    match refusal {
        PasskeyRefusal::NotAsked { view } => mismatch(&view),
        PasskeyRefusal::Refused => ApiError::UpstreamRefused { what: "what was handed in" },
        PasskeyRefusal::Unreachable => ApiError::UpstreamUnreachable,
        PasskeyRefusal::Supervisor(error) => error.into(),
    }
}

/// Nothing of the kind is asked now; something more is only on its way where an answer was taken.
fn mismatch(view: &SessionView) -> ApiError {
    let answered = view.passkey.as_ref().filter(|prompt| prompt.answered).map(|prompt| Arc::clone(&prompt.ask));
    let expected: &[Status] = match (answered.as_deref(), view.status) {
        (Some(PasskeyAsk::Assertion { .. }), _) => &[Status::PasskeyConfirmationRequired],
        (Some(PasskeyAsk::Confirmation { .. }), _) => &[Status::Working],
        (None, Status::PasskeyConfirmationRequired) => &[Status::PasskeyRequired],
        (
            None,
            Status::Stopped
            | Status::Starting
            | Status::ScanQrCode
            | Status::PasskeyRequired
            | Status::Working
            | Status::Failed,
        ) => ASKING,
    };
    ApiError::SessionStatus(StatusMismatch {
        code: "session_status_mismatch",
        instance_id: view.instance_id,
        status: view.status,
        expected,
        recovering: answered.is_some(),
        retry_after: answered.is_some().then_some(ANSWERED_RETRY_AFTER),
    })
}
