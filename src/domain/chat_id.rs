//! Whom a message goes to, or came from: a person or a group.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// An address of a chat. It is personal data: [`fmt::Debug`] shows only what kind of chat it is.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum ChatId {
    /// A person, by phone number in international form: digits only.
    Number(String),
    /// A person, by linked id (LID): digits only. WhatsApp uses it where it hides the number.
    Lid(String),
    /// A group: digits, in old groups two runs of them with a hyphen.
    Group(String),
}

/// What is wrong with the text of a chat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ChatIdError {
    /// No digits of a phone number.
    #[error("a phone number has 5 to 15 digits, with its country code and without a leading 00")]
    Number,
    /// No digits of a LID.
    #[error("what stands before @lid must be 5 to 20 digits")]
    Lid,
    /// No name of a group.
    #[error("what stands before @g.us must be the digits of a group's id")]
    Group,
    /// Another kind of address.
    #[error("it must end in @c.us, @s.whatsapp.net, @lid or @g.us, or be a phone number")]
    Server,
}

impl ChatId {
    /// Reads `2010…@c.us`, `…@s.whatsapp.net`, `…@lid`, `…@g.us`, or a bare phone number as people write it: with `+`,
    /// spaces, dots, hyphens and brackets.
    pub fn parse(text: &str) -> Result<Self, ChatIdError> {
        let text = text.trim();
        let Some((user, server)) = text.split_once('@') else {
            let digits: String = text.chars().filter(|c| !matches!(c, '+' | ' ' | '-' | '.' | '(' | ')')).collect();
            // A number that is dialled with 00 is not in international form.
            return number(&digits).ok_or(ChatIdError::Number);
        };
        match server {
            "c.us" | "s.whatsapp.net" => number(user).ok_or(ChatIdError::Number),
            "lid" if is_digits(user, 5..=20) => Ok(Self::Lid(user.to_owned())),
            "lid" => Err(ChatIdError::Lid),
            "g.us" => {
                let well_formed = match user.split_once('-') {
                    Some((creator, created)) => is_digits(creator, 5..=20) && is_digits(created, 5..=20),
                    None => is_digits(user, 5..=32),
                };
                if well_formed { Ok(Self::Group(user.to_owned())) } else { Err(ChatIdError::Group) }
            }
            _ => Err(ChatIdError::Server),
        }
    }

    /// Whether it is a group.
    pub fn is_group(&self) -> bool {
        matches!(self, Self::Group(_))
    }

    /// The address as WhatsApp itself writes it: `…@s.whatsapp.net` where we write `…@c.us`.
    pub fn jid(&self) -> String {
        match self {
            Self::Number(number) => format!("{number}@s.whatsapp.net"),
            Self::Lid(_) | Self::Group(_) => self.to_string(),
        }
    }
}

impl FromStr for ChatId {
    type Err = ChatIdError;

    fn from_str(text: &str) -> Result<Self, ChatIdError> {
        Self::parse(text)
    }
}

/// `2010…@c.us`, `…@lid` or `…@g.us`: the form of answers and events.
impl fmt::Display for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}@c.us"),
            Self::Lid(lid) => write!(f, "{lid}@lid"),
            Self::Group(group) => write!(f, "{group}@g.us"),
        }
    }
}

/// In the form of answers and events.
impl Serialize for ChatId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for ChatId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // What was read is not repeated in the error: it may be somebody's number.
        Self::parse(&String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl fmt::Debug for ChatId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Number(_) => "ChatId::Number([redacted])",
            Self::Lid(_) => "ChatId::Lid([redacted])",
            Self::Group(_) => "ChatId::Group([redacted])",
        })
    }
}

fn number(digits: &str) -> Option<ChatId> {
    (is_digits(digits, 5..=15) && !digits.starts_with('0')).then(|| ChatId::Number(digits.to_owned()))
}

fn is_digits(text: &str, length: std::ops::RangeInclusive<usize>) -> bool {
    length.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_form_of_a_chat_is_read_and_written_in_one() {
        for (text, form, jid) in [
            ("201012345678@c.us", "201012345678@c.us", "201012345678@s.whatsapp.net"),
            ("201012345678@s.whatsapp.net", "201012345678@c.us", "201012345678@s.whatsapp.net"),
            ("201012345678", "201012345678@c.us", "201012345678@s.whatsapp.net"),
            (" +20 (10) 1234-56.78 ", "201012345678@c.us", "201012345678@s.whatsapp.net"),
            ("123456789012345@lid", "123456789012345@lid", "123456789012345@lid"),
            ("120363025246125486@g.us", "120363025246125486@g.us", "120363025246125486@g.us"),
            ("201012345678-1500000000@g.us", "201012345678-1500000000@g.us", "201012345678-1500000000@g.us"),
        ] {
            let chat = ChatId::parse(text).unwrap();
            assert_eq!(chat.to_string(), form);
            assert_eq!(chat.jid(), jid);
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, error) in [
            ("", ChatIdError::Number),
            ("Nadia", ChatIdError::Number),
            ("00201012345678", ChatIdError::Number),
            ("1234", ChatIdError::Number),
            ("1234567890123456", ChatIdError::Number),
            ("@c.us", ChatIdError::Number),
            ("+201012345678@c.us", ChatIdError::Number),
            ("2010123:4@s.whatsapp.net", ChatIdError::Number),
            ("abc@lid", ChatIdError::Lid),
            ("my group@g.us", ChatIdError::Group),
            ("12345-@g.us", ChatIdError::Group),
            ("status@broadcast", ChatIdError::Server),
            ("123456@newsletter", ChatIdError::Server),
            ("201012345678@c.us@g.us", ChatIdError::Server),
            ("201012345678@C.US", ChatIdError::Server),
        ] {
            assert_eq!(ChatId::parse(text), Err(error), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(text in "\\PC{0,40}") {
            if let Ok(chat) = ChatId::parse(&text) {
                prop_assert_eq!(ChatId::parse(&chat.to_string()), Ok(chat.clone()));
                prop_assert_eq!(ChatId::parse(&chat.jid()), Ok(chat));
            }
        }
    }

    #[test]
    fn debug_shows_no_number() {
        assert_eq!(format!("{:?}", ChatId::parse("201012345678").unwrap()), "ChatId::Number([redacted])");
    }
}
