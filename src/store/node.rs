//! `node`: who is alive. All comparisons are made by the database's clock.
//!
//! A node is dead when its row is gone, and not a moment before: a lease is taken over only after [`bury_expired`] has
//! removed the row, which waits for a renewal under way and spares the row if that came in time.

use std::time::Duration;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::lease::NodeId;

use super::StoreError;

/// A node that is alive, as the operator sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Living {
    /// Its id, of this boot.
    pub id: NodeId,
    /// What it is called.
    pub name: String,
    /// Where other nodes reach it.
    pub addr: String,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// When it is dead unless it renews before.
    pub expires_at: DateTime<Utc>,
    /// It gives its instances away and takes no more.
    pub draining: bool,
    /// How many instances it owns.
    pub instances: u64,
}

/// Every node that is alive, the oldest first.
pub async fn living(conn: &mut PgConnection) -> Result<Vec<Living>, StoreError> {
    let rows = sqlx::query!(
        r#"SELECT id, name, addr, started_at, expires_at, draining,
                  (SELECT count(*) FROM instance_lease WHERE node_id = node.id) AS "instances!"
           FROM node WHERE expires_at > now() ORDER BY started_at, id"#,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("list the nodes"))?;
    let living = rows.into_iter().map(|row| Living {
        id: NodeId(row.id),
        name: row.name,
        addr: row.addr,
        started_at: row.started_at,
        expires_at: row.expires_at,
        draining: row.draining,
        instances: row.instances.unsigned_abs(),
    });
    Ok(living.collect())
}

/// Enters a node for one boot, alive for `ttl`.
pub async fn register(
    conn: &mut PgConnection,
    id: NodeId,
    addr: &str,
    name: &str,
    ttl: Duration,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO node (id, addr, name, started_at, expires_at)
         VALUES ($1, $2, $3, now(), now() + make_interval(secs => $4))",
        id.0,
        addr,
        name,
        ttl.as_secs_f64(),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("register the node"))
}

/// Keeps a living node alive for another `ttl`; `false` if it is dead, and it stays so.
pub async fn renew(conn: &mut PgConnection, id: NodeId, ttl: Duration, draining: bool) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE node SET expires_at = now() + make_interval(secs => $2), draining = $3
         WHERE id = $1 AND expires_at > now()",
        id.0,
        ttl.as_secs_f64(),
        draining,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("renew the node's lease"))
}

/// Removes a node.
pub async fn remove(conn: &mut PgConnection, id: NodeId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM node WHERE id = $1", id.0)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("remove the node"))
}

/// Removes every node whose time ran out; their leases are free from then on. Returns how many there were.
pub async fn bury_expired(conn: &mut PgConnection) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM node WHERE expires_at <= now()")
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("remove dead nodes"))
}

/// Removes nodes that are known to be dead, whatever time they have left.
pub async fn bury(conn: &mut PgConnection, dead: &[NodeId]) -> Result<u64, StoreError> {
    let ids: Vec<uuid::Uuid> = dead.iter().map(|node| node.0).collect();
    sqlx::query!("DELETE FROM node WHERE id = ANY($1)", &ids)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("remove the nodes of dead processes"))
}

/// How many nodes take instances on.
pub async fn count_serving(conn: &mut PgConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM node WHERE expires_at > now() AND NOT draining"#)
        .fetch_one(conn)
        .await
        .map_err(StoreError::while_("count the nodes"))
}
