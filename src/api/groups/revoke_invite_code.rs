//! `/v2/groups/{group_id}/invite-code/revoke`: a new invite code in place of the old.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::api::directory::group_refusal;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;

use super::invite_code::Invite;

/// Revokes the invite code of a group and gives another.
///
/// The instance must be an admin of it.
#[utoipa::path(
    post, path = "/v2/groups/{group_id}/invite-code/revoke", tag = "Groups", operation_id = "revoke_group_invite_code",
    params(
        ("group_id" = String, Path, description = "The group.", example = "120363025246125486@g.us"),
        ("instance_id" = InstanceId, Query),
    ),
    responses((status = 200, description = "The new code.", body = Invite), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn revoke_invite_code(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let group = call.group(&mut read);
    read.finish()?;
    let group = group.expect("without a group there was a problem");
    let id = call.instance(target, Scope::Send).await?;
    let code = call.state.sessions.revoke_invite_code(id, &group).await;
    let code = code.map_err(|error| group_refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &Invite::new(code)))
}
