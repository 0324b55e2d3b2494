//! The end of an account: its keys and tokens die at once, its instances are erased one after the other.
//!
//! Its webhooks and the key of their secrets go with it. The row is only marked, for the audit log names it. Whatever instances remain are the work of
//! [`Erasure`](crate::api::erasure::Erasure), which rereads what is left to do and so survives any restart.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::OperatorCall;
use crate::api::respond;
use crate::domain::account::AccountId;
use crate::store::audit::Action;
use crate::store::webhook::endpoint;
use crate::store::{StoreError, account, instance};

#[derive(Serialize)]
struct Deleted {
    account_id: AccountId,
    #[serde(rename = "deleted")]
    marked: bool,
    /// How many are still to be erased.
    instances_left: u64,
}

/// Deletes an account that has no instances; with `force`, also one that has. Asked again, it tells how far that is.
#[tracing::instrument(skip_all)]
pub async fn delete(call: OperatorCall) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let force = read.boolean("force").unwrap_or(false);
    read.finish()?;
    let id = call.account()?;
    let mut tx = call.state.store.begin().await?;
    // Whoever creates an instance locks the account too: none is added after this count.
    let already = account::lock_to_delete(&mut tx, id).await?.ok_or(ApiError::AccountNotFound)?;
    let count = instance::count(&mut tx, id).await?;
    if !already {
        if count > 0 && !force {
            return Err(ApiError::AccountHasInstances { count });
        }
        endpoint::delete_of_account(&mut tx, id).await?;
        call.state.vault.shred_account(&mut tx, id).await?;
        account::mark_deleted(&mut tx, id, call.state.clock.now()).await?;
        call.record(&mut tx, Action::AccountDeleted, id, json!({ "force": force, "instances": count })).await?;
        tx.commit().await.map_err(StoreError::while_("keep the end of an account"))?;
        call.state.tokens.account_changed(id);
    }
    Ok(respond::json(StatusCode::OK, &Deleted { account_id: id, marked: true, instances_left: count }))
}
