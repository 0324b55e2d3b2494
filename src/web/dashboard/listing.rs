//! What the dashboard's lists have in common: some are narrowed to a word, and all go on page by page.

use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};

/// The longest word or cursor that is handed on.
pub(super) const LONGEST: usize = 100;

/// A list as it was asked for: narrowed or whole, from its beginning or from a cursor on.
pub(super) struct Listing {
    /// The parameter that narrows it.
    by: &'static str,
    word: String,
    cursor: String,
}

impl Listing {
    /// The list that a request asks for, which its parameter `by` narrows to what `word` reads.
    pub(super) fn narrowed_by(
        call: &Call,
        by: &'static str,
        word: impl FnOnce(&mut Read<'_>) -> Option<String>,
    ) -> Result<Self, ApiError> {
        let mut read = call.read();
        let word = word(&mut read).unwrap_or_default();
        let cursor = cursor(&mut read);
        read.finish()?;
        Ok(Self { by, word, cursor })
    }

    /// As the API takes it.
    pub(super) fn query(&self) -> [(&str, &str); 2] {
        [(self.by, &self.word), ("cursor", &self.cursor)]
    }

    /// Whether it is narrowed to this.
    pub(super) fn is_narrowed_to(&self, word: &str) -> bool {
        self.word == word
    }

    /// Whether it shows everything from the beginning.
    pub(super) fn is_whole(&self) -> bool {
        self.word.is_empty() && self.cursor.is_empty()
    }

    /// The query of the page that a cursor leads to.
    pub(super) fn next(&self, cursor: Option<String>) -> Option<String> {
        let cursor = cursor?;
        let mut query = form_urlencoded::Serializer::new(String::new());
        Some(query.append_pair("cursor", &cursor).append_pair(self.by, &self.word).finish())
    }
}

/// Where a page of a list begins; nothing at its beginning.
pub(super) fn cursor(read: &mut Read<'_>) -> String {
    read.text("cursor", LONGEST).unwrap_or_default().to_owned()
}
