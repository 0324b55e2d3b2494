//! `/v2/auth/request-code`: a code to type into the phone, where none can be scanned.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond;
use crate::domain::token::Scope;
use crate::store::audit::Action;

use super::code::{DEFAULT_WAIT, MAX_WAIT, refusal};

#[derive(Serialize)]
struct Code {
    code: String,
    /// Unix milliseconds.
    expiry: i64,
}

/// Answers with the code for `phone_number`; `wait`. The first showing of a code leaves a line in the audit log.
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn request_code(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let number = read.phone_number("phone_number");
    let wait = read.integer("wait", 0..=MAX_WAIT).unwrap_or(DEFAULT_WAIT);
    read.finish()?;
    let number = number.expect("without a number there was a problem");
    let id = call.instance(target, Scope::Link).await?;
    call.within_link_code_limit(id)?;
    let requested = call.state.sessions.request_code(id, number, Duration::from_secs(wait.into())).await;
    let code = requested.map_err(|error| refusal(error, call.state.clock.now()))?;
    if code.shown.set(()).is_ok() {
        let mut conn = call.state.store.acquire().await?;
        call.record(&mut conn, Action::LinkCodeShown, id, json!({})).await?;
    }
    Ok(respond::json(StatusCode::OK, &Code { code: code.expose(), expiry: code.expires_at.timestamp_millis() }))
}
