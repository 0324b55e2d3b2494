//! Webhooks: where an account is told of events, in which order, and what came of it.

use std::fmt;

use serde::{Deserialize, Serialize, Serializer};
use uuid::Uuid;

use super::event::EventKind;
use super::words::words;

mod header;

pub use header::{Header, HeaderError};

/// What a webhook's id begins with.
const PREFIX: &str = "whk_";

/// Identifies a webhook: `whk_` and 32 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^whk_[0-9a-f]{32}$", example = "whk_0193a1b27c3d7e4f8a5b6c7d8e9f0a1b")]
pub struct WebhookId(pub Uuid);

impl WebhookId {
    /// Reads an id as it stands in a request.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix(PREFIX).filter(|digits| digits.len() == 32)?;
        Uuid::try_parse(digits).ok().map(Self)
    }
}

impl fmt::Display for WebhookId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{PREFIX}{}", self.0.simple())
    }
}

impl Serialize for WebhookId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for WebhookId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| serde::de::Error::custom("no webhook id"))
    }
}

words! {
    /// Whether an event that cannot be delivered holds up those after it.
    Order {
        /// It does, for about 35 minutes; then it is given up. Nothing arrives out of order.
        Strict = "strict",
        /// For a minute; then it is tried again aside, for three days.
        Relaxed = "relaxed",
    }
}

words! {
    /// Why a webhook gets nothing.
    DisabledReason {
        /// Its owner switched it off.
        Owner = "owner",
        /// It answered 410: it is gone for good.
        Gone = "gone",
        /// Every delivery failed for days.
        Failing = "failing",
    }
}

words! {
    /// What came of an attempt.
    Outcome {
        /// 2xx.
        Delivered = "delivered",
        /// Any other answer. Redirects are not followed.
        Refused = "refused",
        /// 410.
        Gone = "gone",
        /// No answer in time.
        TimedOut = "timed_out",
        /// No connection, or one that broke.
        Unreachable = "unreachable",
        /// The name leads to an address that may not be dialled.
        AddressRefused = "address_refused",
    }
}

/// The kinds of events that a webhook is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subscription {
    /// Every kind, those of later releases included.
    All,
    /// These.
    Only(Vec<EventKind>),
}

impl Subscription {
    /// The kinds that were named.
    pub fn named(&self) -> &[EventKind] {
        match self {
            Self::All => &[],
            Self::Only(kinds) => kinds,
        }
    }

    /// Whether an event of this kind is told.
    pub fn wants(&self, kind: EventKind) -> bool {
        match self {
            Self::All => true,
            Self::Only(kinds) => kinds.iter().any(|wanted| kind.is_wanted_by(*wanted)),
        }
    }

    /// Every kind that is told.
    pub fn kinds(&self) -> Vec<EventKind> {
        EventKind::ALL.iter().copied().filter(|kind| self.wants(*kind)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_reads_back_and_nothing_else_does() {
        let id = WebhookId(Uuid::from_u128(0x0193_a1b2));
        assert_eq!(WebhookId::parse(&id.to_string()), Some(id));
        for text in
            ["", "whk_", "0193a1b27c3d7e4f8a5b6c7d8e9f0a1b", "whk_0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b", "whk_zz"]
        {
            assert_eq!(WebhookId::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_subscription_that_names_nothing_is_told_everything() {
        assert_eq!(Subscription::All.kinds(), EventKind::ALL);
        let messages = Subscription::Only(vec![EventKind::MessageOwn]);
        assert_eq!(messages.kinds(), [EventKind::Message, EventKind::MessageOwn]);
        assert!(!messages.wants(EventKind::SessionStatus));
    }
}
