//! `/dashboard/audit`: who did what.

use actix_web::HttpResponse;
use askama::Template;

use crate::api::audit;
use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};

use super::chrome::{Chrome, Place};
use super::documents::{Audit, Line};
use super::listing::{LONGEST, Listing};
use super::told::{drawn, shown, told};

#[derive(Template)]
#[template(path = "dashboard/audit.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    entries: Vec<Line>,
    actions: Vec<&'static str>,
    listing: Listing,
    /// The query of the next page.
    next: Option<String>,
}

/// Lists it; `action` and `cursor` as the API takes them.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(listed(call).await)
}

async fn listed(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Audit).await?;
    let action = |read: &mut Read<'_>| read.text("action", LONGEST).map(ToOwned::to_owned);
    let listing = Listing::narrowed_by(&call, "action", action)?;
    let [narrowed, from] = listing.query();
    let found: Audit = told(audit::page(call.asking(&[("limit", "50"), narrowed, from])?).await).await?;
    let next = listing.next(found.next_cursor);
    drawn(&Page { chrome, entries: found.entries, actions: audit::words(), listing, next })
}
