//! `/v2/chats/archive`: moves a chat to the archive.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::domain::contact::ChatMark;
use crate::domain::instance::InstanceId;

use super::Marked;

/// Moves a chat to the archive.
///
/// On every device of the account. A new message may bring it back, as the account has set it.
#[utoipa::path(
    post, path = "/v2/chats/archive", tag = "Chats", operation_id = "chat_archive",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "A person's or a group's chat, or a phone number.",
            example = "201012345678@c.us"),
    ),
    responses((status = 200, description = "It is marked.", body = Marked), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn archive(call: Call) -> Result<HttpResponse, ApiError> {
    super::mark(&call, ChatMark::Archived).await
}
