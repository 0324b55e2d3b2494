//! `/v2/chats/unread`: marks a chat as unread.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::domain::contact::ChatMark;
use crate::domain::instance::InstanceId;

use super::Marked;

/// Marks a chat as unread.
///
/// It gets a badge on every device of the account, as a reminder.
#[utoipa::path(
    post, path = "/v2/chats/unread", tag = "Chats", operation_id = "chat_unread",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "A person's or a group's chat, or a phone number.",
            example = "201012345678@c.us"),
    ),
    responses((status = 200, description = "It is marked.", body = Marked), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn unread(call: Call) -> Result<HttpResponse, ApiError> {
    super::mark(&call, ChatMark::Unread).await
}
