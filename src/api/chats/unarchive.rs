//! `/v2/chats/unarchive`: moves a chat back from the archive.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::domain::contact::ChatMark;
use crate::domain::instance::InstanceId;

use super::Marked;

/// Moves a chat back from the archive.
///
/// On every device of the account.
#[utoipa::path(
    post, path = "/v2/chats/unarchive", tag = "Chats", operation_id = "chat_unarchive",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "A person's or a group's chat, or a phone number.",
            example = "201012345678@c.us"),
    ),
    responses((status = 200, description = "It is marked.", body = Marked), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn unarchive(call: Call) -> Result<HttpResponse, ApiError> {
    super::mark(&call, ChatMark::Unarchived).await
}
