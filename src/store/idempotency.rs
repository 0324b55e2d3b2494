//! `idempotency_key`: requests that are served once, however often they are sent, by whichever node.
//!
//! A key is claimed in a transaction of its own, so that everybody sees that somebody is at work; the answer is written
//! in the transaction that does the work, if the claim still stands. A holder that died blocks the key until its node is
//! known to be gone or its claim runs out, and one that was merely slow then finds that it may not commit.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::lease::NodeId;

use super::StoreError;

/// A claim may meet a row that is gone by the time it is read; more often than this it does not.
const TRIES: usize = 3;

/// A key as its holder names it.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Whose key; each account has its own.
    pub account: AccountId,
    /// 1 to 255 characters of visible ASCII.
    pub key: &'a str,
    /// Names this very claim.
    pub id: Uuid,
    /// The node that serves the request, if it is registered: without it the claim is void by time alone.
    pub node: Option<NodeId>,
}

/// What was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body, without its secret.
    pub body: String,
    /// The token whose text belongs into it ([`super::kept_secret`]).
    pub secret: Option<Uuid>,
}

/// What a claim met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Claimed {
    /// Nothing: the claim stands.
    Ours,
    /// The same request was answered before.
    Answered(Answer),
    /// The key was used for another request.
    OtherRequest,
    /// The same request is still being served.
    InUse,
}

/// Claims a key until `until`. What comes of it is kept until `expires_at`.
pub async fn claim(
    conn: &mut PgConnection,
    claim: Claim<'_>,
    request: &[u8; 32],
    (now, until, expires_at): (DateTime<Utc>, DateTime<Utc>, DateTime<Utc>),
) -> Result<Claimed, StoreError> {
    let action = "claim an idempotency key";
    for _ in 0..TRIES {
        let taken = sqlx::query!(
            "INSERT INTO idempotency_key AS k (account_id, key, request, claim, claimed_until, expires_at, node)
             VALUES ($1, $2, $3, $4, $6, $7, $8)
             ON CONFLICT (account_id, key) DO UPDATE
             SET request = EXCLUDED.request, claim = EXCLUDED.claim, claimed_until = EXCLUDED.claimed_until,
                 expires_at = EXCLUDED.expires_at, node = EXCLUDED.node, status = NULL, body = NULL, secret = NULL
             WHERE k.expires_at <= $5
                OR (k.status IS NULL
                    AND (k.claimed_until <= $5
                         OR (k.node IS NOT NULL AND NOT EXISTS (SELECT FROM node WHERE node.id = k.node))))",
            claim.account.0,
            claim.key,
            &request[..],
            claim.id,
            now,
            until,
            expires_at,
            claim.node.map(|node| node.0),
        )
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
        if taken.rows_affected() == 1 {
            return Ok(Claimed::Ours);
        }
        let row = sqlx::query!(
            "SELECT request, status, body, secret FROM idempotency_key WHERE account_id = $1 AND key = $2",
            claim.account.0,
            claim.key,
        )
        .fetch_optional(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
        let Some(row) = row else { continue };
        if row.request != request {
            return Ok(Claimed::OtherRequest);
        }
        let Some((status, body)) = row.status.zip(row.body) else { return Ok(Claimed::InUse) };
        return Ok(Claimed::Answered(Answer { status: status.unsigned_abs(), body, secret: row.secret }));
    }
    Ok(Claimed::InUse)
}

/// Writes the answer; `false` if the claim has run out and is another's by now: then nothing may be committed.
pub async fn answer(conn: &mut PgConnection, claim: Claim<'_>, answer: &Answer) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE idempotency_key SET status = $4, body = $5, secret = $6
         WHERE account_id = $1 AND key = $2 AND claim = $3 AND status IS NULL",
        claim.account.0,
        claim.key,
        claim.id,
        i16::try_from(answer.status).expect("an HTTP status has three digits"),
        answer.body,
        answer.secret,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("keep an answer"))
}

/// Lets an unanswered claim go, so that the same request may be tried again at once.
pub async fn release(conn: &mut PgConnection, claim: Claim<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM idempotency_key WHERE account_id = $1 AND key = $2 AND claim = $3 AND status IS NULL",
        claim.account.0,
        claim.key,
        claim.id,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("release an idempotency key"))
}

/// Deletes the keys whose time is over; how many there were.
pub async fn forget_expired(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM idempotency_key WHERE expires_at <= $1", now)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("forget idempotency keys"))
}
