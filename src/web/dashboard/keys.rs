//! `/dashboard/keys`: what opens the account, and who is signed in.

use actix_web::HttpResponse;
use askama::Template;
use serde::Deserialize;
use uuid::Uuid;

use crate::api::account;
use crate::api::dashboard::session;
use crate::api::error::ApiError;
use crate::api::extract::Call;

use super::chrome::{Chrome, Place};
use super::documents::Token;
use super::moment::Moment;
use super::told::{drawn, shown, told};

#[derive(Template)]
#[template(path = "dashboard/keys.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    keys: Vec<Token>,
    sessions: Vec<SignedIn>,
}

struct SignedIn {
    id: Uuid,
    key_last4: String,
    agent: String,
    created_at: Moment,
    used_at: Moment,
    is_current: bool,
}

#[derive(Deserialize)]
struct Keys {
    keys: Vec<Token>,
}

/// Lists both.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(listed(call).await)
}

async fn listed(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let chrome = Chrome::around(&call, Place::Keys).await?;
    let found: Keys = told(account::keys::list(call.asking(&[])?).await).await?;
    let sessions = session::list(&call).await?.into_iter().map(|listed| SignedIn {
        id: listed.id,
        key_last4: listed.key_last4,
        agent: listed.agent,
        created_at: listed.created_at.into(),
        used_at: listed.used_at.into(),
        is_current: listed.is_current,
    });
    drawn(&Page { chrome, keys: found.keys, sessions: sessions.collect() })
}
