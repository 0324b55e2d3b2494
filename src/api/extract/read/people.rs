//! Parameters that name people and chats.

use serde_json::Value;

use crate::domain::chat_id::ChatId;
use crate::domain::phone_number::PhoneNumber;

use super::Read;

impl Read<'_> {
    /// Phone numbers, from one to `most`, separated by commas or in an array.
    pub fn phone_numbers(&mut self, name: &'static str, most: usize) -> Option<Vec<PhoneNumber>> {
        let numbers =
            self.list(name, "phone numbers with their country codes", |text| PhoneNumber::parse(text).ok())?;
        self.counted(name, numbers, most)
    }

    /// People, from one to `most`, who must be given: separated by commas or in an array, where each may be an object
    /// with an `id`, as WAHA's clients send them.
    pub fn people(&mut self, name: &'static str, most: usize) -> Option<Vec<ChatId>> {
        let person = |text: &str| ChatId::parse(text).ok().filter(|chat| !chat.is_group());
        let given = self.parameters.get(name);
        let people: Option<Vec<ChatId>> = match given {
            None => return self.missing(name),
            Some(Value::String(text)) => text.split(',').map(person).collect(),
            Some(Value::Array(people)) => {
                people.iter().map(|one| one.as_str().or_else(|| one["id"].as_str()).and_then(person)).collect()
            }
            Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_)) => None,
        };
        let people = people.or_else(|| self.wrong(name, "must be people's chat ids, separated by commas"))?;
        self.counted(name, people, most)
    }

    fn counted<T>(&mut self, name: &'static str, values: Vec<T>, most: usize) -> Option<Vec<T>> {
        if (1..=most).contains(&values.len()) {
            return Some(values);
        }
        self.wrong(name, &format!("must name from 1 to {most}"))
    }
}
