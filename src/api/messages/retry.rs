//! `/v2/messages/retry`: sends a message again, under its old id.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::api::send::{Accepted, answer, refusal};
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;

/// Sends a message again that failed, or of which nobody knows.
///
/// It keeps its id, so that WhatsApp can tell that it is the same. Whoever sends an `unknown` one again takes the risk that
/// its recipient gets it twice. Any other is 409 `message_not_retriable`. Answered as `/v2/send/text` is.
#[utoipa::path(
    post, path = "/v2/messages/retry", tag = "Messages", operation_id = "retry_message",
    params(
        ("instance_id" = InstanceId, Query),
        ("message_id" = String, Query, description = "The message.", max_length = 128, example = "3EB0C767D097B7C7C0301A"),
        ("ttl" = Option<u32>, Query, description = "Seconds that it may wait to be sent.", minimum = 1, maximum = 86400,
            example = 3600),
    ),
    responses(
        (status = 200, description = "WhatsApp has it.", body = Accepted),
        (status = 202, description = "It is queued, or nobody knows yet.", body = Accepted),
        EveryRoute, OfInstance, OfStatus, Conflicting,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn retry(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.require("message_id");
    let message = read.message_id("message_id");
    let ttl = read.ttl().unwrap_or(call.state.message_ttl);
    read.finish()?;
    let message = message.expect("without an id there was a problem");
    let id = call.instance(target, Scope::Send).await?;
    let sent = call.state.sessions.retry(id, &message, ttl).await;
    answer(&sent.map_err(|error| refusal(error, call.state.clock.now()))?)
}
