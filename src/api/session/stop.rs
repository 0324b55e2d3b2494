//! `/v2/session/stop`: the owner wants the instance resting. Its link is kept.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond;
use crate::domain::token::Scope;
use crate::store::audit::Action;

use super::document::Info;

/// Records the wish and answers with the instance as it stands then; asking again changes nothing.
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn stop(call: Call) -> Result<HttpResponse, ApiError> {
    call.control_method()?;
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance(target, Scope::Control).await?;
    let view = call.state.sessions.stop(id).await?;
    call.note(Action::InstanceStopped, id).await?;
    Ok(respond::json(StatusCode::OK, &Info::of(&call, view).await?))
}
