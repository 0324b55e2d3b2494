//! `webhook_delivery`: every attempt, for whoever wonders where an event got to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{Outcome, WebhookId};
use crate::store::StoreError;

/// One attempt.
#[derive(Debug, Clone, Copy)]
pub struct Attempt {
    /// Which of its event, from 1.
    pub number: u32,
    /// What came of it.
    pub outcome: Outcome,
    /// The status that was answered, if any was.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// When.
    pub at: DateTime<Utc>,
}

impl Attempt {
    pub(super) fn number(&self) -> i32 {
        i32::try_from(self.number).unwrap_or(i32::MAX)
    }

    pub(super) fn status(&self) -> Option<i16> {
        self.status.and_then(|status| i16::try_from(status).ok())
    }

    pub(super) fn took_ms(&self) -> i32 {
        i32::try_from(self.took.as_millis()).unwrap_or(i32::MAX)
    }
}

/// What an attempt was made at; without an instance and a number, a test.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    /// Where to.
    pub endpoint_id: WebhookId,
    /// The instance and the event's number in its log.
    pub event: Option<(InstanceId, i64)>,
    /// The event's kind.
    pub kind: EventKind,
}

/// Writes an attempt down.
pub async fn append(conn: &mut PgConnection, subject: Subject, attempt: &Attempt) -> Result<(), StoreError> {
    let (instance_id, seq) = subject.event.unzip();
    sqlx::query!(
        "INSERT INTO webhook_delivery (endpoint_id, instance_id, seq, kind, attempt, outcome, status, took_ms, at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        subject.endpoint_id.0,
        instance_id.as_ref().map(InstanceId::as_str),
        seq,
        subject.kind.as_str(),
        attempt.number(),
        attempt.outcome.as_str(),
        attempt.status(),
        attempt.took_ms(),
        attempt.at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("note an attempt at a delivery"))
}

/// An attempt as it stands in the log. Words of a later release are told as they stand.
#[derive(Debug, Clone)]
pub struct Line {
    /// Its number; later attempts have higher ones.
    pub id: i64,
    /// Of which instance's log.
    pub instance_id: Option<String>,
    /// The event's number there; `None` for a test.
    pub seq: Option<i64>,
    /// The event's kind.
    pub kind: String,
    /// Which attempt of its event, from 1.
    pub attempt: i32,
    /// What came of it.
    pub outcome: String,
    /// The status that was answered, if any was.
    pub status: Option<i16>,
    /// How long it took.
    pub took_ms: i32,
    /// When.
    pub at: DateTime<Utc>,
}

/// A page of the attempts at one endpoint, newest first: those before the line `before`.
pub async fn page(
    conn: &mut PgConnection,
    endpoint: WebhookId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Line>, StoreError> {
    sqlx::query_as!(
        Line,
        "SELECT id, instance_id, seq, kind, attempt, outcome, status, took_ms, at FROM webhook_delivery
         WHERE endpoint_id = $1 AND ($2::bigint IS NULL OR id < $2) ORDER BY id DESC LIMIT $3",
        endpoint.0,
        before,
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read attempts at deliveries"))
}

/// Forgets the attempts before `keep_from`; how many there were.
pub async fn prune(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM webhook_delivery WHERE at < $1", keep_from)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("forget attempts at deliveries"))
}

/// Erases what is told here of an instance; after its streams are gone, so that nothing is added any more.
pub(in crate::store) async fn erase_instance(conn: &mut PgConnection, id: InstanceId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM webhook_delivery WHERE instance_id = $1", id.as_str())
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("erase an instance's deliveries"))
}

/// Erases the attempts at endpoints; after their streams are gone.
pub(super) async fn erase_endpoints(conn: &mut PgConnection, ids: &[uuid::Uuid]) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM webhook_delivery WHERE endpoint_id = ANY($1)", ids)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("erase a webhook's deliveries"))
}
