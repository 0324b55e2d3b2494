//! `/v2/send/reaction`: an emoji on a message.

use actix_web::HttpResponse;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Content, Emoji, Over};

use super::accept::{Form, Reference, referred};
use super::document::Taken;

/// Puts an emoji on a message, or takes it off.
///
/// One person has one reaction on a message: another one takes its place, none takes it off. Answered as `/v2/send/text`
/// is; the id is the reaction's own. Groups in which only admins of a community write are not supported.
#[utoipa::path(
    post, path = "/v2/send/reaction", tag = "Messages",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one reaction.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "The chat that the message is in.", example = "201012345678@c.us"),
        ("message_id" = String, Query, description = "The message.", max_length = 128, example = "3EB0C767D097B7C7C030"),
        ("reaction" = Option<String>, Query, description = "One emoji; empty or left out to take it off.", max_length = 16,
            example = "👍"),
        ("participant" = Option<String>, Query, example = "201012345678@c.us",
            description = "Who wrote the message: needed in a group, unless this gateway sent it."),
        ("from_me" = Option<bool>, Query, description = "Whether this account wrote it.", example = false),
        ("ttl" = Option<u32>, Query, description = "Seconds that it may wait to be sent.", minimum = 1, maximum = 86400,
            example = 3600),
        ("over" = Option<Over>, Query, description = "`refuse` or `queue`, should it be too fast.", example = "queue"),
    ),
    responses(Taken, EveryRoute, OfInstance, OfStatus, Conflicting),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn reaction(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let form = Form::read(&call, &mut read);
    let chat = read.chat("chatId");
    read.require("message_id");
    let reference = Reference::read(&mut read, "message_id");
    let emoji = read.written("reaction", Emoji::parse).flatten();
    read.finish()?;
    let (chat, reference) = chat.zip(reference).expect("without them there was a problem");
    let id = form.instance(&call).await?;
    let (target, _) = referred(&call, id, &chat, &reference).await?;
    let asked = json!({ "target": target, "emoji": emoji });
    form.send(&call, "send.reaction", (chat, asked), |_| Content::Reaction { target, emoji }).await
}
