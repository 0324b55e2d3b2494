//! `/v2/send/seen`: tells the authors of messages that they were seen.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Author, Target};
use crate::domain::token::Scope;

use super::accept::refusal;

/// Marks messages as seen.
///
/// Their authors see two blue ticks, unless one of the two has switched that off. Not queued: 422 unless the instance is
/// connected.
#[utoipa::path(
    post, path = "/v2/send/seen", tag = "Messages",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "The chat that the messages are in.", example = "201012345678@c.us"),
        ("message_ids" = Vec<String>, Query, min_items = 1, max_items = 100, example = json!(["3EB0C767D097B7C7C030"]),
            description = "The messages: a list, or separated by commas."),
        ("participant" = Option<String>, Query, description = "Who wrote them: needed in a group.",
            example = "201012345678@c.us"),
    ),
    responses((status = 200, description = "WhatsApp was told.", body = Object), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn seen(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let chat = read.chat("chatId");
    let ids = read.message_ids("message_ids");
    let participant = read.maybe_chat("participant");
    if chat.as_ref().is_some_and(crate::domain::chat_id::ChatId::is_group) {
        read.require("participant");
    }
    read.finish()?;
    let (chat, ids) = chat.zip(ids).expect("without them there was a problem");
    let id = call.instance(target, Scope::Send).await?;
    let author = Author::Other(participant.unwrap_or_else(|| chat.clone()));
    let seen: Vec<Target> = ids.into_iter().map(|id| Target { id, author: author.clone() }).collect();
    let told = call.state.sessions.mark_seen(id, &chat, &seen).await;
    told.map_err(|error| refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &json!({ "seen": seen.len() })))
}
