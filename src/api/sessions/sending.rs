//! What the handlers ask of the sessions to send messages.

use async_trait::async_trait;
use chrono::TimeDelta;

use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Pace, Target, Typing};
use crate::store::outbound::Outbound;
use crate::supervisor::{Kept, Letter, PaceView, SendRefusal, Supervisor};

/// Sending; each method is [`Supervisor`]'s of that name.
#[async_trait]
pub trait Sending: Send + Sync {
    /// Accepts a message and waits a while for its acknowledgement.
    async fn send(&self, id: InstanceId, letter: Letter, kept: Option<Kept<'_>>) -> Result<Outbound, SendRefusal>;

    /// Sends a message again under its old id.
    async fn retry(&self, id: InstanceId, message: &MessageId, ttl: TimeDelta) -> Result<Outbound, SendRefusal>;

    /// A message that was accepted, as it stands.
    async fn message(&self, id: InstanceId, message: &MessageId) -> Result<Outbound, SendRefusal>;

    /// Tells the authors of messages that they were seen.
    async fn mark_seen(&self, id: InstanceId, chat: &ChatId, seen: &[Target]) -> Result<(), SendRefusal>;

    /// Shows in a chat that somebody writes, or no longer does.
    async fn show_typing(&self, id: InstanceId, chat: &ChatId, typing: Typing) -> Result<(), SendRefusal>;

    /// How fast the instance sends.
    async fn pace(&self, id: InstanceId) -> Result<PaceView, SendRefusal>;

    /// Chooses how fast the instance sends.
    async fn set_pace(&self, id: InstanceId, pace: Pace) -> Result<PaceView, SendRefusal>;
}

#[async_trait]
impl Sending for Supervisor {
    async fn send(&self, id: InstanceId, letter: Letter, kept: Option<Kept<'_>>) -> Result<Outbound, SendRefusal> {
        Self::send(self, id, letter, kept).await
    }

    async fn retry(&self, id: InstanceId, message: &MessageId, ttl: TimeDelta) -> Result<Outbound, SendRefusal> {
        Self::retry(self, id, message, ttl).await
    }

    async fn message(&self, id: InstanceId, message: &MessageId) -> Result<Outbound, SendRefusal> {
        Self::message(self, id, message).await
    }

    async fn mark_seen(&self, id: InstanceId, chat: &ChatId, seen: &[Target]) -> Result<(), SendRefusal> {
        Self::mark_seen(self, id, chat, seen).await
    }

    async fn show_typing(&self, id: InstanceId, chat: &ChatId, typing: Typing) -> Result<(), SendRefusal> {
        Self::show_typing(self, id, chat, typing).await
    }

    async fn pace(&self, id: InstanceId) -> Result<PaceView, SendRefusal> {
        Self::pace(self, id).await
    }

    async fn set_pace(&self, id: InstanceId, pace: Pace) -> Result<PaceView, SendRefusal> {
        Self::set_pace(self, id, pace).await
    }
}
