//! `session`: what an instance's owner wants, and where its session stood when it was last written.
//!
//! The row is written under the instance's lease only ([`super::lease::hold`] first). It is what a node starts from
//! after a restart or a takeover, and what is shown of sessions that run nowhere.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::lease::NodeId;
use crate::domain::session::{Desired, Reason, Status};

use super::{StoreError, event, webhook};

/// A session as it is stored, and who runs it.
#[derive(Debug, Clone)]
pub struct SessionRow {
    /// Whose session.
    pub instance_id: InstanceId,
    /// What the owner wants.
    pub desired: Desired,
    /// Where it stood.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether a phone has linked it.
    pub linked: bool,
    /// The profile, sealed with the instance's key.
    pub profile: Option<Vec<u8>>,
    /// When a `FAILED` one is tried once more by itself.
    pub retry_at: Option<DateTime<Utc>>,
    /// Rounds of codes in a row that nobody scanned.
    pub rounds: u32,
    /// Until when requests for a code are refused.
    pub refused_until: Option<DateTime<Utc>>,
    /// The one automatic retry is used up.
    pub retried: bool,
    /// Until when WhatsApp takes no messages to strangers.
    pub timelock_until: Option<DateTime<Utc>>,
    /// The living node that holds the lease, and its address.
    pub owner: Option<(NodeId, String)>,
}

/// What is written of a session.
#[derive(Debug, Clone)]
pub struct SessionWrite<'a> {
    /// What the owner wants.
    pub desired: Desired,
    /// Where it stands.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether a phone has linked it.
    pub linked: bool,
    /// The profile, sealed with the instance's key.
    pub profile: Option<&'a [u8]>,
    /// When a `FAILED` one is tried once more by itself.
    pub retry_at: Option<DateTime<Utc>>,
    /// Rounds of codes in a row that nobody scanned.
    pub rounds: u32,
    /// Until when requests for a code are refused.
    pub refused_until: Option<DateTime<Utc>>,
    /// The one automatic retry is used up.
    pub retried: bool,
    /// Until when WhatsApp takes no messages to strangers.
    pub timelock_until: Option<DateTime<Utc>>,
}

/// The session of a new instance; belongs into the transaction that creates it, beside [`super::lease::insert`].
pub async fn insert(
    conn: &mut PgConnection,
    id: InstanceId,
    desired: Desired,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let status = match desired {
        Desired::Running => Status::Starting,
        Desired::Stopped => Status::Stopped,
    };
    sqlx::query!(
        "INSERT INTO session (instance_id, desired, status, since) VALUES ($1, $2, $3, $4)",
        id.as_str(),
        desired.as_str(),
        status.as_str(),
        now,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("insert the session"))
}

/// The session of one instance.
pub async fn read(conn: &mut PgConnection, id: InstanceId) -> Result<Option<SessionRow>, StoreError> {
    Ok(read_many(conn, &[id]).await?.pop())
}

/// The sessions of these instances, in no order; ids without one are left out.
pub async fn read_many(conn: &mut PgConnection, ids: &[InstanceId]) -> Result<Vec<SessionRow>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"SELECT s.instance_id AS "instance_id!", s.desired AS "desired!", s.status AS "status!", s.reason AS "reason?",
                  s.since AS "since!", s.linked AS "linked!", s.profile AS "profile?", s.retry_at AS "retry_at?",
                  s.rounds AS "rounds!", s.refused_until AS "refused_until?", s.retried AS "retried!",
                  s.timelock_until AS "timelock_until?", n.id AS "node_id?", n.addr AS "node_addr?"
           FROM session s
           LEFT JOIN instance_lease l ON l.instance_id = s.instance_id
           LEFT JOIN node n ON n.id = l.node_id AND n.expires_at > now()
           WHERE s.instance_id = ANY($1)"#,
        &ids,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read sessions"))?;
    Ok(rows
        .into_iter()
        .map(|row| SessionRow {
            instance_id: super::lease::stored_id(&row.instance_id),
            desired: Desired::parse(&row.desired).expect("the column's check lists the words"),
            // A word of a later release is a session that this one starts anew.
            status: Status::parse(&row.status).unwrap_or(Status::Starting),
            reason: row.reason.as_deref().and_then(Reason::parse),
            since: row.since,
            linked: row.linked,
            profile: row.profile,
            retry_at: row.retry_at,
            rounds: row.rounds.try_into().expect("the column's check admits no less than 0"),
            refused_until: row.refused_until,
            retried: row.retried,
            timelock_until: row.timelock_until,
            owner: row.node_id.map(NodeId).zip(row.node_addr),
        })
        .collect())
}

/// Writes the session. The caller's transaction holds the lease.
pub async fn save(conn: &mut PgConnection, id: InstanceId, session: &SessionWrite<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE session SET desired = $2, status = $3, reason = $4, since = $5, linked = $6, profile = $7, retry_at = $8,
                rounds = $9, refused_until = $10, retried = $11, timelock_until = $12
         WHERE instance_id = $1",
        id.as_str(),
        session.desired.as_str(),
        session.status.as_str(),
        session.reason.map(Reason::as_str),
        session.since,
        session.linked,
        session.profile,
        session.retry_at,
        i32::try_from(session.rounds).unwrap_or(i32::MAX),
        session.refused_until,
        session.retried,
        session.timelock_until,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("write the session"))
}

/// Erases the instance with everything that belongs to it, and keeps its id from being issued again. The caller's
/// transaction holds the lease.
pub async fn erase(conn: &mut PgConnection, id: InstanceId, now: DateTime<Utc>) -> Result<(), StoreError> {
    event::erase_instance(conn, id).await?;
    sqlx::query!("DELETE FROM instance WHERE id = $1", id.as_str())
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_("erase the instance"))?;
    webhook::delivery::erase_instance(conn, id).await?;
    sqlx::query!(
        "INSERT INTO retired_instance (id, retired_at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING",
        id.as_str(),
        now,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("retire the instance's id"))
}
