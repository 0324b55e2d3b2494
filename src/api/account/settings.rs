//! `/v2/account`: who the account is, what it has chosen and may have, and how much of that it uses.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::EveryRoute;
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::store::audit::Action;
use crate::store::{StoreError, account};

use super::document::{Changes, Document};

/// Tells of the account.
///
/// Its settings, what it may have, and how much of that it uses. Needs the account's key.
#[utoipa::path(
    get, path = "/v2/account", tag = "Account", operation_id = "show_account",
    responses((status = 200, description = "The account.", body = Document), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn show(call: Call) -> Result<HttpResponse, ApiError> {
    call.account_key()?;
    let mut conn = call.state.store.acquire().await?;
    let document = Document::of(&mut conn, call.caller.account_id).await?.ok_or(ApiError::Unauthorized)?;
    Ok(respond::json(StatusCode::OK, &document))
}

/// What the caller's account is called, for a page of it.
pub async fn name(call: &Call) -> Result<String, ApiError> {
    call.account_key()?;
    let mut conn = call.state.store.acquire().await?;
    account::name(&mut conn, call.caller.account_id).await?.ok_or(ApiError::Unauthorized)
}

/// Changes the account's name and settings.
///
/// What is not given stays as it is. Needs the account's key.
#[utoipa::path(
    post, path = "/v2/account", tag = "Account", operation_id = "change_account",
    params(
        ("name" = Option<String>, Query, description = "What people call it.", max_length = 100,
            example = "Example Shops"),
        ("require_header_auth" = Option<bool>, Query, example = false,
            description = "Refuse tokens in queries and bodies, where proxies may log them."),
        ("allow_get_control" = Option<bool>, Query, example = false,
            description = "Let start, stop and restart answer to GET."),
        ("allowed_origins" = Option<Vec<String>>, Query, max_items = 50, example = json!(["https://app.example.com"]),
            description = "Web origins whose pages may call, as a list or separated by commas; an empty list is none."),
    ),
    responses((status = 200, description = "The account after the change.", body = Document), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn change(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let changes = Changes::of_account(&mut read);
    read.finish()?;
    call.account_key()?;
    let id = call.caller.account_id;
    let mut tx = call.state.store.begin().await?;
    let account = account::lock(&mut tx, id).await?.ok_or(ApiError::Unauthorized)?;
    if !changes.names().is_empty() {
        changes.write(&mut tx, account).await?;
        let detail = json!({ "changed": changes.names() });
        call.record(&mut tx, Action::AccountChanged, None::<InstanceId>, detail).await?;
    }
    let document = Document::of(&mut tx, id).await?.ok_or(ApiError::Unauthorized)?;
    tx.commit().await.map_err(StoreError::while_("keep an account's settings"))?;
    call.state.tokens.account_changed(id);
    Ok(respond::json(StatusCode::OK, &document))
}
