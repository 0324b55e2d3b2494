//! What can be sent, in our own words: bounded here, written for WhatsApp behind the engine's door.

mod content;
mod pace;
mod preview;
mod state;

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::chat_id::ChatId;

pub use content::{
    Author, Card, Content, ContentError, Emoji, MAX_CARDS, MAX_MENTIONS, MAX_OPTIONS, MAX_TEXT, Place, Poll, Quote,
    Target, Vcard, Words,
};
pub use pace::{Ledger, Over, Pace};
pub use preview::{LinkPreview, first_link};
pub use state::{Failure, State};

/// The longest time that a message may wait to be sent.
pub const MAX_TTL: Duration = Duration::from_hours(24);

/// A message on its way out: to whom, and what. It is personal throughout, so it has no `Debug` that tells any of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Message {
    /// To whom.
    pub chat: ChatId,
    /// What.
    pub content: Content,
}

/// What is shown in a chat while somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Typing {
    /// "typing…"
    Text,
    /// "recording audio…"
    Voice,
    /// Nothing any more.
    Paused,
}
