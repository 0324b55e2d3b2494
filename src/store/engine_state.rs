//! `engine_state`: what an instance's WhatsApp client remembers, sealed.
//!
//! This module moves bytes; what they mean, and how they are sealed, is the engine's business. Writers hold the lease
//! first ([`super::lease::hold`]).

use sqlx::PgConnection;

use crate::domain::instance::InstanceId;

use super::StoreError;

/// What a row is. The numbers are stored: they are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(i16)]
pub enum Kind {
    /// The device: its identity, keys and account.
    Device = 1,
    /// A correspondent's identity key.
    Identity = 2,
    /// A Signal session.
    Session = 3,
    /// 64 one-time prekeys.
    PrekeyChunk = 4,
    /// A signed prekey.
    SignedPrekey = 5,
    /// A group's sender key.
    SenderKey = 6,
    /// An app-state sync key.
    SyncKey = 7,
    /// The id of the newest of them.
    LatestSyncKey = 8,
    /// The version of an app-state collection.
    Version = 9,
    /// The MAC of an app-state mutation.
    MutationMac = 10,
    /// Whether a device has a group's sender key.
    SenderKeyDevice = 11,
    /// LID to phone number.
    LidMapping = 12,
    /// Phone number to LID.
    PhoneMapping = 13,
    /// A base key kept to notice collisions on retries.
    BaseKey = 14,
    /// The devices of a user.
    DeviceList = 15,
    /// What is known about a group.
    GroupMetadata = 16,
    /// A trusted-contact token.
    TcToken = 17,
    /// A sent message, for retries. Its stamp is when it was sent.
    SentMessage = 18,
    /// A received message not yet committed. Its stamp is when it came.
    PendingInbound = 19,
    /// The secret of a message, for its edits, votes and reactions. Its stamp is when it expires.
    MessageSecret = 20,
}

/// Which row, among an instance's.
#[derive(Debug, Clone, Copy)]
pub struct RowKey<'a> {
    /// What it is.
    pub kind: Kind,
    /// What it is listed or deleted together with.
    pub scope: &'a [u8],
    /// Its name within that.
    pub key: &'a [u8],
}

/// A row as it is read.
#[derive(Debug)]
pub struct Row {
    /// What it is listed or deleted together with.
    pub scope: Vec<u8>,
    /// Its name within that.
    pub key: Vec<u8>,
    /// The sealed value.
    pub value: Vec<u8>,
    /// Unix seconds; what they mean depends on the kind.
    pub stamp: i64,
}

/// Reads one row.
pub async fn get(conn: &mut PgConnection, id: InstanceId, at: RowKey<'_>) -> Result<Option<Row>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT scope, key, value, stamp FROM engine_state
         WHERE instance_id = $1 AND kind = $2 AND scope = $3 AND key = $4",
        id.as_str(),
        at.kind as i16,
        at.scope,
        at.key,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("read the engine's state"))
}

/// Reads those of `keys` that are there, in one scope.
pub async fn get_many(
    conn: &mut PgConnection,
    id: InstanceId,
    kind: Kind,
    scope: &[u8],
    keys: &[Vec<u8>],
) -> Result<Vec<Row>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT scope, key, value, stamp FROM engine_state
         WHERE instance_id = $1 AND kind = $2 AND scope = $3 AND key = ANY($4)",
        id.as_str(),
        kind as i16,
        scope,
        keys,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read the engine's state"))
}

/// Reads every row of a kind, in one scope if one is given, ordered by key.
pub async fn list(
    conn: &mut PgConnection,
    id: InstanceId,
    kind: Kind,
    scope: Option<&[u8]>,
) -> Result<Vec<Row>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT scope, key, value, stamp FROM engine_state
         WHERE instance_id = $1 AND kind = $2 AND ($3::bytea IS NULL OR scope = $3) ORDER BY scope, key",
        id.as_str(),
        kind as i16,
        scope,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("list the engine's state"))
}

/// Reads the row of a kind with the greatest key, in the empty scope.
pub async fn last(conn: &mut PgConnection, id: InstanceId, kind: Kind) -> Result<Option<Row>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT scope, key, value, stamp FROM engine_state
         WHERE instance_id = $1 AND kind = $2 AND scope = '' ORDER BY key DESC LIMIT 1",
        id.as_str(),
        kind as i16,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("read the engine's state"))
}

/// Whether there is any row of one of `kinds` in `scope`.
pub async fn any(conn: &mut PgConnection, id: InstanceId, kinds: &[Kind], scope: &[u8]) -> Result<bool, StoreError> {
    let kinds: Vec<i16> = kinds.iter().map(|kind| *kind as i16).collect();
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM engine_state
                          WHERE instance_id = $1 AND kind = ANY($2) AND scope = $3) AS "any!""#,
        id.as_str(),
        &kinds,
        scope,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_("look into the engine's state"))
}

/// Writes rows of one kind, replacing those that are there. No two may have the same scope and key.
pub async fn put(conn: &mut PgConnection, id: InstanceId, kind: Kind, rows: &[Row]) -> Result<(), StoreError> {
    let scopes: Vec<&[u8]> = rows.iter().map(|row| row.scope.as_slice()).collect();
    let keys: Vec<&[u8]> = rows.iter().map(|row| row.key.as_slice()).collect();
    let values: Vec<&[u8]> = rows.iter().map(|row| row.value.as_slice()).collect();
    let stamps: Vec<i64> = rows.iter().map(|row| row.stamp).collect();
    sqlx::query!(
        "INSERT INTO engine_state (instance_id, kind, scope, key, value, stamp)
         SELECT $1, $2, * FROM unnest($3::bytea[], $4::bytea[], $5::bytea[], $6::bigint[])
         ON CONFLICT (instance_id, kind, scope, key) DO UPDATE SET value = EXCLUDED.value, stamp = EXCLUDED.stamp",
        id.as_str(),
        kind as i16,
        &scopes as &[&[u8]],
        &keys as &[&[u8]],
        &values as &[&[u8]],
        &stamps,
    )
    .execute(conn)
    .await
    .map_err(StoreError::while_("write the engine's state"))?;
    Ok(())
}

/// Deletes one row and gives it back.
pub async fn take(conn: &mut PgConnection, id: InstanceId, at: RowKey<'_>) -> Result<Option<Row>, StoreError> {
    sqlx::query_as!(
        Row,
        "DELETE FROM engine_state WHERE instance_id = $1 AND kind = $2 AND scope = $3 AND key = $4
         RETURNING scope, key, value, stamp",
        id.as_str(),
        at.kind as i16,
        at.scope,
        at.key,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("take from the engine's state"))
}

/// Deletes rows of a kind: those with one of `keys`, in one scope or in all of them.
pub async fn delete(
    conn: &mut PgConnection,
    id: InstanceId,
    kind: Kind,
    scope: Option<&[u8]>,
    keys: &[Vec<u8>],
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM engine_state
         WHERE instance_id = $1 AND kind = $2 AND ($3::bytea IS NULL OR scope = $3) AND key = ANY($4)",
        id.as_str(),
        kind as i16,
        scope,
        keys,
    )
    .execute(conn)
    .await
    .map_err(StoreError::while_("delete from the engine's state"))?;
    Ok(())
}

/// Deletes every row of a kind, in one scope or in all of them.
pub async fn clear(
    conn: &mut PgConnection,
    id: InstanceId,
    kind: Kind,
    scope: Option<&[u8]>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "DELETE FROM engine_state WHERE instance_id = $1 AND kind = $2 AND ($3::bytea IS NULL OR scope = $3)",
        id.as_str(),
        kind as i16,
        scope,
    )
    .execute(conn)
    .await
    .map_err(StoreError::while_("clear the engine's state"))?;
    Ok(())
}

/// Deletes the rows of a kind whose stamp is below `cutoff` and not 0; how many there were.
pub async fn delete_stamped_before(
    conn: &mut PgConnection,
    id: InstanceId,
    kind: Kind,
    cutoff: i64,
) -> Result<u64, StoreError> {
    sqlx::query!(
        "DELETE FROM engine_state WHERE instance_id = $1 AND kind = $2 AND stamp <> 0 AND stamp < $3",
        id.as_str(),
        kind as i16,
        cutoff,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(StoreError::while_("clean the engine's state up"))
}

/// Deletes everything of the instance.
pub async fn wipe(conn: &mut PgConnection, id: InstanceId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM engine_state WHERE instance_id = $1", id.as_str())
        .execute(conn)
        .await
        .map_err(StoreError::while_("wipe the engine's state"))?;
    Ok(())
}
