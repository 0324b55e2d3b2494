//! `/v2/chats/read`: marks a chat as read.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::domain::contact::ChatMark;
use crate::domain::instance::InstanceId;

use super::Marked;

/// Marks a chat as read.
///
/// The badge goes on every device of the account. The authors are told nothing: blue ticks are `/v2/send/seen`.
#[utoipa::path(
    post, path = "/v2/chats/read", tag = "Chats", operation_id = "chat_read",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "A person's or a group's chat, or a phone number.",
            example = "201012345678@c.us"),
    ),
    responses((status = 200, description = "It is marked.", body = Marked), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn read(call: Call) -> Result<HttpResponse, ApiError> {
    super::mark(&call, ChatMark::Read).await
}
