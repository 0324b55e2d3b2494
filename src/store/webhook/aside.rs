//! `webhook_aside`: events that are delivered beside their stream, one at a time an instance: those that a relaxed stream
//! went on without, and those to be told again.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{Subscription, WebhookId};
use crate::store::StoreError;
use crate::store::event::reader::{self, Reading};
use crate::store::lease::stored_id;
use crate::store::vault::{Vault, VaultError};

use super::claim::{number, order};
use super::delivery::{Attempt, append};
use super::endpoint::subscription;
use super::stream::Held;
use super::{Claimant, Free, Told};

/// An event that is ours to deliver for a while.
#[derive(Debug, Clone)]
pub struct Aside {
    /// To whom which log is told.
    pub told: Told,
    /// The event's number there.
    pub seq: i64,
    /// Names the claim.
    pub claim: i64,
    /// Failed attempts at it.
    pub attempts: u32,
}

/// Sets an event aside, or lets one that is there already begin anew. Belongs into the transaction that lets the stream
/// go on.
pub async fn add(
    conn: &mut PgConnection,
    held: Held,
    seq: i64,
    attempts: u32,
    due_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO webhook_aside (endpoint_id, instance_id, seq, attempts, due_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (endpoint_id, instance_id, seq) DO UPDATE SET attempts = EXCLUDED.attempts, due_at = EXCLUDED.due_at",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        seq,
        i32::try_from(attempts).unwrap_or(i32::MAX),
        due_at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("set an event aside"))
}

/// Which events are to be told again.
#[derive(Debug, Clone, Copy)]
pub enum Replay {
    /// Those of a log from one number to another that are still kept.
    Range(InstanceId, i64, i64),
    /// Those that were given up, of one instance or of all.
    DeadLetters(Option<InstanceId>),
}

/// Lets up to `most` events be told again, the oldest first: how many. Only of streams the endpoint has, and only kinds
/// it wants.
pub async fn replay(
    conn: &mut PgConnection,
    (id, subscription): (WebhookId, &Subscription),
    replay: Replay,
    most: i64,
    now: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let action = "let events be told again";
    let kinds: Vec<String> = subscription.kinds().iter().map(|kind| kind.as_str().to_owned()).collect();
    let done = match replay {
        Replay::Range(instance, from, to) => {
            sqlx::query!(
                "INSERT INTO webhook_aside (endpoint_id, instance_id, seq, attempts, due_at)
                 SELECT s.endpoint_id, s.instance_id, found.seq, 0, $6
                 FROM webhook_stream s
                 CROSS JOIN LATERAL (
                     SELECT seq FROM event WHERE event.instance_id = s.instance_id AND seq BETWEEN $3 AND $4 AND kind = ANY($5)
                     UNION
                     SELECT seq FROM webhook_dead_letter d
                     WHERE d.endpoint_id = s.endpoint_id AND d.instance_id = s.instance_id AND seq BETWEEN $3 AND $4
                 ) AS found
                 WHERE s.endpoint_id = $1 AND s.instance_id = $2
                 ORDER BY found.seq LIMIT $7
                 ON CONFLICT (endpoint_id, instance_id, seq) DO UPDATE SET attempts = 0, due_at = EXCLUDED.due_at",
                id.0,
                instance.as_str(),
                from,
                to,
                &kinds,
                now,
                most,
            )
            .execute(conn)
            .await
        }
        Replay::DeadLetters(instance) => {
            sqlx::query!(
                "INSERT INTO webhook_aside (endpoint_id, instance_id, seq, attempts, due_at)
                 SELECT endpoint_id, instance_id, seq, 0, $3 FROM webhook_dead_letter
                 WHERE endpoint_id = $1 AND ($2::text IS NULL OR instance_id = $2)
                 ORDER BY at, instance_id, seq LIMIT $4
                 ON CONFLICT (endpoint_id, instance_id, seq) DO UPDATE SET attempts = 0, due_at = EXCLUDED.due_at",
                id.0,
                instance.as_ref().map(InstanceId::as_str),
                now,
                most,
            )
            .execute(conn)
            .await
        }
    };
    done.map(|done| done.rows_affected()).map_err(StoreError::while_(action))
}

/// Claims events that are due, of each stream the oldest one and none while another of it is under way.
pub async fn claim(conn: &mut PgConnection, claimant: Claimant, free: &Free) -> Result<Vec<Aside>, StoreError> {
    let (busy, counts) = free.columns();
    let rows = sqlx::query!(
        r#"WITH first AS (
               SELECT DISTINCT ON (a.endpoint_id, a.instance_id) a.endpoint_id, a.instance_id, a.seq, a.due_at
               FROM webhook_aside a
               JOIN webhook_endpoint e ON e.id = a.endpoint_id AND e.disabled_at IS NULL
               WHERE a.due_at <= $1 AND NOT EXISTS (
                   SELECT FROM webhook_aside other JOIN node ON node.id = other.claimed_by
                   WHERE other.endpoint_id = a.endpoint_id AND other.instance_id = a.instance_id
                     AND other.claimed_until > $1)
               ORDER BY a.endpoint_id, a.instance_id, a.seq
           ), due AS (
               SELECT first.*, row_number() OVER (PARTITION BY first.endpoint_id ORDER BY first.due_at)
                          + COALESCE(busy.count, 0) AS place
               FROM first
               LEFT JOIN unnest($4::uuid[], $5::bigint[]) AS busy (endpoint_id, count)
                   ON busy.endpoint_id = first.endpoint_id
           ), free AS (
               SELECT a.endpoint_id, a.instance_id, a.seq
               FROM due JOIN webhook_aside a
                   ON a.endpoint_id = due.endpoint_id AND a.instance_id = due.instance_id AND a.seq = due.seq
               WHERE due.place <= $6 AND a.due_at <= $1
                 AND (a.claimed_by IS NULL OR a.claimed_until <= $1
                      OR NOT EXISTS (SELECT FROM node WHERE node.id = a.claimed_by))
               ORDER BY due.place, due.due_at LIMIT $7
               FOR UPDATE OF a SKIP LOCKED
           )
           UPDATE webhook_aside a SET claim = a.claim + 1, claimed_by = $2, claimed_until = $3
           FROM free
           JOIN webhook_endpoint e ON e.id = free.endpoint_id
           JOIN instance i ON i.id = free.instance_id
           WHERE a.endpoint_id = free.endpoint_id AND a.instance_id = free.instance_id AND a.seq = free.seq
           RETURNING a.endpoint_id, a.instance_id, a.seq, a.claim, a.attempts, e.account_id, e.events, e.delivery_order,
                     e.sealed, e.failing_since IS NOT NULL AS "is_failing!", i.metadata"#,
        claimant.now,
        claimant.node.0,
        claimant.until,
        &busy,
        &counts,
        number(free.per_endpoint),
        number(free.slots),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("claim events that were set aside"))?;
    rows.into_iter()
        .map(|row| {
            Ok(Aside {
                told: Told {
                    endpoint_id: WebhookId(row.endpoint_id),
                    account_id: AccountId(row.account_id),
                    instance_id: stored_id(&row.instance_id),
                    subscription: subscription(&row.events),
                    order: order(&row.delivery_order)?,
                    sealed: row.sealed,
                    is_failing: row.is_failing,
                    metadata: row.metadata,
                },
                seq: row.seq,
                claim: row.claim,
                attempts: row.attempts.unsigned_abs(),
            })
        })
        .collect()
}

/// The event itself, from the log or, if it is older than that, from the dead letters; nothing if neither has it.
pub async fn read(
    conn: &mut PgConnection,
    vault: &Vault,
    (endpoint, id): (WebhookId, InstanceId),
    seq: i64,
) -> Result<Reading, VaultError> {
    let rows = sqlx::query_as!(
        reader::Row,
        r#"SELECT seq AS "seq!", at AS "at!", kind AS "kind!", content FROM (
               SELECT seq, at, kind, content FROM event WHERE instance_id = $2 AND seq = $3
               UNION ALL
               SELECT seq, at, kind, content FROM webhook_dead_letter
               WHERE endpoint_id = $1 AND instance_id = $2 AND seq = $3
           ) AS kept LIMIT 1"#,
        endpoint.0,
        id.as_str(),
        seq,
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::while_("read an event that was set aside"))?;
    reader::opened(conn, vault, id, rows).await
}

/// The event was delivered, or there is none any more: it is done with, among the dead letters too. `false` if the claim
/// is not ours any more. Must run inside a transaction.
pub async fn done(
    conn: &mut PgConnection,
    held: Held,
    seq: i64,
    delivered: Option<(EventKind, &Attempt)>,
) -> Result<bool, StoreError> {
    let deleted = sqlx::query!(
        "DELETE FROM webhook_aside
         WHERE endpoint_id = $1 AND instance_id = $2 AND seq = $3 AND claim = $4 AND claimed_until > $5",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        seq,
        held.claim,
        held.now,
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::while_("be done with an event that was set aside"))?;
    if deleted.rows_affected() == 0 {
        return Ok(false);
    }
    if let Some((kind, attempt)) = delivered {
        super::dead_letter::remove(conn, held, seq).await?;
        append(conn, held.subject(seq, kind), attempt).await?;
    }
    Ok(true)
}

/// The event could not be delivered and is tried again at `due_at`; the claim ends. `false` if it was not ours any more.
/// Must run inside a transaction.
pub async fn failed(
    conn: &mut PgConnection,
    held: Held,
    (kind, seq): (EventKind, i64),
    due_at: DateTime<Utc>,
    attempt: &Attempt,
) -> Result<bool, StoreError> {
    let written = sqlx::query!(
        "UPDATE webhook_aside SET attempts = $6, due_at = $7, claimed_by = NULL, claimed_until = NULL
         WHERE endpoint_id = $1 AND instance_id = $2 AND seq = $3 AND claim = $4 AND claimed_until > $5",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        seq,
        held.claim,
        held.now,
        attempt.number(),
        due_at,
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::while_("note that a delivery aside failed"))?;
    if written.rows_affected() == 0 {
        return Ok(false);
    }
    append(conn, held.subject(seq, kind), attempt).await?;
    Ok(true)
}

/// Ends the claim without an attempt; the event is due again at `due_at`.
pub async fn release(conn: &mut PgConnection, held: Held, seq: i64, due_at: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE webhook_aside SET due_at = $5, claimed_by = NULL, claimed_until = NULL
         WHERE endpoint_id = $1 AND instance_id = $2 AND seq = $3 AND claim = $4",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        seq,
        held.claim,
        due_at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("release an event that was set aside"))
}

/// The event could not be delivered and is given up; the claim ends. `false` if it was not ours any more. Must run inside
/// a transaction.
pub async fn given_up(
    conn: &mut PgConnection,
    held: Held,
    (kind, seq): (EventKind, i64),
    attempt: &Attempt,
) -> Result<bool, StoreError> {
    if !done(conn, held, seq, None).await? {
        return Ok(false);
    }
    super::dead_letter::park(conn, held, seq, attempt).await?;
    append(conn, held.subject(seq, kind), attempt).await?;
    Ok(true)
}
