//! What a client asks WhatsApp about people, chats and groups, and what it changes there.

use async_trait::async_trait;

/// What a client asks WhatsApp about people, chats and groups, and what it changes there.
#[async_trait]
pub trait Directory: Send + Sync {}
