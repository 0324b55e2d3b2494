//! `/v2/session/token`: an instance's tokens. Only the account's key reaches them: a token never mints tokens.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Target};
use crate::api::keyring::{self, Document, Wish};
use crate::api::respond;
use crate::domain::token::Scope;
use crate::store::token::Holder;

#[derive(Serialize)]
struct Tokens {
    tokens: Vec<Document>,
}

/// Lists the live tokens, and those that ended within 30 days.
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn list(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let holder = holder(&call, target).await?;
    Ok(respond::json(StatusCode::OK, &Tokens { tokens: keyring::list(&call, holder).await? }))
}

/// Mints: `scopes`, `name`, `expires_in` or `expires_at`.
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn mint(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let mut wish = Wish::read(&mut read, call.state.clock.now());
    wish.scopes = read.scopes("scopes").unwrap_or_else(|| Scope::ALL.to_vec());
    read.finish()?;
    let holder = holder(&call, target).await?;
    keyring::mint(&call, holder, wish).await
}

/// Revokes `token_id`.
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn revoke(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let id = keyring::token_id(&mut read);
    read.finish()?;
    let holder = holder(&call, target).await?;
    keyring::revoke(&call, holder, id.ok_or(ApiError::TokenNotFound)?).await
}

/// Replaces `token_id`, which goes on for `overlap` seconds.
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn rotate(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let id = keyring::token_id(&mut read);
    let overlap = keyring::overlap(&mut read);
    read.finish()?;
    let holder = holder(&call, target).await?;
    keyring::rotate(&call, holder, id.ok_or(ApiError::TokenNotFound)?, overlap).await
}

/// Whichever node the client talks to does this itself: tokens are the database's, not the instance's owner's.
async fn holder(call: &Call, target: Option<Target>) -> Result<Holder, ApiError> {
    let instance = call.owned(target).await?;
    call.account_key()?;
    Ok(Holder::Instance(call.caller.account_id, instance))
}
