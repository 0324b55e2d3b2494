//! `/v2/groups/{group_id}/participants`: removes people from a group.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::domain::group::Change;
use crate::domain::instance::InstanceId;

use super::participants::{self, Outcomes};

/// Removes people from a group.
///
/// The instance must be an admin of it. Each has an outcome of their own.
#[utoipa::path(
    delete, path = "/v2/groups/{group_id}/participants", tag = "Groups", operation_id = "remove_group_participants",
    params(
        ("group_id" = String, Path, description = "The group.", example = "120363025246125486@g.us"),
        ("instance_id" = InstanceId, Query),
        ("participants" = Vec<String>, Query, description =
            "Who is removed: chat ids or phone numbers, or objects that have one as `id`.", min_items = 1,
            max_items = 256, example = json!(["201012345678@c.us"])),
    ),
    responses((status = 200, description = "What became of each.", body = Outcomes), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn remove_participants(call: Call) -> Result<HttpResponse, ApiError> {
    participants::change(&call, Change::Remove).await
}
