//! `/v2/auth/request-code`: a code to type into the phone, where none can be scanned.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::audit::Action;

use super::code::{DEFAULT_WAIT, MAX_WAIT, refusal};

/// A code to type into the phone.
#[derive(Serialize, ToSchema)]
#[schema(as = LinkCode)]
struct Code {
    #[schema(example = "ABCD-EFGH")]
    code: String,
    /// Until when the phone takes it, in Unix milliseconds.
    #[schema(example = 1_790_000_000_000_i64)]
    expiry: i64,
}

/// Gives a code to type into the phone, where none can be scanned.
///
/// Valid for 180 seconds. While one is live for the same number, it is given again.
#[utoipa::path(
    post, path = "/v2/auth/request-code", tag = "Linking",
    params(
        ("instance_id" = InstanceId, Query),
        ("phone_number" = String, Query, description =
            "The phone's own number: 7 to 15 digits with the country code first; a `+` and the usual separators may stand.",
            example = "+201012345678"),
        ("wait" = Option<u32>, Query, description = "The longest wait for a code in seconds; 5 unless given.",
            minimum = 0, maximum = 25, example = 5),
    ),
    responses((status = 200, description = "The code.", body = Code), EveryRoute, OfInstance, OfStatus),
)]
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
    // A line in the audit log for the first showing, not for each repetition.
    if code.shown.set(()).is_ok() {
        let mut conn = call.state.store.acquire().await?;
        call.record(&mut conn, Action::LinkCodeShown, id, json!({})).await?;
    }
    Ok(respond::json(StatusCode::OK, &Code { code: code.expose(), expiry: code.expires_at.timestamp_millis() }))
}
