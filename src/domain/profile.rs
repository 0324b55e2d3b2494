//! Who a linked instance is on WhatsApp.

use std::fmt;

use serde::{Deserialize, Serialize};

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
