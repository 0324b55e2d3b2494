//! Typed parameters: a handler reads them all, then asks once whether any was missing or wrong.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::api::error::{ApiError, ParameterProblem};
use crate::domain::event::EventKind;
use crate::domain::instance::{InstanceId, LENGTH};
use crate::domain::origin::Origin;
use crate::domain::passkey::PasskeyAssertion;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::session::Status;
use crate::domain::token::Scope;

use super::json;
use super::parameters::{INSTANCE_ID, Parameters};

mod people;
mod sending;

/// Which instance a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// One that may or may not be there.
    Id(InstanceId),
    /// Twelve letters and digits that no id is made of: nobody's.
    Nobodys,
}

/// How many of something there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Any number.
    Unlimited,
    /// This many.
    AtMost(u32),
}

/// Reads parameters and remembers every problem. A getter gives `None` for a parameter that is absent or wrong;
/// [`Read::finish`] tells the two apart.
pub struct Read<'a> {
    parameters: &'a Parameters,
    problems: Vec<ParameterProblem>,
}

impl<'a> Read<'a> {
    pub(crate) fn new(parameters: &'a Parameters) -> Self {
        Self { parameters, problems: Vec::new() }
    }

    /// `Err` names every problem at once.
    pub fn finish(self) -> Result<(), ApiError> {
        if self.problems.is_empty() { Ok(()) } else { Err(ApiError::Parameters(self.problems)) }
    }

    /// The instance, which an instance token need not name: `own` is its own.
    pub fn target(&mut self, own: Option<InstanceId>) -> Option<Target> {
        if self.parameters.get(INSTANCE_ID).is_some() {
            return self.named_instance();
        }
        if own.is_none() {
            self.require(INSTANCE_ID);
        }
        own.map(Target::Id)
    }

    /// The instance a request names, where it need not name one.
    pub fn named_instance(&mut self) -> Option<Target> {
        let value = self.parameters.get(INSTANCE_ID)?;
        let text = value.as_str().unwrap_or_default();
        match InstanceId::parse(text) {
            Ok(id) => Some(Target::Id(id)),
            Err(_) if text.len() == LENGTH && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                Some(Target::Nobodys)
            }
            Err(error) => self.wrong(INSTANCE_ID, &format!("is not valid: {error}")),
        }
    }

    /// A whole number within `range`.
    pub fn integer(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<u32> {
        let value = self.parameters.get(name)?;
        let number = match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_u64().and_then(|number| u32::try_from(number).ok()),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number
            .filter(|number| range.contains(number))
            .or_else(|| self.wrong(name, &format!("must be a whole number from {} to {}", range.start(), range.end())))
    }

    /// The number of an event, or 0 for the place before the first.
    pub fn seq(&mut self, name: &'static str) -> Option<i64> {
        let value = self.parameters.get(name)?;
        let number = match value {
            Value::String(text) => text.parse().ok(),
            Value::Number(number) => number.as_i64(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        };
        number.filter(|seq| *seq >= 0).or_else(|| self.wrong(name, "must be the number of an event"))
    }

    /// Kinds of events, separated by commas or in an array.
    pub fn event_kinds(&mut self, name: &'static str) -> Option<Vec<EventKind>> {
        self.list(name, "names of events such as message", EventKind::parse)
    }

    /// A whole number within `range`, or the word `unlimited`.
    pub fn bound(&mut self, name: &'static str, range: RangeInclusive<u32>) -> Option<Bound> {
        if self.parameters.get(name)?.as_str() == Some("unlimited") {
            return Some(Bound::Unlimited);
        }
        self.integer(name, range).map(Bound::AtMost)
    }

    /// Yes or no.
    pub fn boolean(&mut self, name: &'static str) -> Option<bool> {
        match self.parameters.get(name)? {
            Value::Bool(value) => Some(*value),
            Value::String(text) if text == "true" || text == "1" => Some(true),
            Value::String(text) if text == "false" || text == "0" => Some(false),
            Value::Number(number) if number.as_u64() == Some(1) => Some(true),
            Value::Number(number) if number.as_u64() == Some(0) => Some(false),
            Value::Number(_) | Value::String(_) | Value::Null | Value::Array(_) | Value::Object(_) => {
                self.wrong(name, "must be true or false")
            }
        }
    }

    /// One of some words, each with its meaning.
    pub fn word<T: Copy>(&mut self, name: &'static str, words: &[(&str, T)]) -> Option<T> {
        let value = self.parameters.get(name)?;
        let found = words.iter().find(|(word, _)| value.as_str() == Some(word)).map(|(_, meaning)| *meaning);
        found.or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(name, &format!("must be one of {}", words.join(", ")))
        })
    }

    /// Text of at most `max` characters, none of them a control character.
    pub fn text(&mut self, name: &'static str, max: usize) -> Option<&'a str> {
        let text = self.parameters.get(name)?.as_str();
        let text = text.filter(|text| text.chars().count() <= max && !text.chars().any(char::is_control));
        text.or_else(|| self.wrong(name, &format!("must be text of at most {max} characters")))
    }

    /// A JSON object; in a query or a form, its text.
    pub fn object(&mut self, name: &'static str) -> Option<Map<String, Value>> {
        let object = match self.parameters.get(name)? {
            Value::Object(object) => Some(object.clone()),
            Value::String(text) => match json::value(text.as_bytes()) {
                Ok(Value::Object(object)) => Some(object),
                Ok(_) | Err(_) => None,
            },
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) => None,
        };
        object.or_else(|| self.wrong(name, "must be a JSON object"))
    }

    /// A phone number, which must be given: text as people type it, or a whole number.
    pub fn phone_number(&mut self, name: &'static str) -> Option<PhoneNumber> {
        let text = match self.parameters.get(name) {
            None => return self.missing(name),
            Some(Value::String(text)) => text.clone(),
            Some(Value::Number(number)) => number.to_string(),
            Some(Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_)) => {
                return self.wrong(name, "must be a phone number");
            }
        };
        PhoneNumber::parse(&text).map_err(|error| self.wrong::<PhoneNumber>(name, &error.to_string())).ok()
    }

    /// A WebAuthn assertion: a JSON object; in a query or a form, its text.
    pub fn assertion(&mut self, name: &'static str) -> Option<PasskeyAssertion> {
        let object = Value::Object(self.object(name)?);
        PasskeyAssertion::parse(&object).map_err(|error| self.wrong::<PasskeyAssertion>(name, &error.to_string())).ok()
    }

    /// A session status.
    pub fn status(&mut self, name: &'static str) -> Option<Status> {
        let status = self.parameters.get(name)?.as_str().and_then(Status::parse);
        status.or_else(|| self.wrong(name, "must be a session status"))
    }

    /// Session statuses, separated by commas or in an array.
    pub fn statuses(&mut self, name: &'static str) -> Option<Vec<Status>> {
        self.list(name, "session statuses", Status::parse)
    }

    /// Scopes, at least one, separated by commas or in an array.
    pub fn scopes(&mut self, name: &'static str) -> Option<Vec<Scope>> {
        let scopes = self.list(name, "scopes out of read, link, send, control", Scope::parse)?;
        if scopes.is_empty() { self.wrong(name, "must name one scope at least") } else { Some(scopes) }
    }

    /// Web origins, separated by commas or in an array; an empty array is none.
    pub fn origins(&mut self, name: &'static str, most: usize) -> Option<Vec<Origin>> {
        let origins = self.list(name, "origins such as https://app.example.com", |text| Origin::parse(text).ok())?;
        if origins.len() > most { self.wrong(name, &format!("may hold {most} origins")) } else { Some(origins) }
    }

    /// Values that `parse` reads, separated by commas or in an array.
    pub(in crate::api) fn list<T>(
        &mut self,
        name: &'static str,
        what: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Option<Vec<T>> {
        let values: Option<Vec<T>> = match self.parameters.get(name)? {
            Value::String(text) => text.split(',').map(|word| parse(word.trim())).collect(),
            Value::Array(words) => words.iter().map(|word| word.as_str().and_then(&parse)).collect(),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
        };
        values.or_else(|| self.wrong(name, &format!("must be {what}, separated by commas")))
    }

    /// A UUID.
    pub fn uuid(&mut self, name: &'static str) -> Option<Uuid> {
        let uuid = self.parameters.get(name)?.as_str().and_then(|text| Uuid::try_parse(text).ok());
        uuid.or_else(|| self.wrong(name, "must be a UUID"))
    }

    /// A moment, as RFC 3339 writes it.
    pub fn moment(&mut self, name: &'static str) -> Option<DateTime<Utc>> {
        let text = self.parameters.get(name)?.as_str();
        let moment = text.and_then(|text| DateTime::parse_from_rfc3339(text).ok()).map(|moment| moment.to_utc());
        moment.or_else(|| self.wrong(name, "must be a time such as 2026-11-24T21:00:00Z"))
    }

    /// Notes it if a parameter that must be there was not given.
    pub fn require(&mut self, name: &'static str) {
        if self.parameters.get(name).is_none() {
            self.missing::<()>(name);
        }
    }

    /// Notes that a parameter was not given.
    pub fn missing<T>(&mut self, name: &'static str) -> Option<T> {
        self.problems.push(ParameterProblem { name, problem: "is missing".to_owned(), missing: true });
        None
    }

    /// Notes a problem of a parameter that was given.
    pub fn wrong<T>(&mut self, name: &'static str, problem: &str) -> Option<T> {
        self.problems.push(ParameterProblem { name, problem: problem.to_owned(), missing: false });
        None
    }
}
