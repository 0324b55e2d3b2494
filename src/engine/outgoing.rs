//! What a client sends: messages, and what is said of messages.

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::domain::chat_id::ChatId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Failure, Message, Target, Typing};

use crate::store::event::Incoming;
use crate::store::message_reference::Kept;

use super::EngineError;

/// What a client sends: messages, and what is said of messages.
#[async_trait]
pub trait Outgoing: Send + Sync {
    /// Sends a message under this id and waits until WhatsApp's server has acknowledged it.
    async fn send(&self, id: &MessageId, message: &Message) -> Result<Sent, SendError>;

    /// Tells the authors of messages of one chat that they were seen.
    async fn mark_seen(&self, chat: &ChatId, seen: &[Target]) -> Result<(), EngineError>;

    /// Shows in a chat that somebody writes, or no longer does.
    async fn show_typing(&self, chat: &ChatId, typing: Typing) -> Result<(), EngineError>;
}

/// A message that WhatsApp's server has.
#[derive(Debug)]
pub struct Sent {
    /// When, by its clock.
    pub at: DateTime<Utc>,
    /// What is to be logged of it.
    pub told: Incoming,
    /// What is to be kept of it.
    pub kept: Vec<Kept>,
    /// Who sent it, as envelopes tell it.
    pub me: Value,
}

/// Why a message is not known to be sent.
#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// It certainly did not leave this machine.
    #[error("the message was not sent: {cause}")]
    NotSent {
        /// For the log; holds no secret.
        cause: &'static str,
    },
    /// It may have been sent; WhatsApp has not said so.
    #[error("nobody knows whether the message was sent: {cause}")]
    Unknown {
        /// For the log; holds no secret.
        cause: &'static str,
    },
    /// It was not sent, and another attempt would end likewise.
    #[error("the message was refused: {failure}, code {code:?}")]
    Refused {
        /// In our words.
        failure: Failure,
        /// WhatsApp's code, if it gave one.
        code: Option<String>,
    },
}
