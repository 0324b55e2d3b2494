//! A new account and its first key.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::SubsecRound;
use serde::Serialize;
use serde_json::json;

use crate::api::account::document::{Changes, Document};
use crate::api::error::ApiError;
use crate::api::extract::OperatorCall;
use crate::api::keyring::{self, Minted, Wish};
use crate::api::respond;
use crate::domain::account::AccountId;
use crate::store::StoreError;
use crate::store::account::{self, Account};
use crate::store::audit::Action;
use crate::store::token::Holder;

/// The account with its first key, in the only answer that shows it.
#[derive(Serialize)]
struct Created {
    #[serde(flatten)]
    account: Document,
    key: Minted,
}

/// Creates: `name`, which must be given, `max_instances`, and the account's settings.
#[tracing::instrument(skip_all)]
pub async fn create(call: OperatorCall) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    read.require("name");
    let changes = Changes::of_operator(&mut read);
    read.finish()?;
    let id = AccountId(call.state.uuid());
    let mut account =
        Account { id, name: String::new(), require_header_auth: false, allow_get_control: false, max_instances: None };
    changes.apply(&mut account);
    let mut tx = call.state.store.begin().await?;
    account::insert(&mut tx, &account, call.state.clock.now().trunc_subsecs(6)).await?;
    changes.write_origins(&mut tx, id).await?;
    let (token, key) = keyring::add(&call.state, &mut tx, Holder::Account(id), Wish::default()).await?;
    call.record(&mut tx, Action::AccountCreated, id, json!({ "key": keyring::described(key.document()) })).await?;
    let account = Document::of(&mut tx, id).await?.ok_or(ApiError::AccountNotFound)?;
    tx.commit().await.map_err(StoreError::while_("keep a new account"))?;
    call.state.tokens.admit(&token);
    Ok(respond::json(StatusCode::CREATED, &Created { account, key }))
}
