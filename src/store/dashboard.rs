//! `dashboard_session` and `dashboard_pairing`: who is signed in to the dashboard, and what signs a phone in.
//!
//! Neither outlives the key it came from. That is asked with every look at it rather than written down when a key ends,
//! so that a key that is revoked, expires, or goes with its account ends its sessions on every node in that moment.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::token::TokenHash;

use super::StoreError;

/// Sessions a list holds at most.
const LISTED: i64 = 100;

/// A session that begins.
#[derive(Debug, Clone)]
pub struct NewSession<'a> {
    /// Its id.
    pub id: Uuid,
    /// Of its cookie.
    pub hash: TokenHash,
    /// Whose it is.
    pub account_id: AccountId,
    /// The key it came from.
    pub key_id: Uuid,
    /// What kind of browser it is in.
    pub agent: &'a str,
    /// When it begins.
    pub created_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// A session that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveSession {
    /// Its id.
    pub id: Uuid,
    /// The key it came from, to be looked up by.
    pub key: TokenHash,
    /// When it was last noted that it is used.
    pub used_at: DateTime<Utc>,
}

/// A session as its account sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedSession {
    /// Its id.
    pub id: Uuid,
    /// The last four characters of the key it came from.
    pub key_last4: String,
    /// What kind of browser it is in.
    pub agent: String,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used, within a minute.
    pub used_at: DateTime<Utc>,
    /// When it ends by itself.
    pub expires_at: DateTime<Utc>,
}

/// What a sign-in QR stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairing {
    /// Which account it signs in to.
    pub account_id: AccountId,
    /// What that account is called.
    pub account_name: String,
    /// The key whose holder made it.
    pub key_id: Uuid,
    /// The last four characters of that key.
    pub key_last4: String,
    /// When it ends.
    pub expires_at: DateTime<Utc>,
}

/// Begins a session.
pub async fn insert(conn: &mut PgConnection, session: &NewSession<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO dashboard_session (id, hash, account_id, key_id, agent, created_at, used_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6, $7)",
        session.id,
        &session.hash.0[..],
        session.account_id.0,
        session.key_id,
        session.agent,
        session.created_at,
        session.expires_at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("begin a session of the dashboard"))
}

/// Finds a session that has not ended, by its cookie.
pub async fn find_live(
    conn: &mut PgConnection,
    hash: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<LiveSession>, StoreError> {
    let action = "find the session of the dashboard";
    let row = sqlx::query!(
        "SELECT s.id, s.used_at, t.hash FROM dashboard_session s
         JOIN api_token t ON t.id = s.key_id JOIN account a ON a.id = s.account_id
         WHERE s.hash = $1 AND s.expires_at > $2 AND t.revoked_at IS NULL
           AND (t.expires_at IS NULL OR t.expires_at > $2) AND a.deleted_at IS NULL",
        &hash.0[..],
        now,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_(action))?;
    row.map(|row| {
        let key = row.hash.try_into().map_err(|_| StoreError::unreadable(action, "hash"))?;
        Ok(LiveSession { id: row.id, key: TokenHash(key), used_at: row.used_at })
    })
    .transpose()
}

/// Notes that a session is used.
pub async fn touch(conn: &mut PgConnection, id: Uuid, now: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!("UPDATE dashboard_session SET used_at = $2 WHERE id = $1 AND used_at < $2", id, now)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("note that a session of the dashboard is used"))
}

/// The sessions of an account that go on, the newest first.
pub async fn list(
    conn: &mut PgConnection,
    account: AccountId,
    now: DateTime<Utc>,
) -> Result<Vec<ListedSession>, StoreError> {
    sqlx::query_as!(
        ListedSession,
        "SELECT s.id, t.last4 AS key_last4, s.agent, s.created_at, s.used_at, s.expires_at
         FROM dashboard_session s JOIN api_token t ON t.id = s.key_id
         WHERE s.account_id = $1 AND s.expires_at > $2 AND t.revoked_at IS NULL
           AND (t.expires_at IS NULL OR t.expires_at > $2)
         ORDER BY s.created_at DESC, s.id LIMIT $3",
        account.0,
        now,
        LISTED,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("list the sessions of the dashboard"))
}

/// Ends a session of an account, or all of them where none is named; how many there were.
pub async fn end(conn: &mut PgConnection, account: AccountId, only: Option<Uuid>) -> Result<u64, StoreError> {
    sqlx::query!(
        "DELETE FROM dashboard_session WHERE account_id = $1 AND ($2::uuid IS NULL OR id = $2)",
        account.0,
        only,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(StoreError::while_("end a session of the dashboard"))
}

/// Keeps what a sign-in QR holds.
pub async fn insert_pairing(
    conn: &mut PgConnection,
    hash: &TokenHash,
    (account, key_id): (AccountId, Uuid),
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO dashboard_pairing (hash, account_id, key_id, created_at, expires_at) VALUES ($1, $2, $3, $4, $5)",
        &hash.0[..],
        account.0,
        key_id,
        now,
        expires_at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("keep a sign-in code"))
}

/// What a sign-in QR stands for; `None` once it was redeemed or its time, or its key's, is over.
pub async fn find_pairing(
    conn: &mut PgConnection,
    hash: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<Pairing>, StoreError> {
    let row = sqlx::query!(
        "SELECT p.account_id, a.name, p.key_id, t.last4, p.expires_at FROM dashboard_pairing p
         JOIN api_token t ON t.id = p.key_id JOIN account a ON a.id = p.account_id
         WHERE p.hash = $1 AND p.expires_at > $2 AND t.revoked_at IS NULL
           AND (t.expires_at IS NULL OR t.expires_at > $2) AND a.deleted_at IS NULL",
        &hash.0[..],
        now,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("find what a sign-in code stands for"))?;
    Ok(row.map(|row| Pairing {
        account_id: AccountId(row.account_id),
        account_name: row.name,
        key_id: row.key_id,
        key_last4: row.last4,
        expires_at: row.expires_at,
    }))
}

/// Uses a sign-in code up. `false` if somebody else did: of two who redeem it at once, one deletes the row.
pub async fn redeem_pairing(conn: &mut PgConnection, hash: &TokenHash) -> Result<bool, StoreError> {
    sqlx::query!("DELETE FROM dashboard_pairing WHERE hash = $1", &hash.0[..])
        .execute(conn)
        .await
        .map(|done| done.rows_affected() == 1)
        .map_err(StoreError::while_("redeem a sign-in code"))
}

/// Deletes what has expired.
pub async fn forget_expired(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
    let action = "forget expired sessions of the dashboard";
    sqlx::query!("DELETE FROM dashboard_session WHERE expires_at <= $1", now)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
    sqlx::query!("DELETE FROM dashboard_pairing WHERE expires_at <= $1", now)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_(action))
}
