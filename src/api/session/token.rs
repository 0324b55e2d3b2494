//! `/v2/session/token`: an instance's tokens. Only the account's key reaches them: a token never mints tokens.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Target};
use crate::api::keyring::{self, Document, Minted, Revoked, Wish};
use crate::api::openapi::answers::{Conflicting, EveryRoute, Missing};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::token::Holder;

/// An instance's tokens, newest first.
#[derive(Serialize, ToSchema)]
struct Tokens {
    tokens: Vec<Document>,
}

/// Lists an instance's tokens.
///
/// The live ones and those that ended within 30 days, each by its last four characters. Needs the account's key.
#[utoipa::path(
    get, path = "/v2/session/token", tag = "Tokens", operation_id = "list_tokens",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "The tokens.", body = Tokens), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn list(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let holder = holder(&call, target).await?;
    Ok(respond::json(StatusCode::OK, &Tokens { tokens: keyring::list(&call, holder).await? }))
}

/// Mints a token of an instance.
///
/// The answer is the only one that shows it. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/session/token", tag = "Tokens", operation_id = "mint_token",
    params(
        ("instance_id" = InstanceId, Query),
        ("scopes" = Option<Vec<Scope>>, Query, min_items = 1, example = json!(["read", "send"]),
            description = "What it may do, as a list or separated by commas; everything unless given."),
        ("name" = Option<String>, Query, description = "What people call it.", max_length = 100, example = "till 3"),
        ("expires_in" = Option<u32>, Query, description = "Seconds until it ends; never unless given.",
            minimum = 1, maximum = 315_360_000, example = 86_400),
        ("expires_at" = Option<DateTime<Utc>>, Query, description = "When it ends, instead of `expires_in`."),
    ),
    responses((status = 201, description = "The new token.", body = Minted), EveryRoute, Missing),
)]
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

/// Revokes a token of an instance.
///
/// It ends on every node within 5 seconds. Asked again, the answer is the same. Needs the account's key.
#[utoipa::path(
    delete, path = "/v2/session/token", tag = "Tokens", operation_id = "revoke_token",
    params(
        ("instance_id" = InstanceId, Query),
        ("token_id" = Uuid, Query, description = "Which.", example = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"),
    ),
    responses((status = 200, description = "It is revoked.", body = Revoked), EveryRoute, Missing),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn revoke(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let id = keyring::token_id(&mut read);
    read.finish()?;
    let holder = holder(&call, target).await?;
    keyring::revoke(&call, holder, id.ok_or(ApiError::TokenNotFound)?).await
}

/// Replaces a token of an instance by a new one.
///
/// The new one has the same name, scopes and end; the old one goes on for a while. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/session/token/rotate", tag = "Tokens", operation_id = "rotate_token",
    params(
        ("instance_id" = InstanceId, Query),
        ("token_id" = Uuid, Query, description = "Which.", example = "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b"),
        ("overlap" = Option<u32>, Query, minimum = 0, maximum = 2_592_000, example = 3_600,
            description = "Seconds for which the old one goes on; a day unless given, 0 if it leaked."),
    ),
    responses((status = 201, description = "The new token.", body = Minted), EveryRoute, Missing, Conflicting),
)]
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
