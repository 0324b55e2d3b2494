//! `/v2/groups/{group_id}/invite-code`: what lets people into a group.

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

/// The code, and the link that holds it.
#[derive(Serialize, ToSchema)]
#[schema(as = InviteCode)]
pub(super) struct Invite {
    #[serde(rename = "inviteCode")]
    #[schema(example = "BQkzNTW1xgF2LyBzWnQ8dC")]
    code: String,
    #[schema(example = "https://chat.whatsapp.com/BQkzNTW1xgF2LyBzWnQ8dC")]
    link: String,
}

impl Invite {
    pub(super) fn new(code: String) -> Self {
        Self { link: format!("https://chat.whatsapp.com/{code}"), code }
    }
}

/// Tells the invite code of a group.
///
/// Whoever has it can join. In many groups only admins are told.
#[utoipa::path(
    get, path = "/v2/groups/{group_id}/invite-code", tag = "Groups", operation_id = "group_invite_code",
    params(
        ("group_id" = String, Path, description = "The group.", example = "120363025246125486@g.us"),
        ("instance_id" = InstanceId, Query),
    ),
    responses((status = 200, description = "The code.", body = Invite), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn invite_code(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let group = call.group(&mut read);
    read.finish()?;
    let group = group.expect("without a group there was a problem");
    let id = call.instance(target, Scope::Read).await?;
    let code = call.state.sessions.invite_code(id, &group).await;
    let code = code.map_err(|error| group_refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &Invite::new(code)))
}
