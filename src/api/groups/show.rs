//! `/v2/groups/{group_id}`: one group.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;

use crate::api::directory::group_refusal;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;

use super::document::Document;

/// Tells of a group and who is in it.
#[utoipa::path(
    get, path = "/v2/groups/{group_id}", tag = "Groups", operation_id = "show_group",
    params(
        ("group_id" = String, Path, description = "The group.", example = "120363025246125486@g.us"),
        ("instance_id" = InstanceId, Query),
    ),
    responses((status = 200, description = "The group.", body = Document), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn show(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let group = call.group(&mut read);
    read.finish()?;
    let group = group.expect("without a group there was a problem");
    let id = call.instance(target, Scope::Read).await?;
    let found = call.state.sessions.group(id, &group).await;
    let found = found.map_err(|error| group_refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &Document::new(found, true)))
}
