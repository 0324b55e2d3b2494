//! `/dashboard`: the account's instances.

use actix_web::HttpResponse;
use askama::Template;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::api::session;
use crate::domain::session::Status;

use super::chrome::{Chrome, Place};
use super::documents::{Info, Instances};
use super::listing::Listing;
use super::told::{drawn, shown, told};

#[derive(Template)]
#[template(path = "dashboard/instances.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    instances: Vec<Info>,
    statuses: Vec<&'static str>,
    listing: Listing,
    /// The query of the next page.
    next: Option<String>,
}

/// Lists them; `status` and `cursor` as the API takes them.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(listed(call).await)
}

async fn listed(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Instances).await?;
    let status = |read: &mut Read<'_>| read.status("status").map(|status| status.to_string());
    let listing = Listing::narrowed_by(&call, "status", status)?;
    let found: Instances = told(session::list::list(call.asking(&listing.query())?).await).await?;
    let next = listing.next(found.next_cursor);
    drawn(&Page {
        chrome,
        instances: found.sessions,
        statuses: Status::ALL.iter().map(|status| status.as_str()).collect(),
        listing,
        next,
    })
}
