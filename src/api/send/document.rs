//! A message as its sender is told of it.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::respond;
use crate::domain::outgoing::{Failure, State};
use crate::store::outbound::Outbound;

/// A message that was taken.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = AcceptedMessage)]
pub(in crate::api) struct Accepted {
    /// WhatsApp's id of the message, the same in every event about it.
    #[schema(example = "3EB0C767D097B7C7C0301A")]
    pub(in crate::api) id: String,
    /// To whom.
    #[serde(rename = "chatId")]
    #[schema(example = "201012345678@c.us")]
    chat_id: String,
    /// `sent` once WhatsApp's server has acknowledged it, or further; `queued` as long as it has not; `unknown` if the
    /// connection ended in between.
    status: State,
    /// Since when it stands there, in Unix milliseconds; for one that was sent, WhatsApp's own time of it.
    #[schema(example = 1_790_000_000_000_i64)]
    timestamp: i64,
}

/// What became of a message.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::api) struct MessageStatus {
    #[serde(flatten)]
    message: Accepted,
    /// Why it was not sent.
    #[schema(required = true)]
    reason: Option<Failure>,
    /// When it was accepted, in Unix milliseconds.
    #[schema(example = 1_790_000_000_000_i64)]
    created_at: i64,
    /// When its pace lets it go, in Unix milliseconds.
    #[schema(example = 1_790_000_000_000_i64)]
    due_at: i64,
    /// From when on it is not sent any more, in Unix milliseconds.
    #[schema(example = 1_790_003_600_000_i64)]
    expires_at: i64,
}

impl Accepted {
    /// As it stands.
    pub(in crate::api) fn of(message: &Outbound) -> Self {
        Self {
            id: message.id.to_string(),
            chat_id: message.message.chat.to_string(),
            status: message.state.shown(),
            timestamp: message.changed_at.timestamp_millis(),
        }
    }

    /// As it stands when it is accepted.
    pub(in crate::api) fn queued(id: String, chat_id: String, timestamp: i64) -> Self {
        Self { id, chat_id, status: State::Queued, timestamp }
    }
}

impl MessageStatus {
    pub(in crate::api) fn of(message: &Outbound) -> Self {
        Self {
            message: Accepted::of(message),
            reason: message.failure,
            created_at: message.times.created_at.timestamp_millis(),
            due_at: message.times.due_at.timestamp_millis(),
            expires_at: message.times.expires_at.timestamp_millis(),
        }
    }
}

/// 200 once WhatsApp has it, 202 as long as that is not known, an error if it was refused.
pub(in crate::api) fn answer(message: &Outbound) -> Result<HttpResponse, ApiError> {
    let status = match message.state {
        State::Sent | State::Delivered | State::Read => StatusCode::OK,
        State::Queued | State::Sending | State::Unknown => StatusCode::ACCEPTED,
        State::Failed => {
            let failure = message.failure.unwrap_or(Failure::Refused);
            return Err(ApiError::MessageFailed { message_id: message.id.clone(), failure });
        }
    };
    Ok(respond::json(status, &Accepted::of(message)))
}
