//! `/v2/send/typing`: shows in a chat that somebody writes.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::Typing;
use crate::domain::token::Scope;

use super::accept::refusal;

const STATES: [(&str, Typing); 3] =
    [("typing", Typing::Text), ("recording", Typing::Voice), ("paused", Typing::Paused)];

/// Shows in a chat that somebody writes or records.
///
/// WhatsApp takes it away by itself after some seconds, and when a message is sent. Not queued: 422 unless the instance is
/// connected.
#[utoipa::path(
    post, path = "/v2/send/typing", tag = "Messages",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "In which chat.", example = "201012345678@c.us"),
        ("state" = Option<String>, Query, pattern = "^(typing|recording|paused)$", example = "typing",
            description = "`typing` (unless given), `recording`, or `paused`, which takes it away."),
    ),
    responses((status = 200, description = "WhatsApp was told.", body = Object), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn typing(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let chat = read.chat("chatId");
    let typing = read.word("state", &STATES).unwrap_or(Typing::Text);
    read.finish()?;
    let chat = chat.expect("without a chat there was a problem");
    let id = call.instance(target, Scope::Send).await?;
    let told = call.state.sessions.show_typing(id, &chat, typing).await;
    told.map_err(|error| refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &json!({})))
}
