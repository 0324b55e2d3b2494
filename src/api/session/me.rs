//! `/v2/session/me`: who the instance is on WhatsApp.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::api::error::{ApiError, DEFAULT_RETRY_AFTER, StatusMismatch};
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::session::Status;
use crate::domain::token::Scope;

use super::document::Me;

/// Tells who the instance is on WhatsApp.
///
/// Also while it is stopped or reconnecting; 422 as long as no phone is linked.
#[utoipa::path(
    get, path = "/v2/session/me", tag = "Sessions",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "The linked profile.", body = Me), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn me(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance(target, Scope::Read).await?;
    let view = call.state.sessions.view(id).await?;
    let Some(profile) = view.me.filter(|_| view.linked) else {
        return Err(ApiError::SessionStatus(StatusMismatch {
            code: "session_status_mismatch",
            instance_id: id,
            status: view.status,
            expected: &[Status::Working],
            // Linked, but nobody knows to whom: the next log-in tells.
            recovering: view.linked,
            retry_after: view.linked.then_some(DEFAULT_RETRY_AFTER),
        }));
    };
    Ok(respond::json(StatusCode::OK, &Me::from(profile)))
}
