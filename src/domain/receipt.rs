//! How far a message got.

use chrono::{DateTime, Utc};

use super::chat_id::ChatId;
use super::message_id::MessageId;
use super::words::words;

words! {
    /// The stations of a message, in their order.
    Level {
        /// WhatsApp's server took it.
        Server = "server",
        /// A device of the recipient has it.
        Delivered = "delivered",
        /// The recipient saw it.
        Read = "read",
        /// The recipient listened to it, or watched it.
        Played = "played",
    }
}

/// Somebody says of messages of ours how far they got: WhatsApp's server, or a recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// In which chat, if that is known.
    pub chat: Option<ChatId>,
    /// Who says so, in a group.
    pub participant: Option<ChatId>,
    /// Of which messages.
    pub messages: Vec<MessageId>,
    /// How far.
    pub level: Level,
    /// When.
    pub at: DateTime<Utc>,
}
