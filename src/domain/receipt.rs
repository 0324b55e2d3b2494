//! How far messages of an account have come: what WhatsApp's acknowledgements and receipts say.

use chrono::{DateTime, Utc};

use super::chat_id::ChatId;

/// How far a message has come. Later ones include the earlier: what was read was delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// WhatsApp refused it.
    Refused,
    /// WhatsApp's server has it.
    Server,
    /// A device of a recipient has it.
    Delivered,
    /// A recipient has seen it.
    Read,
    /// A recipient has played its sound or film.
    Played,
}

impl Level {
    /// The number that WAHA has for it.
    pub const fn ack(self) -> i8 {
        match self {
            Self::Refused => -1,
            Self::Server => 1,
            Self::Delivered => 2,
            Self::Read => 3,
            Self::Played => 4,
        }
    }

    /// Reads [`Self::ack`] back.
    pub fn of_ack(ack: i64) -> Option<Self> {
        [Self::Refused, Self::Server, Self::Delivered, Self::Read, Self::Played]
            .into_iter()
            .find(|level| i64::from(level.ack()) == ack)
    }

    /// The word that WAHA has for it.
    pub const fn ack_name(self) -> &'static str {
        match self {
            Self::Refused => "ERROR",
            Self::Server => "SERVER",
            Self::Delivered => "DEVICE",
            Self::Read => "READ",
            Self::Played => "PLAYED",
        }
    }
}

/// What was said of messages that this account sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// In which chat; `None` where WhatsApp's acknowledgement does not say.
    pub chat: Option<ChatId>,
    /// Whose device or eyes, in a group.
    pub participant: Option<ChatId>,
    /// The messages' ids.
    pub ids: Vec<String>,
    /// How far they have come.
    pub level: Level,
    /// When.
    pub at: DateTime<Utc>,
}
