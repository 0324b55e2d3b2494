//! Moments on pages.

use std::fmt;

use askama::filters::HtmlSafe;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::Deserialize;

/// A moment. `dashboard.js` rewrites it in its reader's own time; without script it is in UTC, and says so.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(transparent)]
pub(super) struct Moment(DateTime<Utc>);

impl Moment {
    /// Of Unix milliseconds.
    pub(super) fn of_milliseconds(milliseconds: i64) -> Self {
        Self(DateTime::from_timestamp_millis(milliseconds).unwrap_or_default())
    }
}

impl From<DateTime<Utc>> for Moment {
    fn from(time: DateTime<Utc>) -> Self {
        Self(time)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let machine = self.0.to_rfc3339_opts(SecondsFormat::Millis, true);
        write!(f, r#"<time datetime="{machine}">{}</time>"#, self.0.format("%Y-%m-%d %H:%M:%S UTC"))
    }
}

/// It is made of digits and markup of ours.
impl HtmlSafe for Moment {}
