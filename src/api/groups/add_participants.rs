//! `/v2/groups/{group_id}/participants`: adds people to a group.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::domain::group::Change;
use crate::domain::instance::InstanceId;

use super::participants::{self, Outcomes};

/// Adds people to a group.
///
/// Each has an outcome of their own: one whom WhatsApp does not add keeps nobody else out. In many groups the instance
/// must be an admin.
#[utoipa::path(
    post, path = "/v2/groups/{group_id}/participants", tag = "Groups", operation_id = "add_group_participants",
    params(
        ("group_id" = String, Path, description = "The group.", example = "120363025246125486@g.us"),
        ("instance_id" = InstanceId, Query),
        ("participants" = Vec<String>, Query, description =
            "Who is added: chat ids or phone numbers, or objects that have one as `id`.", min_items = 1,
            max_items = 256, example = json!(["201012345678@c.us"])),
    ),
    responses((status = 200, description = "What became of each.", body = Outcomes), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn add_participants(call: Call) -> Result<HttpResponse, ApiError> {
    participants::change(&call, Change::Add).await
}
