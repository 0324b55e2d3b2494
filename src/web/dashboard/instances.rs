//! `/dashboard`: the account's instances.

use actix_web::HttpResponse;
use askama::Template;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::session;
use crate::domain::session::Status;

use super::chrome::{Chrome, Place};
use super::documents::{Info, Instances};
use super::told::{drawn, shown, told};

#[derive(Template)]
#[template(path = "dashboard/instances.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    instances: Vec<Info>,
    statuses: Vec<&'static str>,
    wanted: Option<String>,
    is_filtered: bool,
    /// The query of the next page.
    next: Option<String>,
}

impl Page {
    /// Whether the list is narrowed to this.
    fn is_wanted(&self, word: &str) -> bool {
        self.wanted.as_deref() == Some(word)
    }
}

/// Lists them; `status` and `cursor` as the API takes them.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(listed(call).await)
}

async fn listed(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Instances).await?;
    let mut read = call.read();
    let wanted = read.status("status").map(|status| status.to_string());
    let cursor = read.text("cursor", 100).map(ToOwned::to_owned);
    read.finish()?;
    let query = [("status", wanted.as_deref().unwrap_or_default()), ("cursor", cursor.as_deref().unwrap_or_default())];
    let found: Instances = told(session::list::list(call.asking(&query)?).await).await?;
    let next = found.next_cursor.map(|cursor| {
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("cursor", &cursor).append_pair("status", wanted.as_deref().unwrap_or_default());
        query.finish()
    });
    drawn(&Page {
        chrome,
        instances: found.sessions,
        statuses: Status::ALL.iter().map(|status| status.as_str()).collect(),
        is_filtered: wanted.is_some() || cursor.is_some(),
        wanted,
        next,
    })
}
