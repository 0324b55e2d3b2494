//! `link`, and the link tokens behind it: under which address a person links a phone.
//!
//! An instance has one open link. When another takes its place, its token lives on for a while, for the pages that are
//! open already; a new page asks [`opens`] first. The write that makes the instance linked uses up every link of it and
//! ends their tokens ten minutes later (a trigger, migration 0006).

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;

use super::StoreError;

/// How long the token of a link that was replaced serves the pages that were open.
pub const AFTER_REPLACEMENT: TimeDelta = TimeDelta::minutes(10);

/// Other nodes learn of a revocation from its row, which therefore outlives the token a little.
const ROW_OUTLIVES_TOKEN: TimeDelta = TimeDelta::hours(1);

/// A new link.
#[derive(Debug, Clone)]
pub struct Link {
    /// Its token.
    pub token_id: Uuid,
    /// Which instance it links.
    pub instance_id: InstanceId,
    /// Where the page leads afterwards.
    pub return_url: Option<String>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Locks the session until the transaction ends, so that links are made one at a time and none while the instance
/// becomes linked: whether it is, or `None` if there is no such instance of the account.
pub async fn lock(
    conn: &mut PgConnection,
    account: AccountId,
    instance: InstanceId,
) -> Result<Option<bool>, StoreError> {
    // The instance first, in the order in which an erasure locks.
    let found = sqlx::query!(
        "SELECT 1 AS found FROM instance WHERE id = $2 AND account_id = $1 FOR KEY SHARE",
        account.0,
        instance.as_str(),
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(StoreError::while_("lock the instance"))?;
    if found.is_none() {
        return Ok(None);
    }
    sqlx::query_scalar!("SELECT linked FROM session WHERE instance_id = $1 FOR NO KEY UPDATE", instance.as_str())
        .fetch_optional(conn)
        .await
        .map_err(StoreError::while_("lock the session"))
}

/// Adds a link whose token was just added. The former one must have been replaced.
pub async fn insert(conn: &mut PgConnection, link: &Link) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO link (token_id, instance_id, return_url, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        link.token_id,
        link.instance_id.as_str(),
        link.return_url,
        link.created_at,
        link.expires_at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("add the link"))
}

/// The open, unused link of an instance: its token and when it ends.
pub async fn current(
    conn: &mut PgConnection,
    instance: InstanceId,
    now: DateTime<Utc>,
) -> Result<Option<(Uuid, DateTime<Utc>)>, StoreError> {
    sqlx::query!(
        "SELECT token_id, expires_at FROM link
         WHERE instance_id = $1 AND closed_at IS NULL AND linked_at IS NULL AND expires_at > $2",
        instance.as_str(),
        now,
    )
    .fetch_optional(conn)
    .await
    .map(|row| row.map(|row| (row.token_id, row.expires_at)))
    .map_err(StoreError::while_("read the link"))
}

/// Closes the open link, if there is one, and gives its token [`AFTER_REPLACEMENT`] at most.
pub async fn replace(conn: &mut PgConnection, instance: InstanceId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let action = "replace the link";
    let closed = sqlx::query_scalar!(
        "UPDATE link SET closed_at = $2 WHERE instance_id = $1 AND closed_at IS NULL RETURNING token_id",
        instance.as_str(),
        now,
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::while_(action))?;
    sqlx::query!("DELETE FROM kept_secret WHERE token_id = ANY($1)", &closed)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
    sqlx::query!(
        "UPDATE api_token SET expires_at = LEAST(expires_at, $2), changed_at = clock_timestamp() WHERE id = ANY($1)",
        &closed,
        now + AFTER_REPLACEMENT,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_(action))
}

/// Ends every link of an instance at once, those that were replaced too: the tokens that are dead now.
pub async fn end(conn: &mut PgConnection, instance: InstanceId, now: DateTime<Utc>) -> Result<Vec<Uuid>, StoreError> {
    let action = "end the link";
    sqlx::query!(
        "UPDATE link SET closed_at = $2 WHERE instance_id = $1 AND closed_at IS NULL",
        instance.as_str(),
        now,
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::while_(action))?;
    sqlx::query_scalar!(
        "UPDATE api_token SET revoked_at = $2, changed_at = clock_timestamp()
         WHERE instance_id = $1 AND kind = 'link' AND revoked_at IS NULL AND expires_at > $2 RETURNING id",
        instance.as_str(),
        now,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_(action))
}

/// Whether a link's token may open a new page.
pub async fn opens(conn: &mut PgConnection, instance: InstanceId, token_id: Uuid) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM link WHERE instance_id = $1 AND token_id = $2 AND closed_at IS NULL) AS "open!""#,
        instance.as_str(),
        token_id,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_("read whether a link is open"))
}

/// How a link stands, for its page.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Where the page leads afterwards.
    pub return_url: Option<String>,
    /// No new page opens under it.
    pub is_closed: bool,
    /// It has linked the instance.
    pub is_spent: bool,
}

/// How the link of a token stands.
pub async fn standing(
    conn: &mut PgConnection,
    instance: InstanceId,
    token_id: Uuid,
) -> Result<Option<Standing>, StoreError> {
    sqlx::query_as!(
        Standing,
        r#"SELECT return_url, closed_at IS NOT NULL AS "is_closed!", linked_at IS NOT NULL AS "is_spent!"
           FROM link WHERE instance_id = $1 AND token_id = $2"#,
        instance.as_str(),
        token_id,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("read how a link stands"))
}

/// Whether a link has linked the instance, and tells only that.
pub async fn is_used_up(conn: &mut PgConnection, instance: InstanceId, token_id: Uuid) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM link WHERE instance_id = $1 AND token_id = $2 AND linked_at IS NOT NULL
           ) AS "used_up!""#,
        instance.as_str(),
        token_id,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_("read whether a link is used up"))
}

/// Deletes link tokens that ended a while ago, with their links; how many there were.
pub async fn forget_expired(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM api_token WHERE kind = 'link' AND expires_at <= $1", now - ROW_OUTLIVES_TOKEN)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("forget links"))
}
