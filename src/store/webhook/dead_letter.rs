//! `webhook_dead_letter`: events that were given up, kept for a while to be told again on request.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::webhook::WebhookId;
use crate::store::StoreError;

use super::delivery::Attempt;
use super::stream::{Held, described};

/// Parks an event, with a copy of what the log holds of it. Belongs into the transaction that gives it up. An event that
/// is parked already keeps its copy.
pub async fn park(conn: &mut PgConnection, held: Held, seq: i64, attempt: &Attempt) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO webhook_dead_letter (endpoint_id, instance_id, seq, at, kind, chat, content, attempts, outcome, parked_at)
         SELECT $1, $2, kept.seq, kept.at, kept.kind, kept.chat, kept.content, $4, $5, $6
         FROM (SELECT seq, at, kind, chat, content FROM event WHERE instance_id = $2 AND seq = $3
               UNION ALL
               SELECT seq, at, kind, chat, content FROM webhook_dead_letter
               WHERE endpoint_id = $1 AND instance_id = $2 AND seq = $3
               LIMIT 1) AS kept
         ON CONFLICT (endpoint_id, instance_id, seq)
         DO UPDATE SET attempts = EXCLUDED.attempts, outcome = EXCLUDED.outcome, parked_at = EXCLUDED.parked_at",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        seq,
        attempt.number(),
        described(attempt.outcome, attempt.status),
        attempt.at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("park an event"))
}

/// An event that was given up.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Of which instance's log.
    pub instance_id: String,
    /// Its number there.
    pub seq: i64,
    /// Its kind.
    pub kind: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// How often it was tried.
    pub attempts: i32,
    /// What came of the last attempt.
    pub outcome: String,
    /// When it was given up.
    pub parked_at: DateTime<Utc>,
    /// Whether it is about to be told again.
    pub replaying: bool,
}

/// A page of an endpoint's dead letters, in the order of instance and number: those behind `after`.
pub async fn page(
    conn: &mut PgConnection,
    endpoint: WebhookId,
    after: Option<(InstanceId, i64)>,
    limit: u32,
) -> Result<Vec<DeadLetter>, StoreError> {
    let (instance, seq) = after.unzip();
    sqlx::query_as!(
        DeadLetter,
        r#"SELECT instance_id, seq, kind, at, attempts, outcome, parked_at,
                  EXISTS (SELECT FROM webhook_aside a WHERE a.endpoint_id = d.endpoint_id
                          AND a.instance_id = d.instance_id AND a.seq = d.seq) AS "replaying!"
           FROM webhook_dead_letter d
           WHERE endpoint_id = $1 AND ($2::text IS NULL OR (instance_id, seq) > ($2, $3))
           ORDER BY instance_id, seq LIMIT $4"#,
        endpoint.0,
        instance.as_ref().map(InstanceId::as_str),
        seq,
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read dead letters"))
}

pub(super) async fn remove(conn: &mut PgConnection, held: Held, seq: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM webhook_dead_letter WHERE endpoint_id = $1 AND instance_id = $2 AND seq = $3",
        held.endpoint_id.0,
        held.instance_id.as_str(),
        seq,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("remove a dead letter"))
}

/// Forgets those that were parked before `keep_from`; how many there were.
pub async fn prune(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM webhook_dead_letter WHERE parked_at < $1", keep_from)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("forget dead letters"))
}

/// Erases what dead letters hold of a chat, which is named by its keyed hash.
pub(in crate::store) async fn erase_chat(
    conn: &mut PgConnection,
    id: InstanceId,
    chat: &[u8; 32],
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE webhook_dead_letter SET content = NULL WHERE instance_id = $1 AND chat = $2 AND content IS NOT NULL",
        id.as_str(),
        &chat[..],
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("erase a chat from the dead letters"))
}
