//! `/v2/session/start`: the owner wants the instance running. The one way out of every `FAILED`.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::audit::Action;

use super::document::Info;

/// Starts the session.
///
/// Records the wish to run and answers with the instance as it stands then; asking again changes nothing.
/// `GET` only if the account allows it, else 405.
#[utoipa::path(
    method(post, get), path = "/v2/session/start", tag = "Sessions",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "The instance as it stands.", body = Info), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn start(call: Call) -> Result<HttpResponse, ApiError> {
    call.control_method()?;
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance(target, Scope::Control).await?;
    let view = call.state.sessions.start(id).await?;
    call.note(Action::InstanceStarted, id).await?;
    Ok(respond::json(StatusCode::OK, &Info::of(&call, view).await?))
}
