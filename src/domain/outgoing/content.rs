//! The kinds of messages and their bounds.

use std::collections::HashSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::chat_id::ChatId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing_file::{OutgoingFile, Placed};
use crate::domain::phone_number::PhoneNumber;

use super::preview::LinkPreview;

/// Characters of a text.
pub const MAX_TEXT: usize = 4_096;

/// People that a message mentions.
pub const MAX_MENTIONS: usize = 256;

/// Answers of a poll.
pub const MAX_OPTIONS: usize = 12;

/// Cards in one message.
pub const MAX_CARDS: usize = 20;

/// Characters of a name, a question, an address.
const MAX_LINE: usize = 255;

/// Characters of one answer of a poll.
const MAX_OPTION: usize = 100;

/// Characters of a card.
const MAX_CARD: usize = 4_096;

/// Characters of a reaction: one emoji can be several joined.
const MAX_EMOJI: usize = 16;

/// What a message is. The names of its kinds are stored, so they never change.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Content {
    /// Words.
    Text {
        /// What it says.
        text: Words,
        /// What it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quote: Option<Quote>,
        /// Whom it mentions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<ChatId>,
        /// What it shows of the page that it leads to.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preview: Option<Box<LinkPreview>>,
    },
    /// A place.
    Location {
        /// Where.
        place: Place,
        /// What it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quote: Option<Quote>,
    },
    /// People's cards.
    Contact {
        /// One or more.
        cards: Vec<Card>,
        /// What it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quote: Option<Quote>,
    },
    /// A question with answers to choose from.
    Poll {
        /// The question and its answers.
        poll: Poll,
        /// What votes are encrypted with. It is drawn once, so that every attempt to send the poll is the same poll.
        secret: [u8; 32],
        /// What it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quote: Option<Quote>,
    },
    /// A file.
    File {
        /// Which.
        file: Box<OutgoingFile>,
        /// Where it lies at WhatsApp: known from the last upload on.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        placed: Option<Placed>,
        /// The words below it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caption: Option<Words>,
        /// What it answers.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        quote: Option<Quote>,
        /// Whom the words below it mention.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<ChatId>,
    },
    /// An emoji on a message.
    Reaction {
        /// Which message.
        target: Target,
        /// `None` takes it off again.
        emoji: Option<Emoji>,
    },
    /// Other words for a text of our own.
    Edit {
        /// Which message.
        target: MessageId,
        /// What it says from now on.
        text: Words,
        /// Whom it mentions.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        mentions: Vec<ChatId>,
    },
    /// Deletes a message for everybody: one's own, or as a group's admin anybody's.
    Revoke {
        /// Which message.
        target: Target,
    },
}

impl Content {
    /// Whether a file must be uploaded before it can be sent.
    pub const fn has_file(&self) -> bool {
        match self {
            Self::File { .. } => true,
            Self::Text { .. }
            | Self::Location { .. }
            | Self::Contact { .. }
            | Self::Poll { .. }
            | Self::Reaction { .. }
            | Self::Edit { .. }
            | Self::Revoke { .. } => false,
        }
    }
}

/// What is wrong with what is to be sent, in words that follow the parameter's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Nothing but blanks.
    #[error("must not be blank")]
    Blank,
    /// Characters that nobody sees.
    #[error("must not hold control characters; a text may hold line breaks and tabs")]
    Control,
    /// Too many characters.
    #[error("must have {0} characters at most")]
    TooLong(usize),
    /// No place on Earth.
    #[error("must be a latitude from -90 to 90 and a longitude from -180 to 180")]
    Place,
    /// Too few or too many answers.
    #[error("must be 2 to 12 answers of 1 to 100 characters, each another")]
    Options,
    /// More choices than answers.
    #[error("must not be more than there are answers")]
    Selectable,
    /// Not one emoji.
    #[error("must be one emoji, or empty to take the reaction off")]
    Emoji,
    /// Not a vCard.
    #[error("must be a vCard: BEGIN:VCARD … END:VCARD")]
    Card,
}

/// A text with something in it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Words(String);

impl Words {
    /// A message's text.
    pub fn parse(text: &str) -> Result<Self, ContentError> {
        if text.chars().any(|character| character.is_control() && !matches!(character, '\n' | '\r' | '\t')) {
            return Err(ContentError::Control);
        }
        Self::within(text, MAX_TEXT)
    }

    /// A name, a question, an address.
    pub fn line(text: &str) -> Result<Self, ContentError> {
        if text.chars().any(char::is_control) { Err(ContentError::Control) } else { Self::within(text, MAX_LINE) }
    }

    fn within(text: &str, max: usize) -> Result<Self, ContentError> {
        if text.trim().is_empty() {
            return Err(ContentError::Blank);
        }
        if text.chars().count() > max { Err(ContentError::TooLong(max)) } else { Ok(Self(text.to_owned())) }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A message that a new one answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    /// Which.
    #[serde(flatten)]
    pub target: Target,
    /// What it says, if we know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Words>,
}

/// A message that a new one is about.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// Its id.
    pub id: MessageId,
    /// Who wrote it.
    pub author: Author,
}

/// Who wrote a message.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Author {
    /// This account, by whichever of its devices.
    Me,
    /// Somebody else: the other of a chat between two, or this participant of a group.
    Other(ChatId),
}

/// A point on Earth, and what it is called.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Place {
    latitude: f64,
    longitude: f64,
    /// What it is called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Words>,
    /// Where it is, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Words>,
}

impl Place {
    /// A point in degrees north and east.
    pub fn new(latitude: f64, longitude: f64) -> Result<Self, ContentError> {
        // Written so that what is no number is refused too.
        if latitude.abs() <= 90.0 && longitude.abs() <= 180.0 {
            Ok(Self { latitude, longitude, name: None, address: None })
        } else {
            Err(ContentError::Place)
        }
    }

    /// The same place with what people call it.
    #[must_use]
    pub fn called(self, name: Option<Words>, address: Option<Words>) -> Self {
        Self { name, address, ..self }
    }

    /// Degrees north and east.
    pub fn coordinates(&self) -> (f64, f64) {
        (self.latitude, self.longitude)
    }
}

/// A person's card.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Card {
    name: Words,
    vcard: String,
}

impl Card {
    /// A card of a name and a number, as WhatsApp itself makes one: `waid` makes it tappable.
    pub fn of(name: Words, number: PhoneNumber, organization: Option<&Words>) -> Self {
        let digits = number.digits();
        let organization = organization.map_or(String::new(), |text| format!("ORG:{};\n", escaped(text.as_str())));
        let vcard = format!(
            "BEGIN:VCARD\nVERSION:3.0\nN:;{full};;;\nFN:{full}\n{organization}TEL;type=CELL;waid={digits}:+{digits}\nEND:VCARD",
            full = escaped(name.as_str()),
        );
        Self { name, vcard }
    }

    /// A card that somebody else wrote.
    pub fn written(name: Words, vcard: Vcard) -> Self {
        Self { name, vcard: vcard.0 }
    }

    /// The name above it.
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// The card.
    pub fn vcard(&self) -> &str {
        &self.vcard
    }
}

/// The text of a card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vcard(String);

impl Vcard {
    /// Reads what begins and ends as a card does.
    pub fn parse(text: &str) -> Result<Self, ContentError> {
        let text = text.trim();
        if text.chars().count() > MAX_CARD {
            return Err(ContentError::TooLong(MAX_CARD));
        }
        let is_card = text.starts_with("BEGIN:VCARD") && text.ends_with("END:VCARD");
        if is_card { Ok(Self(text.to_owned())) } else { Err(ContentError::Card) }
    }
}

/// RFC 6350, 3.4: what separates a card's values is escaped within them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            ';' | ',' | '\\' => escaped.extend(['\\', character]),
            '\n' => escaped.push_str("\\n"),
            '\r' => {}
            character => escaped.push(character),
        }
    }
    escaped
}

/// A question with answers.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Poll {
    /// The question.
    pub question: Words,
    options: Vec<Words>,
    selectable: u32,
}

impl Poll {
    /// The answers of a poll: few, short, and each another.
    pub fn answers(options: &[String]) -> Result<Vec<Words>, ContentError> {
        let distinct: HashSet<&str> = options.iter().map(|option| option.trim()).collect();
        if !(2..=MAX_OPTIONS).contains(&options.len()) || distinct.len() != options.len() {
            return Err(ContentError::Options);
        }
        let line = |option: &String| Words::line(option.trim()).and_then(|words| Words::within(&words.0, MAX_OPTION));
        let options: Result<Vec<Words>, ContentError> = options.iter().map(line).collect();
        options.map_err(|_| ContentError::Options)
    }

    /// A poll of whose [`Poll::answers`] so many may be chosen.
    pub fn new(question: Words, options: Vec<Words>, selectable: u32) -> Result<Self, ContentError> {
        let all = u32::try_from(options.len()).unwrap_or(u32::MAX);
        if !(1..=all).contains(&selectable) {
            return Err(ContentError::Selectable);
        }
        Ok(Self { question, options, selectable })
    }

    /// The answers.
    pub fn options(&self) -> &[Words] {
        &self.options
    }

    /// How many of them may be chosen.
    pub fn selectable(&self) -> u32 {
        self.selectable
    }
}

/// A reaction.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Emoji(String);

impl Emoji {
    /// One emoji; `None` for an empty text, which takes a reaction off.
    pub fn parse(text: &str) -> Result<Option<Self>, ContentError> {
        let text = text.trim();
        // WhatsApp shows nothing for a reaction that is no emoji. Which text is one changes every year; what surely is
        // none: letters, digits alone, blanks, several lines.
        let plausible = text.chars().count() <= MAX_EMOJI
            && !text.chars().any(|c| c.is_alphabetic() || c.is_whitespace() || c.is_control())
            && (text.is_empty() || !text.is_ascii());
        match (plausible, text) {
            (false, _) => Err(ContentError::Emoji),
            (true, "") => Ok(None),
            (true, text) => Ok(Some(Self(text.to_owned()))),
        }
    }

    /// The emoji.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Only the kind: the rest is what people write to each other.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text { .. } => "Text",
            Self::Location { .. } => "Location",
            Self::Contact { .. } => "Contact",
            Self::Poll { .. } => "Poll",
            Self::File { .. } => "File",
            Self::Reaction { .. } => "Reaction",
            Self::Edit { .. } => "Edit",
            Self::Revoke { .. } => "Revoke",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Words {
        Words::parse(text).unwrap()
    }

    #[test]
    fn a_text_has_between_one_and_4096_characters() {
        assert_eq!(Words::parse("ä".repeat(4_096).as_str()).map(|words| words.as_str().len()), Ok(8_192));
        assert_eq!(Words::parse("a".repeat(4_097).as_str()).err(), Some(ContentError::TooLong(4_096)));
        assert_eq!(Words::parse(" \n\t").err(), Some(ContentError::Blank));
        assert_eq!(words("a\tb\r\n").as_str(), "a\tb\r\n");
        assert_eq!(Words::parse("a\0b").err(), Some(ContentError::Control));
        assert_eq!(Words::line("a\nb").err(), Some(ContentError::Control));
    }

    #[test]
    fn a_place_is_on_earth() {
        assert!(Place::new(-90.0, 180.0).is_ok());
        for (latitude, longitude) in [(90.1, 0.0), (0.0, -180.5), (f64::NAN, 0.0), (0.0, f64::INFINITY)] {
            assert_eq!(Place::new(latitude, longitude).err(), Some(ContentError::Place));
        }
    }

    #[test]
    fn a_poll_has_two_to_twelve_answers_that_differ() {
        let answers = |options: &[&str]| {
            let options: Vec<String> = options.iter().map(ToString::to_string).collect();
            Poll::answers(&options)
        };
        let poll = |selectable| Poll::new(words("When?"), answers(&["now", "later"]).unwrap(), selectable);
        assert_eq!(poll(2).unwrap().selectable(), 2);
        for options in [&["now"][..], &["now", " now"], &["now", " "], &["now", "la\nter"], &["a"; 13]] {
            assert_eq!(answers(options).err(), Some(ContentError::Options), "{options:?}");
        }
        for selectable in [0, 3] {
            assert_eq!(poll(selectable).err(), Some(ContentError::Selectable));
        }
    }

    #[test]
    fn a_reaction_is_an_emoji_or_nothing() {
        for text in ["👍", "❤️", "👩‍👩‍👧‍👦", "🇪🇬", "1️⃣"] {
            assert_eq!(Emoji::parse(text).unwrap().unwrap().as_str(), text);
        }
        assert!(Emoji::parse("").unwrap().is_none());
        for text in ["ok", "1", "👍 👍", ":)", "ä", &"👍".repeat(17)] {
            assert_eq!(Emoji::parse(text).err(), Some(ContentError::Emoji), "{text}");
        }
    }

    #[test]
    fn a_card_of_a_name_and_a_number_cannot_be_broken_out_of() {
        let number = PhoneNumber::parse("+20 10 12345678").unwrap();
        let card = Card::of(words("Jane; Doe\nTEL:1"), number, Some(&words("Shop, Ltd")));
        let lines: Vec<&str> = card.vcard().lines().collect();
        assert_eq!(
            lines,
            [
                "BEGIN:VCARD",
                "VERSION:3.0",
                "N:;Jane\\; Doe\\nTEL:1;;;",
                "FN:Jane\\; Doe\\nTEL:1",
                "ORG:Shop\\, Ltd;",
                "TEL;type=CELL;waid=201012345678:+201012345678",
                "END:VCARD",
            ]
        );
        assert_eq!(Vcard::parse("not a card").err(), Some(ContentError::Card));
    }

    #[test]
    fn what_is_stored_is_read_back_and_debug_tells_only_the_kind() {
        let chat = ChatId::parse("201012345678").unwrap();
        let target = Target { id: MessageId::parse("3EB0").unwrap(), author: Author::Other(chat.clone()) };
        let quote = Quote { target: target.clone(), text: Some(words("what?")) };
        for content in [
            Content::Text { text: words("that"), quote: Some(quote.clone()), mentions: vec![chat], preview: None },
            Content::Reaction { target: target.clone(), emoji: None },
            Content::Revoke { target: Target { author: Author::Me, ..target } },
            Content::Location { place: Place::new(30.0, 31.2).unwrap(), quote: Some(quote) },
        ] {
            let stored = serde_json::to_string(&content).unwrap();
            assert!(serde_json::from_str::<Content>(&stored).unwrap() == content, "{stored}");
            assert!(!format!("{content:?}").contains("20101"));
        }
    }
}
