//! `instance_lease`: the fence in front of every write of an instance's state.
//!
//! [`hold`], [`hold_to_write`] or [`advance`] is the first statement of such a transaction. Measured: a bare `WHERE EXISTS (… epoch …)`
//! or `FOR KEY SHARE` lets a stale owner overwrite; the row lock taken here does not.
//!
//! A lease is free when it names no node or one that has no row in `node` ([`super::node::bury_expired`]). Claims lock
//! the row first and judge it in a second statement, so that they see every node that could have come before them.

use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::lease::{Fence, NodeId};

use super::StoreError;

/// Locks the lease for this transaction; `false` if it is not ours, and then nothing may be written.
pub async fn hold(conn: &mut PgConnection, id: InstanceId, fence: Fence) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT 1 AS "held!" FROM instance_lease
           WHERE instance_id = $1 AND node_id = $2 AND epoch = $3 FOR SHARE"#,
        id.as_str(),
        fence.node_id.0,
        fence.epoch,
    )
    .fetch_optional(conn)
    .await
    .map(|row| row.is_some())
    .map_err(StoreError::while_("hold the lease of the instance"))
}

/// Locks the lease as [`advance`] does, for a transaction that finds out later how many numbers it takes: a lock that
/// others may share, as that of [`hold`], invites a deadlock when it is to become more. `false` if the lease is not ours.
pub async fn hold_to_write(conn: &mut PgConnection, id: InstanceId, fence: Fence) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT 1 AS "held!" FROM instance_lease
           WHERE instance_id = $1 AND node_id = $2 AND epoch = $3 FOR NO KEY UPDATE"#,
        id.as_str(),
        fence.node_id.0,
        fence.epoch,
    )
    .fetch_optional(conn)
    .await
    .map(|row| row.is_some())
    .map_err(StoreError::while_("hold the lease of the instance"))
}

/// Locks the lease and takes `count` numbers of the instance's event sequence: the last of them, or `None` if the lease
/// is not ours, and then nothing may be written.
pub async fn advance(
    conn: &mut PgConnection,
    id: InstanceId,
    fence: Fence,
    count: i64,
) -> Result<Option<i64>, StoreError> {
    sqlx::query_scalar!(
        r#"UPDATE instance_lease SET event_seq = event_seq + $4
           WHERE instance_id = $1 AND node_id = $2 AND epoch = $3 RETURNING event_seq"#,
        id.as_str(),
        fence.node_id.0,
        fence.epoch,
        count,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("advance the event sequence of the instance"))
}

/// The lease of a new instance, which nobody holds; belongs into the transaction that creates it.
pub async fn insert(conn: &mut PgConnection, id: InstanceId) -> Result<(), StoreError> {
    sqlx::query!("INSERT INTO instance_lease (instance_id, shard) VALUES ($1, $2)", id.as_str(), id.shard())
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("insert the instance's lease"))
}

/// Takes the first `count` numbers of a new instance's event sequence, in the transaction that inserted its lease.
pub(super) async fn begin_sequence(conn: &mut PgConnection, id: InstanceId, count: i64) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE instance_lease SET event_seq = $2 WHERE instance_id = $1 AND node_id IS NULL AND event_seq = 0",
        id.as_str(),
        count,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("begin the event sequence of the instance"))
}

/// Takes the lease of one instance, if it is free or already `node`'s; its epoch grows either way, so every earlier
/// fence is void. `None` if there is no such instance, another living node holds it, or `node` itself is dead.
/// Must run inside a transaction.
pub async fn claim(conn: &mut PgConnection, id: InstanceId, node: NodeId) -> Result<Option<Fence>, StoreError> {
    sqlx::query!("SELECT 1 AS locked FROM instance_lease WHERE instance_id = $1 FOR UPDATE", id.as_str())
        .fetch_optional(&mut *conn)
        .await
        .map_err(StoreError::while_("lock the instance's lease"))?;
    Ok(take(conn, &[id.to_string()], node).await?.pop().map(|(_, fence)| fence))
}

/// Takes up to `limit` free leases of instances that should run. Rows somebody else is busy with are passed by.
/// Must run inside a transaction.
pub async fn claim_runnable(
    conn: &mut PgConnection,
    node: NodeId,
    limit: i64,
) -> Result<Vec<(InstanceId, Fence)>, StoreError> {
    let ids = sqlx::query_scalar!(
        "SELECT l.instance_id FROM instance_lease l JOIN session s ON s.instance_id = l.instance_id
         WHERE s.desired = 'running' AND (s.status <> 'FAILED' OR s.retry_at IS NOT NULL)
           AND (l.node_id IS NULL OR NOT EXISTS (SELECT 1 FROM node n WHERE n.id = l.node_id))
         ORDER BY l.instance_id LIMIT $1 FOR UPDATE OF l SKIP LOCKED",
        limit,
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::while_("look for instances to run"))?;
    take(conn, &ids, node).await
}

async fn take(conn: &mut PgConnection, ids: &[String], node: NodeId) -> Result<Vec<(InstanceId, Fence)>, StoreError> {
    let rows = sqlx::query!(
        "UPDATE instance_lease l SET node_id = $2, epoch = epoch + 1
         WHERE l.instance_id = ANY($1)
           AND (l.node_id IS NULL OR l.node_id = $2 OR NOT EXISTS (SELECT 1 FROM node n WHERE n.id = l.node_id))
           AND EXISTS (SELECT 1 FROM node n WHERE n.id = $2 AND n.expires_at > now() AND NOT n.draining)
         RETURNING l.instance_id, l.epoch",
        ids,
        node.0,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("take leases"))?;
    Ok(rows.into_iter().map(|row| (stored_id(&row.instance_id), Fence { node_id: node, epoch: row.epoch })).collect())
}

/// Lets a lease go; nothing happens if it is not ours any more.
pub async fn release(conn: &mut PgConnection, id: InstanceId, fence: Fence) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE instance_lease SET node_id = NULL WHERE instance_id = $1 AND node_id = $2 AND epoch = $3",
        id.as_str(),
        fence.node_id.0,
        fence.epoch,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("release the instance's lease"))
}

/// How many leases a node holds.
pub async fn count_held(conn: &mut PgConnection, node: NodeId) -> Result<i64, StoreError> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM instance_lease WHERE node_id = $1"#, node.0)
        .fetch_one(conn)
        .await
        .map_err(StoreError::while_("count the node's leases"))
}

/// The leases a node holds.
pub async fn held(conn: &mut PgConnection, node: NodeId) -> Result<Vec<(InstanceId, Fence)>, StoreError> {
    let rows = sqlx::query!("SELECT instance_id, epoch FROM instance_lease WHERE node_id = $1", node.0)
        .fetch_all(conn)
        .await
        .map_err(StoreError::while_("list the node's leases"))?;
    Ok(rows.into_iter().map(|row| (stored_id(&row.instance_id), Fence { node_id: node, epoch: row.epoch })).collect())
}

/// What the living nodes that own these instances are called; those that nobody owns are left out.
pub async fn owner_names(conn: &mut PgConnection, ids: &[InstanceId]) -> Result<Vec<(InstanceId, String)>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        "SELECT l.instance_id, n.name FROM instance_lease l JOIN node n ON n.id = l.node_id AND n.expires_at > now()
         WHERE l.instance_id = ANY($1)",
        &ids,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read who owns the instances"))?;
    Ok(rows.into_iter().map(|row| (stored_id(&row.instance_id), row.name)).collect())
}

/// How many instances should run, anywhere.
pub async fn count_runnable(conn: &mut PgConnection) -> Result<i64, StoreError> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM session WHERE desired = 'running'"#)
        .fetch_one(conn)
        .await
        .map_err(StoreError::while_("count the instances that should run"))
}

/// Reads an id that the database checked when it was written.
pub(super) fn stored_id(text: &str) -> InstanceId {
    InstanceId::parse(text).expect("the column's check admits ids only")
}
