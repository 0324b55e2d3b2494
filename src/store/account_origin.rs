//! `account_origin`: the web origins that accounts list.

use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::origin::Origin;

use super::StoreError;

/// What an account lists, in the order of the alphabet.
pub async fn of(conn: &mut PgConnection, account: AccountId) -> Result<Vec<Origin>, StoreError> {
    sqlx::query_scalar!("SELECT origin FROM account_origin WHERE account_id = $1 ORDER BY origin", account.0)
        .fetch_all(conn)
        .await
        .map(|texts| readable(&texts))
        .map_err(StoreError::while_("read an account's origins"))
}

/// What any account that is not deleted lists.
pub async fn all(conn: &mut PgConnection) -> Result<Vec<Origin>, StoreError> {
    sqlx::query_scalar!(
        "SELECT DISTINCT origin FROM account_origin
         JOIN account ON account.id = account_origin.account_id WHERE account.deleted_at IS NULL"
    )
    .fetch_all(conn)
    .await
    .map(|texts| readable(&texts))
    .map_err(StoreError::while_("read all origins"))
}

/// Replaces what an account lists. Call it in a transaction.
pub async fn replace(conn: &mut PgConnection, account: AccountId, origins: &[Origin]) -> Result<(), StoreError> {
    let action = "write an account's origins";
    let texts: Vec<String> = origins.iter().map(Origin::to_string).collect();
    sqlx::query!("DELETE FROM account_origin WHERE account_id = $1", account.0)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
    sqlx::query!(
        "INSERT INTO account_origin (account_id, origin) SELECT $1, origin FROM unnest($2::text[]) AS origin
         ON CONFLICT DO NOTHING",
        account.0,
        &texts,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_(action))
}

/// Only origins were ever written; a spelling that a later release took is passed over.
fn readable(texts: &[String]) -> Vec<Origin> {
    texts.iter().filter_map(|text| Origin::parse(text).ok()).collect()
}
