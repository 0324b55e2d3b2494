//! `/v2/account/keys`: an account's own keys. One that does not expire is always left.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::keyring::{self, Document, Wish};
use crate::api::respond;
use crate::store::token::Holder;

#[derive(Serialize)]
struct Keys {
    keys: Vec<Document>,
}

/// Lists the live keys, and those that ended within 30 days.
#[tracing::instrument(skip_all)]
pub async fn list(call: Call) -> Result<HttpResponse, ApiError> {
    let holder = holder(&call)?;
    Ok(respond::json(StatusCode::OK, &Keys { keys: keyring::list(&call, holder).await? }))
}

/// Mints: `name`, `expires_in` or `expires_at`.
#[tracing::instrument(skip_all)]
pub async fn mint(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let wish = Wish::read(&mut read, call.state.clock.now());
    read.finish()?;
    keyring::mint(&call, holder(&call)?, wish).await
}

/// Revokes `token_id`.
#[tracing::instrument(skip_all)]
pub async fn revoke(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let id = keyring::token_id(&mut read);
    read.finish()?;
    keyring::revoke(&call, holder(&call)?, id.ok_or(ApiError::TokenNotFound)?).await
}

/// Replaces `token_id`, which may be the key of this call and goes on for `overlap` seconds.
#[tracing::instrument(skip_all)]
pub async fn rotate(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let id = keyring::token_id(&mut read);
    let overlap = keyring::overlap(&mut read);
    read.finish()?;
    keyring::rotate(&call, holder(&call)?, id.ok_or(ApiError::TokenNotFound)?, overlap).await
}

fn holder(call: &Call) -> Result<Holder, ApiError> {
    call.account_key()?;
    Ok(Holder::Account(call.caller.account_id))
}
