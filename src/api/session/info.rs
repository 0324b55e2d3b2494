//! `/v2/session/info`: an instance and its session; with `wait_for`, once it stands where the caller waits for it. A link
//! token is told less (`Told`).

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::api;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance};
use crate::api::respond;
use crate::domain::instance::InstanceId;

use utoipa::ToSchema;

use super::document::{Info, Told};

/// Which of the two it is, the token decides.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "each is answered with as it is, and not through this type")]
enum Answer {
    Whole(Box<Info>),
    ToVisitors(Told),
}

/// The longest wait, in seconds, and the one taken when none is named.
const MAX_TIMEOUT: u32 = api::LONGEST_WAIT;

/// Tells of an instance and its session.
///
/// With `wait_for` the answer comes once the session stands there, or at the timeout with the instance as it stands. A link
/// token is told only the status, the reason, the standing of the code, and a masked number.
#[utoipa::path(
    method(post, get), path = "/v2/session/info", tag = "Sessions",
    params(
        ("instance_id" = InstanceId, Query),
        ("wait_for" = Option<String>, Query, description = "Session statuses to wait for, separated by commas.",
            example = "WORKING,FAILED"),
        ("timeout" = Option<u32>, Query, description = "The longest wait in seconds; 25 unless given.",
            minimum = 0, maximum = 25, example = 25),
    ),
    responses((status = 200, description = "The instance as it stands.", body = inline(Answer)), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn info(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let wait_for = read.statuses("wait_for");
    let timeout = read.integer("timeout", 0..=MAX_TIMEOUT).unwrap_or(MAX_TIMEOUT);
    read.finish()?;
    let id = call.instance_to_tell(target).await?;
    let view = match wait_for {
        Some(statuses) => call.state.sessions.wait_for(id, &statuses, Duration::from_secs(timeout.into())).await?,
        None => call.state.sessions.view(id).await?,
    };
    if call.is_visitor() {
        return Ok(respond::json(StatusCode::OK, &Told::from(view)));
    }
    Ok(respond::json(StatusCode::OK, &Info::of(&call, view).await?))
}
