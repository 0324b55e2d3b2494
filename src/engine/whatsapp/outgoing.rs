//! What a client sends: messages, and what is said of messages.

use async_trait::async_trait;

use crate::engine::Outgoing;

use super::run::Run;

#[async_trait]
impl Outgoing for Run {}
