//! `/v2/auth/passkey`: what WhatsApp asks of a passkey before it links, and the way back for the answer.
//!
//! The relying party is WhatsApp's own web page, so a page of ours cannot make the assertion; a native app or a browser
//! extension can.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::Value;

use crate::api::error::{ApiError, ParameterProblem, StatusMismatch};
use crate::api::extract::Call;
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
#[derive(Serialize)]
struct Asked<'a> {
    status: Status,
    /// What `navigator.credentials.get` takes under this name.
    #[serde(rename = "publicKey", skip_serializing_if = "Option::is_none")]
    public_key: Option<&'a Value>,
    /// What the phone must show too.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    /// Unix milliseconds.
    expires_at: i64,
}

/// Where the session stands after WhatsApp took the answer.
#[derive(Serialize)]
struct Taken {
    status: Status,
}

/// GET: what is asked. POST: the `assertion`, or, without one, that both codes are the same.
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn passkey(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let assertion = if call.is_post() { read.assertion("assertion") } else { None };
    read.finish()?;
    let id = call.instance(target, Scope::Link).await?;
    let view = call.state.sessions.view(id).await?;
    let Some(prompt) = view.passkey.clone() else { return Err(mismatch(&view)) };
    if !call.is_post() {
        return Ok(asked(&view, &prompt));
    }
    let taken = hand_in(&call, id, &prompt, assertion).await?;
    Ok(respond::json(StatusCode::OK, &Taken { status: taken.status }))
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
