//! What a message is made of, as parameters say it.

use std::ops::RangeInclusive;

use chrono::TimeDelta;
use serde_json::{Map, Value};

use crate::domain::chat_id::ChatId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{ContentError, MAX_MENTIONS, MAX_TTL, Over};

use super::Read;
use crate::api::extract::json;

/// Messages that one receipt names.
const MAX_SEEN: usize = 100;

impl Read<'_> {
    /// A chat, which must be given: a person's or a group's address, or a phone number.
    pub fn chat(&mut self, name: &'static str) -> Option<ChatId> {
        if self.parameters.get(name).is_none() {
            return self.missing(name);
        }
        self.maybe_chat(name)
    }

    /// A chat.
    pub fn maybe_chat(&mut self, name: &'static str) -> Option<ChatId> {
        let text = match self.parameters.get(name)? {
            Value::String(text) => text.clone(),
            Value::Number(number) => number.to_string(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                return self.wrong(name, "must be a chat id");
            }
        };
        ChatId::parse(&text).map_err(|error| self.wrong::<ChatId>(name, &format!("is no chat id: {error}"))).ok()
    }

    /// Whether a parameter was given, right or wrong.
    pub fn is_given(&self, name: &str) -> bool {
        self.parameters.get(name).is_some()
    }

    /// The people that a message mentions.
    pub fn mentions(&mut self) -> Vec<ChatId> {
        let person = |text: &str| ChatId::parse(text).ok().filter(|chat| !chat.is_group());
        let people = self.list("mentions", "people's chat ids", person).unwrap_or_default();
        if people.len() > MAX_MENTIONS {
            self.wrong::<()>("mentions", &format!("may name {MAX_MENTIONS} people"));
        }
        people
    }

    /// The id of a message.
    pub fn message_id(&mut self, name: &'static str) -> Option<MessageId> {
        let id = self.parameters.get(name)?.as_str().map(MessageId::parse);
        match id {
            Some(Ok(id)) => Some(id),
            Some(Err(error)) => self.wrong(name, &format!("is no message id: {error}")),
            None => self.wrong(name, "must be a message id"),
        }
    }

    /// The ids of messages, one at least.
    pub fn message_ids(&mut self, name: &'static str) -> Option<Vec<MessageId>> {
        if self.parameters.get(name).is_none() {
            return self.missing(name);
        }
        let ids = self.list(name, "message ids", |text| MessageId::parse(text).ok())?;
        if (1..=MAX_SEEN).contains(&ids.len()) {
            return Some(ids);
        }
        self.wrong(name, &format!("must name from 1 to {MAX_SEEN} messages"))
    }

    /// Text of any kind, line breaks included, as `parse` takes it.
    pub fn written<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, ContentError>) -> Option<T> {
        let Some(text) = self.parameters.get(name)?.as_str() else { return self.wrong(name, "must be text") };
        parse(text).map_err(|error| self.wrong::<T>(name, &error.to_string())).ok()
    }

    /// [`Read::written`] that must be given.
    pub fn needed<T>(&mut self, name: &'static str, parse: impl FnOnce(&str) -> Result<T, ContentError>) -> Option<T> {
        self.require(name);
        self.written(name, parse)
    }

    /// A number with a fraction within `range`, which must be given.
    pub fn decimal(&mut self, name: &'static str, range: RangeInclusive<f64>) -> Option<f64> {
        let number = match self.parameters.get(name) {
            None => return self.missing(name),
            Some(Value::String(text)) => text.trim().parse().ok(),
            Some(Value::Number(number)) => number.as_f64(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => None,
        };
        number
            .filter(|number| range.contains(number))
            .or_else(|| self.wrong(name, &format!("must be a number from {} to {}", range.start(), range.end())))
    }

    /// Texts, in an array, in the text of a JSON array, or separated by commas.
    pub fn texts(&mut self, name: &'static str) -> Option<Vec<String>> {
        if self.parameters.get(name).is_none() {
            return self.missing(name);
        }
        if let Some(Value::Array(texts)) = self.array_of(name) {
            let texts: Option<Vec<String>> = texts.iter().map(|text| text.as_str().map(ToOwned::to_owned)).collect();
            return texts.or_else(|| self.wrong(name, "must be texts"));
        }
        self.list(name, "texts", |text| Some(text.to_owned()))
    }

    /// JSON objects, in an array; in a query or a form, its text.
    pub fn objects(&mut self, name: &'static str) -> Option<Vec<Map<String, Value>>> {
        self.parameters.get(name)?;
        let objects: Option<Vec<_>> = match self.array_of(name) {
            Some(Value::Array(objects)) => objects.iter().map(|object| object.as_object().cloned()).collect(),
            Some(_) | None => None,
        };
        objects.or_else(|| self.wrong(name, "must be an array of JSON objects"))
    }

    fn array_of(&self, name: &str) -> Option<Value> {
        match self.parameters.get(name)? {
            Value::Array(values) => Some(Value::Array(values.clone())),
            Value::String(text) if text.trim_start().starts_with('[') => json::value(text.as_bytes()).ok(),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        }
    }

    /// How long a message may wait, in seconds.
    pub fn ttl(&mut self) -> Option<TimeDelta> {
        let most = u32::try_from(MAX_TTL.as_secs()).unwrap_or(u32::MAX);
        self.integer("ttl", 1..=most).map(|seconds| TimeDelta::seconds(seconds.into()))
    }

    /// What becomes of a message that is too fast.
    pub fn over(&mut self) -> Option<Over> {
        self.word("over", &[("refuse", Over::Refuse), ("queue", Over::Queue)])
    }
}
