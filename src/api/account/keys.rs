//! `/v2/account/keys`: an account's own keys. One that does not expire is always left.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::keyring::{self, Document, Minted, Revoked, Wish};
use crate::api::openapi::answers::{Conflicting, EveryRoute, Missing};
use crate::api::respond;
use crate::store::token::Holder;

/// An account's keys, newest first.
#[derive(Serialize, ToSchema)]
struct Keys {
    keys: Vec<Document>,
}

/// Lists the account's keys.
///
/// The live ones and those that ended within 30 days, each by its last four characters.
#[utoipa::path(
    get, path = "/v2/account/keys", tag = "Account", operation_id = "list_keys",
    responses((status = 200, description = "The keys.", body = Keys), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn list(call: Call) -> Result<HttpResponse, ApiError> {
    let holder = holder(&call)?;
    Ok(respond::json(StatusCode::OK, &Keys { keys: keyring::list(&call, holder).await? }))
}

/// Mints a key of the account.
///
/// The answer is the only one that shows it.
#[utoipa::path(
    post, path = "/v2/account/keys", tag = "Account", operation_id = "mint_key",
    params(
        ("name" = Option<String>, Query, description = "What people call it.", max_length = 100, example = "till 3"),
        ("expires_in" = Option<u32>, Query, description = "Seconds until it ends; never unless given.",
            minimum = 1, maximum = 315_360_000, example = 86_400),
        ("expires_at" = Option<DateTime<Utc>>, Query, description = "When it ends, instead of `expires_in`."),
    ),
    responses((status = 201, description = "The new key.", body = Minted), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn mint(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let wish = Wish::read(&mut read, call.state.clock.now());
    read.finish()?;
    keyring::mint(&call, holder(&call)?, wish).await
}

/// Revokes a key of the account.
///
/// It ends on every node within 5 seconds. 409 for the last key that does not expire: the account would be locked out.
#[utoipa::path(
    delete, path = "/v2/account/keys", tag = "Account", operation_id = "revoke_key",
    params(
        ("token_id" = Uuid, Query, description = "Which.", example = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"),
    ),
    responses((status = 200, description = "It is revoked.", body = Revoked), EveryRoute, Missing, Conflicting),
)]
#[tracing::instrument(skip_all)]
pub async fn revoke(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let id = keyring::token_id(&mut read);
    read.finish()?;
    keyring::revoke(&call, holder(&call)?, id.ok_or(ApiError::TokenNotFound)?).await
}

/// Replaces a key of the account by a new one.
///
/// It may be the key of this call. The new one has the same name and end; the old one goes on for a while.
#[utoipa::path(
    post, path = "/v2/account/keys/rotate", tag = "Account", operation_id = "rotate_key",
    params(
        ("token_id" = Uuid, Query, description = "Which.", example = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"),
        ("overlap" = Option<u32>, Query, minimum = 0, maximum = 2_592_000, example = 3_600,
            description = "Seconds for which the old one goes on; a day unless given, 0 if it leaked."),
    ),
    responses((status = 201, description = "The new key.", body = Minted), EveryRoute, Missing, Conflicting),
)]
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
