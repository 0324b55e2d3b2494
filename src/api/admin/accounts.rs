//! `/v2/admin/accounts`: listing accounts, looking at one, changing it, and a key for one that lost its own.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use uuid::Uuid;

use crate::api::account::document::{Changes, Document};
use crate::api::error::ApiError;
use crate::api::extract::OperatorCall;
use crate::api::keyring::{self, Wish};
use crate::api::respond;
use crate::domain::account::AccountId;
use crate::store::audit::Action;
use crate::store::token::Holder;
use crate::store::{StoreError, account};

const MAX_LIMIT: u32 = 100;

#[derive(Serialize)]
struct Page {
    accounts: Vec<Document>,
    /// For the parameter `cursor`; `null` on the last page.
    next_cursor: Option<Uuid>,
}

/// A page of accounts: `cursor`, `limit`.
#[tracing::instrument(skip_all)]
pub async fn list(call: OperatorCall) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let limit = read.integer("limit", 1..=MAX_LIMIT).unwrap_or(MAX_LIMIT);
    let cursor = read.uuid("cursor").map(AccountId);
    read.finish()?;
    let mut conn = call.state.store.acquire().await?;
    // One more than asked for tells whether another page follows.
    let mut found = account::page(&mut conn, None, cursor, limit + 1).await?;
    let is_last = found.len() <= limit as usize;
    found.truncate(limit as usize);
    let next_cursor = found.last().filter(|_| !is_last).map(|last| last.account.id.0);
    let mut accounts = Vec::with_capacity(found.len());
    for account in found {
        accounts.push(Document::with_origins(&mut conn, account).await?);
    }
    Ok(respond::json(StatusCode::OK, &Page { accounts, next_cursor }))
}

/// One account.
#[tracing::instrument(skip_all)]
pub async fn show(call: OperatorCall) -> Result<HttpResponse, ApiError> {
    let id = call.account()?;
    let mut conn = call.state.store.acquire().await?;
    let document = Document::of(&mut conn, id).await?.ok_or(ApiError::AccountNotFound)?;
    Ok(respond::json(StatusCode::OK, &document))
}

/// Sets what is given of `name`, `max_instances` and the account's own settings.
#[tracing::instrument(skip_all)]
pub async fn change(call: OperatorCall) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let changes = Changes::of_operator(&mut read);
    read.finish()?;
    let id = call.account()?;
    let mut tx = call.state.store.begin().await?;
    let account = account::lock(&mut tx, id).await?.ok_or(ApiError::AccountNotFound)?;
    if !changes.names().is_empty() {
        changes.write(&mut tx, account).await?;
        call.record(&mut tx, Action::AccountChanged, id, json!({ "changed": changes.names() })).await?;
    }
    let document = Document::of(&mut tx, id).await?.ok_or(ApiError::AccountNotFound)?;
    tx.commit().await.map_err(StoreError::while_("keep an account's changes"))?;
    call.state.tokens.account_changed(id);
    Ok(respond::json(StatusCode::OK, &document))
}

/// Mints a key of the account: `name`, `expires_in` or `expires_at`.
#[tracing::instrument(skip_all)]
pub async fn mint_key(call: OperatorCall) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let wish = Wish::read(&mut read, call.state.clock.now());
    read.finish()?;
    let id = call.account()?;
    let mut tx = call.state.store.begin().await?;
    account::lock(&mut tx, id).await?.ok_or(ApiError::AccountNotFound)?;
    let (token, minted) = keyring::add(&call.state, &mut tx, Holder::Account(id), wish).await?;
    call.record(&mut tx, Action::KeyMinted, id, keyring::described(minted.document())).await?;
    tx.commit().await.map_err(StoreError::while_("keep a new key"))?;
    call.state.tokens.admit(&token);
    Ok(respond::json(StatusCode::CREATED, &minted))
}
