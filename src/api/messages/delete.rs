//! `/v2/messages/delete`: deletes a message for everybody.

use actix_web::HttpResponse;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::api::send::{Form, Reference, Taken, referred};
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Author, Content, Over};

/// Deletes a message for everybody in its chat.
///
/// One's own; as admin of a group, with `participant`, anybody's. WhatsApp takes it for about two days. Answered as
/// `/v2/send/text` is; the id is the deletion's own.
#[utoipa::path(
    post, path = "/v2/messages/delete", tag = "Messages", operation_id = "delete_message",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one deletion.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "The chat that the message is in.", example = "201012345678@c.us"),
        ("message_id" = String, Query, description = "The message.", max_length = 128, example = "3EB0C767D097B7C7C030"),
        ("participant" = Option<String>, Query, example = "201012345678@c.us",
            description = "Who wrote it, if it is somebody else's message in a group."),
        ("ttl" = Option<u32>, Query, description = "Seconds that it may wait to be sent.", minimum = 1, maximum = 86400,
            example = 3600),
        ("over" = Option<Over>, Query, description = "`refuse` or `queue`, should it be too fast.", example = "queue"),
    ),
    responses(Taken, EveryRoute, OfInstance, OfStatus, Conflicting),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn delete(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let form = Form::read(&call, &mut read);
    let chat = read.chat("chatId");
    read.require("message_id");
    let reference = Reference::read(&mut read, "message_id").map(Reference::own_unless_told);
    if chat.as_ref().is_some_and(|chat| !chat.is_group()) && reference.as_ref().is_some_and(Reference::is_of_another) {
        read.wrong::<()>("participant", "can only be given in a group: elsewhere one's own messages are deleted");
    }
    read.finish()?;
    let (chat, reference) = chat.zip(reference).expect("without them there was a problem");
    let id = form.instance(&call).await?;
    let (target, _) = referred(&call, id, &chat, &reference).await?;
    debug_assert!(chat.is_group() || target.author == Author::Me);
    let asked = json!(target);
    form.send(&call, "messages.delete", (chat, asked), |_| Content::Revoke { target }).await
}
