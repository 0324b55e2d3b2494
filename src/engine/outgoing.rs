//! What a client sends: messages, and what is said of messages.

use async_trait::async_trait;

/// What a client sends: messages, and what is said of messages.
#[async_trait]
pub trait Outgoing: Send + Sync {}
