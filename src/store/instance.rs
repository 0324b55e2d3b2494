//! `instance`: the devices of an account, and the ids that are never issued again.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::session::Status;

use super::StoreError;

/// An instance as its owner described it.
#[derive(Debug, Clone, PartialEq)]
pub struct Instance {
    /// Its id.
    pub id: InstanceId,
    /// What its owner calls it.
    pub name: String,
    /// The owner's own notes: a JSON object.
    pub metadata: Value,
    /// Its settings: a JSON object.
    pub config: Value,
    /// When it was created.
    pub created_at: DateTime<Utc>,
}

/// Where a page of instances ends; the next one begins after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// When the last instance of the page was created.
    pub created_at: DateTime<Utc>,
    /// Its id.
    pub id: InstanceId,
}

/// Adds an instance; `false` if its id is taken or was ever taken, and then another must be drawn.
pub async fn insert(conn: &mut PgConnection, account: AccountId, instance: &Instance) -> Result<bool, StoreError> {
    sqlx::query!(
        r#"INSERT INTO instance (id, account_id, name, metadata, config, created_at)
           SELECT $1, $2, $3, $4, $5, $6 WHERE NOT EXISTS (SELECT 1 FROM retired_instance WHERE id = $1)
           ON CONFLICT (id) DO NOTHING"#,
        instance.id.as_str(),
        account.0,
        instance.name,
        instance.metadata,
        instance.config,
        instance.created_at,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("add the instance"))
}

/// How many instances an account has.
pub async fn count(conn: &mut PgConnection, account: AccountId) -> Result<u64, StoreError> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM instance WHERE account_id = $1"#, account.0)
        .fetch_one(conn)
        .await
        .map(i64::unsigned_abs)
        .map_err(StoreError::while_("count the instances"))
}

/// Finds an instance of an account. Another account's is as absent as one that never was.
pub async fn find(conn: &mut PgConnection, account: AccountId, id: InstanceId) -> Result<Option<Instance>, StoreError> {
    sqlx::query!(
        "SELECT name, metadata, config, created_at FROM instance WHERE id = $2 AND account_id = $1",
        account.0,
        id.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map(|row| {
        row.map(|row| Instance {
            id,
            name: row.name,
            metadata: row.metadata,
            config: row.config,
            created_at: row.created_at,
        })
    })
    .map_err(StoreError::while_("find the instance"))
}

/// A page of an account's instances, oldest first: those after the cursor, and with one status if one is named.
pub async fn page(
    conn: &mut PgConnection,
    account: AccountId,
    after: Option<Cursor>,
    status: Option<Status>,
    limit: u32,
) -> Result<Vec<Instance>, StoreError> {
    let action = "list the instances";
    let rows = sqlx::query!(
        r#"SELECT i.id, i.name, i.metadata, i.config, i.created_at
           FROM instance i JOIN session s ON s.instance_id = i.id
           WHERE i.account_id = $1
             AND ($2::timestamptz IS NULL OR (i.created_at, i.id) > ($2, $3))
             AND ($4::text IS NULL OR s.status = $4)
           ORDER BY i.created_at, i.id LIMIT $5"#,
        account.0,
        after.map(|cursor| cursor.created_at),
        after.as_ref().map(|cursor| cursor.id.as_str()),
        status.map(Status::as_str),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_(action))?;
    rows.into_iter()
        .map(|row| {
            Ok(Instance {
                id: InstanceId::parse(&row.id).map_err(|_| StoreError::unreadable(action, "id"))?,
                name: row.name,
                metadata: row.metadata,
                config: row.config,
                created_at: row.created_at,
            })
        })
        .collect()
}
