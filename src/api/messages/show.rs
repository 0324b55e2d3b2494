//! `/v2/messages/{message_id}`: what became of a message.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Path;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance};
use crate::api::respond;
use crate::api::send::{MessageStatus, refusal};
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::token::Scope;

/// Tells what became of a message that was sent through this gateway.
///
/// `queued`, `sent`, `delivered`, `read`, `failed` with a reason, or `unknown`: the connection ended before WhatsApp
/// answered. In a group, `delivered` and `read` mean by one of its members at least. Kept for seven days unless configured
/// otherwise.
#[utoipa::path(
    get, path = "/v2/messages/{message_id}", tag = "Messages", operation_id = "show_message",
    params(
        ("message_id" = MessageId, Path, description = "The id that the answer to its sending named."),
        ("instance_id" = InstanceId, Query),
    ),
    responses((status = 200, description = "The message as it stands.", body = MessageStatus), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn show(call: Call, path: Path<String>) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance(target, Scope::Read).await?;
    // Whatever is no id is no message's.
    let message = MessageId::parse(&path).map_err(|_| ApiError::MessageNotFound)?;
    let found = call.state.sessions.message(id, &message).await;
    let found = found.map_err(|error| refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &MessageStatus::of(&found)))
}
