//! `webhook_stream`: how far an endpoint was told the log of one instance.
//!
//! An event is never marked: what was delivered is told by one number a stream, written under the claim of whoever
//! delivers. The write that follows a delivery does not wait for the disk (`synchronous_commit`): if the database's
//! machine dies within that moment, the event is delivered once more, which may happen anyway.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{Outcome, WebhookId};
use crate::store::StoreError;
use crate::store::lease::stored_id;

use super::claim::{number, order};
use super::delivery::{Attempt, Subject, append};
use super::endpoint::subscription;
use super::{Claimant, Free, Told};

/// A stream that is ours for a while.
#[derive(Debug, Clone)]
pub struct Stream {
    /// To whom which log is told.
    pub told: Told,
    /// Names the claim.
    pub claim: i64,
    /// Up to here it was told.
    pub acknowledged: i64,
    /// Up to here the log went when the stream was claimed.
    pub last: i64,
    /// Failed attempts at the next event.
    pub attempts: u32,
    /// When the first of them was.
    pub failing_since: Option<DateTime<Utc>>,
}

/// Claims streams that have something to be told and are due, the longest waiting first, endpoint by endpoint in turn.
/// `instances` narrows the look to these.
pub async fn claim(
    conn: &mut PgConnection,
    claimant: Claimant,
    instances: Option<&[InstanceId]>,
    free: &Free,
) -> Result<Vec<Stream>, StoreError> {
    let instances: Option<Vec<String>> = instances.map(|ids| ids.iter().map(ToString::to_string).collect());
    let (busy, counts) = free.columns();
    let rows = sqlx::query!(
        r#"WITH due AS (
               SELECT s.endpoint_id, s.instance_id, s.due_at,
                      row_number() OVER (PARTITION BY s.endpoint_id ORDER BY s.due_at, s.instance_id)
                          + COALESCE(busy.count, 0) AS place
               FROM webhook_stream s
               JOIN webhook_endpoint e ON e.id = s.endpoint_id AND e.disabled_at IS NULL
               JOIN instance_lease l ON l.instance_id = s.instance_id AND l.event_seq > s.acknowledged
               LEFT JOIN unnest($5::uuid[], $6::bigint[]) AS busy (endpoint_id, count) ON busy.endpoint_id = s.endpoint_id
               WHERE s.due_at <= $1 AND ($4::text[] IS NULL OR s.instance_id = ANY($4))
                 AND (s.claimed_by IS NULL OR s.claimed_until <= $1
                      OR NOT EXISTS (SELECT FROM node WHERE node.id = s.claimed_by))
           ), free AS (
               SELECT s.endpoint_id, s.instance_id
               FROM due JOIN webhook_stream s ON s.endpoint_id = due.endpoint_id AND s.instance_id = due.instance_id
               WHERE due.place <= $7 AND s.due_at <= $1
                 AND (s.claimed_by IS NULL OR s.claimed_until <= $1
                      OR NOT EXISTS (SELECT FROM node WHERE node.id = s.claimed_by))
               ORDER BY due.place, due.due_at LIMIT $8
               FOR UPDATE OF s SKIP LOCKED
           )
           UPDATE webhook_stream s SET claim = s.claim + 1, claimed_by = $2, claimed_until = $3
           FROM free
           JOIN webhook_endpoint e ON e.id = free.endpoint_id
           JOIN instance i ON i.id = free.instance_id
           JOIN instance_lease l ON l.instance_id = free.instance_id
           WHERE s.endpoint_id = free.endpoint_id AND s.instance_id = free.instance_id
           RETURNING s.endpoint_id, s.instance_id, s.claim, s.acknowledged, s.attempts, s.failing_since,
                     e.account_id, e.events, e.delivery_order, e.sealed, e.failing_since IS NOT NULL AS "is_failing!",
                     i.metadata, l.event_seq"#,
        claimant.now,
        claimant.node.0,
        claimant.until,
        instances as Option<Vec<String>>,
        &busy,
        &counts,
        number(free.per_endpoint),
        number(free.slots),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("claim streams of webhooks"))?;
    rows.into_iter()
        .map(|row| {
            Ok(Stream {
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
                claim: row.claim,
                acknowledged: row.acknowledged,
                last: row.event_seq,
                attempts: row.attempts.unsigned_abs(),
                failing_since: row.failing_since,
            })
        })
        .collect()
}

/// A claim, as each write under it names it.
#[derive(Debug, Clone, Copy)]
pub struct Held {
    /// The endpoint …
    pub endpoint_id: WebhookId,
    /// … and the instance of the stream.
    pub instance_id: InstanceId,
    /// The claim's number.
    pub claim: i64,
    /// The present: a claim that has run out writes nothing.
    pub now: DateTime<Utc>,
}

impl Held {
    pub(super) fn subject(&self, seq: i64, kind: EventKind) -> Subject {
        Subject { endpoint_id: self.endpoint_id, event: Some((self.instance_id, seq)), kind }
    }
}

/// What becomes of the claim afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It goes on until then.
    Until(DateTime<Utc>),
    /// It ends.
    Released,
}

impl Claim {
    fn until(self) -> Option<DateTime<Utc>> {
        match self {
            Self::Until(until) => Some(until),
            Self::Released => None,
        }
    }
}

/// An event was delivered: everything up to `acknowledged` is done with. `false` if the claim is not ours any more.
pub async fn delivered(
    conn: &mut PgConnection,
    held: Held,
    (kind, seq, acknowledged): (EventKind, i64, i64),
    attempt: &Attempt,
    then: Claim,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "WITH lazily AS (
             SELECT set_config('synchronous_commit', 'off', true) AS done
         ), held AS (
             UPDATE webhook_stream SET acknowledged = $5, attempts = 0, failing_since = NULL, due_at = $4,
                    claimed_until = $6, claimed_by = CASE WHEN $6::timestamptz IS NULL THEN NULL ELSE claimed_by END
             WHERE endpoint_id = $1 AND instance_id = $2 AND claim = $3 AND claimed_until > $4
             RETURNING endpoint_id, instance_id
         )
         INSERT INTO webhook_delivery (endpoint_id, instance_id, seq, kind, attempt, outcome, status, took_ms, at)
         SELECT held.endpoint_id, held.instance_id, $7, $8, $9, $10, $11, $12, $13 FROM held, lazily",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        held.claim,
        held.now,
        acknowledged,
        then.until(),
        seq,
        kind.as_str(),
        attempt.number(),
        attempt.outcome.as_str(),
        attempt.status(),
        attempt.took_ms(),
        attempt.at,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("acknowledge a delivery"))
}

/// Nothing up to `acknowledged` is wanted; the claim ends.
pub async fn skipped(conn: &mut PgConnection, held: Held, acknowledged: i64) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE webhook_stream SET acknowledged = GREATEST(acknowledged, $4), due_at = $5, claimed_by = NULL,
                claimed_until = NULL
         WHERE endpoint_id = $1 AND instance_id = $2 AND claim = $3 AND claimed_until > $5",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        held.claim,
        acknowledged,
        held.now,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("pass over what a webhook does not want"))
}

/// Ends the claim; the stream is due again at `due_at`.
pub async fn release(conn: &mut PgConnection, held: Held, due_at: DateTime<Utc>) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE webhook_stream SET due_at = $4, claimed_by = NULL, claimed_until = NULL
         WHERE endpoint_id = $1 AND instance_id = $2 AND claim = $3",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        held.claim,
        due_at,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("release a stream of a webhook"))
}

/// The next event could not be delivered, and is tried again.
#[derive(Debug, Clone, Copy)]
pub struct Failure {
    /// Failed attempts, this one included.
    pub attempts: u32,
    /// When the first of them was.
    pub failing_since: DateTime<Utc>,
    /// When the next one is.
    pub due_at: DateTime<Utc>,
}

/// Writes a failure down; the claim ends. `false` if it was not ours any more. Must run inside a transaction.
pub async fn failed(
    conn: &mut PgConnection,
    held: Held,
    (kind, seq): (EventKind, i64),
    failure: Failure,
    attempt: &Attempt,
) -> Result<bool, StoreError> {
    let written = sqlx::query!(
        "UPDATE webhook_stream SET attempts = $5, failing_since = $6, due_at = $7, claimed_by = NULL, claimed_until = NULL
         WHERE endpoint_id = $1 AND instance_id = $2 AND claim = $3 AND claimed_until > $4",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        held.claim,
        held.now,
        i32::try_from(failure.attempts).unwrap_or(i32::MAX),
        failure.failing_since,
        failure.due_at,
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::while_("note that a delivery failed"))?;
    if written.rows_affected() == 0 {
        return Ok(false);
    }
    append(conn, held.subject(seq, kind), attempt).await?;
    Ok(true)
}

/// The stream goes on without the event `seq`; the claim ends. What becomes of the event belongs into the same
/// transaction. `false` if the claim was not ours any more.
pub async fn passed(
    conn: &mut PgConnection,
    held: Held,
    (kind, seq): (EventKind, i64),
    attempt: &Attempt,
) -> Result<bool, StoreError> {
    let written = sqlx::query!(
        "UPDATE webhook_stream SET acknowledged = $5, attempts = 0, failing_since = NULL, due_at = $4, claimed_by = NULL,
                claimed_until = NULL
         WHERE endpoint_id = $1 AND instance_id = $2 AND claim = $3 AND claimed_until > $4",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        held.claim,
        held.now,
        seq,
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::while_("let a stream go on without an event"))?;
    if written.rows_affected() == 0 {
        return Ok(false);
    }
    append(conn, held.subject(seq, kind), attempt).await?;
    Ok(true)
}

/// How the streams of endpoints stand, for people.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Events of the logs that are not done with yet, those that are not wanted included.
    pub events: i64,
    /// Events that are delivered aside.
    pub aside: i64,
    /// Events that were given up.
    pub dead_letters: i64,
}

/// The backlogs of these endpoints, in their order.
pub async fn backlogs(conn: &mut PgConnection, ids: &[WebhookId]) -> Result<Vec<Backlog>, StoreError> {
    let ids: Vec<uuid::Uuid> = ids.iter().map(|id| id.0).collect();
    let rows = sqlx::query!(
        r#"SELECT (SELECT COALESCE(sum(l.event_seq - s.acknowledged), 0)::bigint
                   FROM webhook_stream s JOIN instance_lease l ON l.instance_id = s.instance_id
                   WHERE s.endpoint_id = wanted.id) AS "events!",
                  (SELECT count(*) FROM webhook_aside a WHERE a.endpoint_id = wanted.id) AS "aside!",
                  (SELECT count(*) FROM webhook_dead_letter d WHERE d.endpoint_id = wanted.id) AS "dead_letters!"
           FROM unnest($1::uuid[]) WITH ORDINALITY AS wanted (id, place) ORDER BY wanted.place"#,
        &ids,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read how far webhooks are"))?;
    Ok(rows
        .into_iter()
        .map(|row| Backlog { events: row.events, aside: row.aside, dead_letters: row.dead_letters })
        .collect())
}

/// When the oldest event happened that an endpoint which is sent to has not been told yet. The streams that wait are
/// few as a rule, and only their next event is looked up.
pub async fn oldest_waiting(conn: &mut PgConnection) -> Result<Option<DateTime<Utc>>, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT min(next.at) FROM webhook_stream s
           JOIN webhook_endpoint e ON e.id = s.endpoint_id AND e.disabled_at IS NULL
           JOIN instance_lease l ON l.instance_id = s.instance_id AND l.event_seq > s.acknowledged
           CROSS JOIN LATERAL (SELECT at FROM event WHERE event.instance_id = s.instance_id AND seq > s.acknowledged
                               ORDER BY seq LIMIT 1) AS next"#,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_("read for how long webhooks wait"))
}

/// The word of an outcome with the status beside it, as a dead letter keeps it.
pub(super) fn described(outcome: Outcome, status: Option<u16>) -> String {
    status.map_or_else(|| outcome.as_str().to_owned(), |status| format!("{outcome} {status}"))
}
