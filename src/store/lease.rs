//! `instance_lease`: the fence in front of every write of an instance's state.
//!
//! [`hold`] or [`advance`] is the first statement of such a transaction. Measured: a bare `WHERE EXISTS (… epoch …)`
//! or `FOR KEY SHARE` lets a stale owner overwrite; the row lock taken here does not.

use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;

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
