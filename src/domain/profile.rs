//! Who a linked instance is on WhatsApp.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The account an instance is linked to. Both ids are personal data: neither is ever logged, and [`fmt::Debug`]
/// shows only that they are there.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    /// The phone number in international form, digits only.
    pub number: String,
    /// The linked id (LID) without its server part, once WhatsApp told it.
    pub lid: Option<String>,
    /// The name the person gave themselves.
    pub push_name: Option<String>,
}

impl Profile {
    /// The chat id in the form Wawp and WAHA use: `201012345678@c.us`.
    pub fn chat_id(&self) -> String {
        format!("{}@c.us", self.number)
    }

    /// As events tell it: `{id, lid, pushName}`.
    pub fn document(&self) -> Value {
        json!({ "id": self.chat_id(), "lid": self.lid_address(), "pushName": self.push_name })
    }

    /// The number as far as only its owner recognises it: `2010*****678`.
    pub fn masked_number(&self) -> String {
        let digits = self.number.chars().count();
        let (first, last) = if digits >= 10 { (4, 3) } else { (0, usize::min(2, digits / 2)) };
        let mask = |(place, digit)| if place < first || place >= digits - last { digit } else { '*' };
        self.number.chars().enumerate().map(mask).collect()
    }

    /// The LID as a full address: `…@lid`.
    pub fn lid_address(&self) -> Option<String> {
        self.lid.as_ref().map(|lid| format!("{lid}@lid"))
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Profile")
            .field("number", &"[redacted]")
            .field("lid", &self.lid.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_masked_number_shows_its_ends_and_its_length_only() {
        for (number, masked) in [
            ("201012345678", "2010*****678"),
            ("4915112345", "4915***345"),
            ("123456789", "*******89"),
            ("123", "**3"),
            ("1", "*"),
            ("", ""),
        ] {
            let profile = Profile { number: number.into(), lid: None, push_name: None };
            assert_eq!(profile.masked_number(), masked);
        }
    }
}
