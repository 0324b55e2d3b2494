//! `/dashboard/webhooks` and one of them: where the account is told of events, and how that went.

use actix_web::HttpResponse;
use askama::Template;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::webhooks;

use super::chrome::{Chrome, Place};
use super::documents::{Deliveries, Delivery, Webhook, Webhooks};
use super::listing::cursor;
use super::told::{drawn, shown, told};

#[derive(Template)]
#[template(path = "dashboard/webhooks.html", config = ".askama.toml")]
struct All {
    chrome: Chrome,
    webhooks: Vec<Webhook>,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "dashboard/webhook.html", config = ".askama.toml")]
struct One {
    chrome: Chrome,
    hook: Webhook,
    deliveries: Vec<Delivery>,
    next: Option<String>,
}

/// Lists them.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(listed(call).await)
}

/// Shows one, with its log of deliveries.
pub(super) async fn one(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(described(call).await)
}

async fn listed(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Webhooks).await?;
    let cursor = asked_cursor(&call)?;
    let found: Webhooks = told(webhooks::list::list(call.asking(&[("cursor", &cursor)])?).await).await?;
    drawn(&All { chrome, webhooks: found.webhooks, next: found.next_cursor })
}

async fn described(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Webhooks).await?;
    let cursor = asked_cursor(&call)?;
    let hook: Webhook = told(webhooks::show::show(call.asking(&[])?).await).await?;
    let query = [("limit", "50"), ("cursor", cursor.as_str())];
    let log: Deliveries = told(webhooks::deliveries::deliveries(call.asking(&query)?).await).await?;
    drawn(&One { chrome, hook, deliveries: log.deliveries, next: log.next_cursor })
}

fn asked_cursor(call: &Call) -> Result<String, ApiError> {
    let mut read = call.read();
    let cursor = cursor(&mut read);
    read.finish()?;
    Ok(cursor)
}
