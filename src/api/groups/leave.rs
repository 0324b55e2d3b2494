//! `/v2/groups/{group_id}/leave`: out of a group.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::directory::group_refusal;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;

/// The group that the instance is no longer in.
#[derive(Serialize, ToSchema)]
#[schema(as = LeftGroup)]
struct Left {
    #[schema(example = "120363025246125486@g.us")]
    id: String,
    #[schema(example = true)]
    left: bool,
}

/// Leaves a group.
#[utoipa::path(
    post, path = "/v2/groups/{group_id}/leave", tag = "Groups", operation_id = "leave_group",
    params(
        ("group_id" = String, Path, description = "The group.", example = "120363025246125486@g.us"),
        ("instance_id" = InstanceId, Query),
    ),
    responses((status = 200, description = "The instance has left.", body = Left), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn leave(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let group = call.group(&mut read);
    read.finish()?;
    let group = group.expect("without a group there was a problem");
    let id = call.instance(target, Scope::Send).await?;
    let left = call.state.sessions.leave_group(id, &group).await;
    left.map_err(|error| group_refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &Left { id: group.to_string(), left: true }))
}
