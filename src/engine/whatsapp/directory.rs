//! What a client asks WhatsApp about people, chats and groups, and what it changes there.

use async_trait::async_trait;

use crate::engine::Directory;

use super::run::Run;

#[async_trait]
impl Directory for Run {}
