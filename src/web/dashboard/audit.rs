//! `/dashboard/audit`: who did what.

use actix_web::HttpResponse;
use askama::Template;

use crate::api::audit;
use crate::api::error::ApiError;
use crate::api::extract::Call;

use super::chrome::{Chrome, Place};
use super::documents::{Audit, Line};
use super::told::{drawn, shown, told};

#[derive(Template)]
#[template(path = "dashboard/audit.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    entries: Vec<Line>,
    actions: Vec<&'static str>,
    wanted: Option<String>,
    next: Option<String>,
}

impl Page {
    /// Whether the list is narrowed to this.
    fn is_wanted(&self, word: &str) -> bool {
        self.wanted.as_deref() == Some(word)
    }
}

/// Lists it; `action` and `cursor` as the API takes them.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(listed(call).await)
}

async fn listed(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Audit).await?;
    let mut read = call.read();
    let wanted = read.text("action", 100).map(ToOwned::to_owned);
    let cursor = read.text("cursor", 100).unwrap_or_default().to_owned();
    read.finish()?;
    let action = wanted.as_deref().unwrap_or_default();
    let query = [("limit", "50"), ("action", action), ("cursor", cursor.as_str())];
    let found: Audit = told(audit::page(call.asking(&query)?).await).await?;
    let next = found.next_cursor.map(|cursor| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("cursor", &cursor).append_pair("action", action).finish()
    });
    drawn(&Page { chrome, entries: found.entries, actions: audit::words(), wanted, next })
}
