//! `account`: the tenants.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;

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

/// An account and how much it uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InUse {
    /// The account.
    pub account: Account,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// How many instances it has.
    pub instances: u64,
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

/// What an account is called; `None` if it was deleted.
pub async fn name(conn: &mut PgConnection, id: AccountId) -> Result<Option<String>, StoreError> {
    sqlx::query_scalar!("SELECT name FROM account WHERE id = $1 AND deleted_at IS NULL", id.0)
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_("read the account's name"))
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

/// Locks an account, deleted or not, until the transaction ends: whether it is deleted already.
pub async fn lock_to_delete(conn: &mut PgConnection, id: AccountId) -> Result<Option<bool>, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT deleted_at IS NOT NULL AS "deleted!" FROM account WHERE id = $1 FOR NO KEY UPDATE"#,
        id.0,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("lock the account to delete it"))
}

/// Marks an account as deleted: none of its tokens is live from then on. Its row stays, because the audit log names it.
pub async fn mark_deleted(conn: &mut PgConnection, id: AccountId, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE account SET deleted_at = $2, changed_at = clock_timestamp() WHERE id = $1 AND deleted_at IS NULL",
        id.0,
        now,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("delete the account"))
}

/// Writes what may be changed of an account.
pub async fn update(conn: &mut PgConnection, account: &Account) -> Result<(), StoreError> {
    let max_instances = account.max_instances.map(|max| i32::try_from(max).unwrap_or(i32::MAX));
    sqlx::query!(
        "UPDATE account SET name = $2, require_header_auth = $3, allow_get_control = $4, max_instances = $5,
             changed_at = clock_timestamp() WHERE id = $1",
        account.id.0,
        account.name,
        account.require_header_auth,
        account.allow_get_control,
        max_instances,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("change the account"))
}

/// Accounts that are not deleted, in the order of their ids: those after `after`, or, if one is named, that one alone.
pub async fn page(
    conn: &mut PgConnection,
    only: Option<AccountId>,
    after: Option<AccountId>,
    limit: u32,
) -> Result<Vec<InUse>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, name, require_header_auth, allow_get_control, max_instances, created_at,
                  (SELECT count(*) FROM instance WHERE account_id = account.id) AS "instances!"
           FROM account
           WHERE deleted_at IS NULL AND ($1::uuid IS NULL OR id = $1) AND ($2::uuid IS NULL OR id > $2)
           ORDER BY id LIMIT $3"#,
        only.map(|id| id.0),
        after.map(|id| id.0),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("list the accounts"))?;
    let found = rows.into_iter().map(|row| InUse {
        account: Account {
            id: AccountId(row.id),
            name: row.name,
            require_header_auth: row.require_header_auth,
            allow_get_control: row.allow_get_control,
            max_instances: row.max_instances.map(i32::unsigned_abs),
        },
        created_at: row.created_at,
        instances: row.instances.unsigned_abs(),
    });
    Ok(found.collect())
}

/// The accounts that changed within `window`, which the database's own clock measures, and when each last did.
pub async fn changed_within(
    conn: &mut PgConnection,
    window: TimeDelta,
) -> Result<Vec<(AccountId, DateTime<Utc>)>, StoreError> {
    sqlx::query!(
        "SELECT id, changed_at FROM account WHERE changed_at >= now() - make_interval(secs => $1)",
        window.as_seconds_f64(),
    )
    .fetch_all(conn)
    .await
    .map(|rows| rows.into_iter().map(|row| (AccountId(row.id), row.changed_at)).collect())
    .map_err(StoreError::while_("read the changed accounts"))
}

/// Some instances of deleted accounts: they wait to be erased.
pub async fn orphans(conn: &mut PgConnection, limit: u32) -> Result<Vec<InstanceId>, StoreError> {
    let action = "read the instances of deleted accounts";
    let ids = sqlx::query_scalar!(
        "SELECT i.id FROM account a JOIN instance i ON i.account_id = a.id WHERE a.deleted_at IS NOT NULL
         ORDER BY i.id LIMIT $1",
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_(action))?;
    ids.iter().map(|id| InstanceId::parse(id).map_err(|_| StoreError::unreadable(action, "id"))).collect()
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
