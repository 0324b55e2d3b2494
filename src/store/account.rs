//! `account`: the tenants.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::account::AccountId;

use super::StoreError;

/// A tenant and what it has chosen or been granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// What its owner calls it.
    pub name: String,
    /// Tokens in queries and bodies are refused.
    pub require_header_auth: bool,
    /// start, stop and restart may be asked by GET.
    pub allow_get_control: bool,
    /// Instances it may have; `None` for any number.
    pub max_instances: Option<u32>,
}

/// Adds an account.
pub async fn insert(conn: &mut PgConnection, account: &Account, now: DateTime<Utc>) -> Result<(), StoreError> {
    let max_instances = account.max_instances.map(|max| i32::try_from(max).unwrap_or(i32::MAX));
    sqlx::query!(
        r#"INSERT INTO account (id, name, require_header_auth, allow_get_control, max_instances, created_at)
           VALUES ($1, $2, $3, $4, $5, $6)"#,
        account.id.0,
        account.name,
        account.require_header_auth,
        account.allow_get_control,
        max_instances,
        now,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("add the account"))
}

/// Reads an account and locks it until the transaction ends, so that its quota is counted by one at a time.
pub async fn lock(conn: &mut PgConnection, id: AccountId) -> Result<Option<Account>, StoreError> {
    sqlx::query!(
        r#"SELECT name, require_header_auth, allow_get_control, max_instances
           FROM account WHERE id = $1 AND deleted_at IS NULL FOR NO KEY UPDATE"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
    .map(|row| {
        row.map(|row| Account {
            id,
            name: row.name,
            require_header_auth: row.require_header_auth,
            allow_get_control: row.allow_get_control,
            max_instances: row.max_instances.map(i32::unsigned_abs),
        })
    })
    .map_err(StoreError::while_("lock the account"))
}
/// Locks the table until the transaction ends if no account was ever made; `false` if one was. Of two first starts at
/// once, the second waits here and then finds the account of the first.
pub async fn lock_if_none(conn: &mut PgConnection) -> Result<bool, StoreError> {
    let action = "look for a first account";
    sqlx::query!("LOCK TABLE account IN SHARE ROW EXCLUSIVE MODE")
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
    sqlx::query_scalar!(r#"SELECT NOT EXISTS (SELECT FROM account) AS "none!""#)
        .fetch_one(conn)
        .await
        .map_err(StoreError::while_(action))
}
