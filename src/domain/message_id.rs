//! Names of messages.

use std::fmt;
use std::fmt::Write as _;

use rand::{Rng, RngExt};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest id that is taken.
const MAX_LENGTH: usize = 128;

/// What the ids of WhatsApp's web client begin with.
const PREFIX: &str = "3EB0";

/// The id of a message, as WhatsApp itself writes it: `3EB0C767D097B7C7C030`. Whoever writes a message chooses it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, max_length = 128, example = "3EB0C767D097B7C7C0301A")]
pub struct MessageId(Box<str>);

/// The text is not the id of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a message id has 1 to 128 letters, digits, dots, hyphens and underscores")]
pub struct InvalidMessageId;

impl MessageId {
    /// Reads an id. WAHA's clients name a message with its chat, `true_201012345678@c.us_3EB0…`: of those, the id is taken.
    pub fn parse(text: &str) -> Result<Self, InvalidMessageId> {
        let own = ["true_", "false_"].iter().find_map(|side| text.strip_prefix(side));
        let text = match own.and_then(|rest| rest.split_once('_')) {
            Some((chat, rest)) if chat.contains('@') => rest.split('_').next().unwrap_or(rest),
            Some(_) | None => text,
        };
        let well_formed = (1..=MAX_LENGTH).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        if well_formed { Ok(Self(text.into())) } else { Err(InvalidMessageId) }
    }

    /// Draws a new id: 72 random bits behind the prefix of WhatsApp's own web client.
    pub fn generate(rng: &mut impl Rng) -> Self {
        let mut id = PREFIX.to_owned();
        for byte in rng.random::<[u8; 9]>() {
            // Writing to a string cannot fail.
            let _ = write!(id, "{byte:02X}");
        }
        Self(id.into())
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for MessageId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for MessageId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    proptest! {
        #[test]
        fn a_generated_id_looks_like_one_of_whatsapps_web_client_and_parses_to_itself(seed: u64) {
            let id = MessageId::generate(&mut rand::rngs::StdRng::seed_from_u64(seed));
            prop_assert!(id.as_str().starts_with("3EB0") && id.as_str().len() == 22);
            prop_assert_eq!(MessageId::parse(id.as_str()), Ok(id));
        }
    }

    #[test]
    fn an_id_is_taken_out_of_the_name_that_waha_gives_a_message() {
        for (text, id) in [
            ("3EB0C767D097B7C7C030", "3EB0C767D097B7C7C030"),
            ("true_201012345678@c.us_3EB0C767D097B7C7C030", "3EB0C767D097B7C7C030"),
            ("false_120363025246125486@g.us_3EB0C767_201012345678@c.us", "3EB0C767"),
            ("true_story", "true_story"),
        ] {
            assert_eq!(MessageId::parse(text).unwrap().as_str(), id, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long = "A".repeat(129);
        for text in ["", "a b", "a/b", "{message_id}", "ä", "a\0", &long] {
            assert_eq!(MessageId::parse(text), Err(InvalidMessageId), "{text:?}");
        }
    }
}
