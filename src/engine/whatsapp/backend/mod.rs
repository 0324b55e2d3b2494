//! The client's storage on our tables: one [`Backend`] for each run.
//!
//! Three rules hold for every method. Values are sealed with the instance's key and their own row's name. What a row is
//! found by is a keyed hash, because the natural keys are phone numbers. And each writing transaction first proves
//! that the lease is still ours: a node that lost it changes nothing, because a Signal ratchet rolled back by a stale
//! owner cannot be mended.
//!
//! What each method must do is what the library's own in-memory store does; a test compares the two.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;
use tokio::sync::{Mutex, MutexGuard};
use tokio_util::sync::CancellationToken;
use wacore::store::error::StoreError as WaError;

use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::store::engine_state::{self, Kind, Row, RowKey};
use crate::store::vault::{CipherError, InstanceCipher};
use crate::store::{Store, StoreError, lease};

mod addresses;
mod app_sync;
mod device;
mod message_secret;
mod pending;
mod prekey;
mod protocol;
mod signal;

pub(super) use addresses::other as other_address;
pub(super) use device::read as read_device;
pub(super) use pending::{Missing, PendingKey, as_unreadable};

/// What the library expects of its stores.
type WaResult<T> = Result<T, WaError>;

const TABLE: &str = "engine_state";

/// An instance's WhatsApp state.
#[derive(Debug)]
pub struct Backend {
    store: Store,
    id: InstanceId,
    fence: Fence,
    cipher: InstanceCipher,
    /// Writes of one instance follow each other: some read before they write, and one busy instance must not take
    /// more than one of the pool's connections.
    writing: Arc<Mutex<()>>,
    pending: pending::Copies,
    /// Cancelled when something that came in could not be kept.
    spoiled: CancellationToken,
}

/// Why a method of the backend failed; the library sees it boxed in its own error.
#[derive(Debug, thiserror::Error)]
pub enum BackendError {
    /// The instance is another node's: nothing was written.
    #[error("the lease of the instance belongs to another owner")]
    LeaseLost,
    /// The run could not keep what came in: it writes nothing more.
    #[error("the run could not keep what came in and writes nothing more")]
    Spoiled,
    /// It was decrypted before, and nobody took it in: it is to be sent again until somebody does.
    #[error("a message was lost in a crash and is asked for again")]
    Missing,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row does not open.
    #[error(transparent)]
    Cipher(#[from] CipherError),
    /// A row opened and makes no sense.
    #[error("a row of the engine's state is malformed")]
    Malformed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl From<BackendError> for WaError {
    fn from(error: BackendError) -> Self {
        Self::Database(Box::new(error))
    }
}

impl Backend {
    /// A backend that reads and, under `fence`, writes the instance's state.
    pub fn new(store: Store, id: InstanceId, fence: Fence, cipher: InstanceCipher) -> Self {
        let (writing, pending, spoiled) = (Arc::default(), pending::Copies::default(), CancellationToken::new());
        Self { store, id, fence, cipher, writing, pending, spoiled }
    }

    /// Something that came in could not be kept. From now on the run writes nothing: a Signal ratchet that were saved
    /// now would have WhatsApp's next attempt to deliver it taken for a repetition.
    pub(super) fn spoil(&self) {
        self.spoiled.cancel();
    }

    /// Cancelled once the run must end, because it could not keep what came in.
    pub(super) fn spoiled(&self) -> CancellationToken {
        self.spoiled.clone()
    }

    /// Begins a transaction that only the owner of the lease may commit.
    async fn write(&self) -> Result<Write<'_>, BackendError> {
        let turn = self.writing.lock().await;
        if self.spoiled.is_cancelled() {
            return Err(BackendError::Spoiled);
        }
        let mut transaction = self.store.begin().await?;
        if lease::hold(&mut transaction, self.id, self.fence).await? {
            Ok(Write { backend: self, transaction, _turn: turn })
        } else {
            Err(BackendError::LeaseLost)
        }
    }

    async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, BackendError> {
        Ok(self.store.acquire().await?)
    }

    async fn get(&self, at: RowKey<'_>) -> Result<Option<Vec<u8>>, BackendError> {
        let mut conn = self.connection().await?;
        let row = engine_state::get(&mut conn, self.id, at).await?;
        drop(conn);
        row.map(|row| self.open(at.kind, &row)).transpose()
    }

    async fn get_json<T: DeserializeOwned>(&self, at: RowKey<'_>) -> Result<Option<T>, BackendError> {
        self.get(at).await?.map(|value| from_json(&value)).transpose()
    }

    async fn list(&self, kind: Kind, scope: Option<&[u8]>) -> Result<Vec<(Row, Vec<u8>)>, BackendError> {
        let mut conn = self.connection().await?;
        let rows = engine_state::list(&mut conn, self.id, kind, scope).await?;
        drop(conn);
        self.open_all(kind, rows)
    }

    async fn put_one(&self, at: RowKey<'_>, value: &[u8], stamp: i64) -> Result<(), BackendError> {
        self.put_all(at.kind, &[self.seal(at, value, stamp)]).await
    }

    async fn put_json<T: Serialize + Sync>(&self, at: RowKey<'_>, value: &T) -> Result<(), BackendError> {
        self.put_one(at, &to_json(value), 0).await
    }

    async fn put_all(&self, kind: Kind, rows: &[Row]) -> Result<(), BackendError> {
        if rows.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        engine_state::put(write.conn(), self.id, kind, rows).await?;
        write.commit().await
    }

    async fn delete(&self, kind: Kind, scope: Option<&[u8]>, keys: &[Vec<u8>]) -> Result<(), BackendError> {
        if keys.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        engine_state::delete(write.conn(), self.id, kind, scope, keys).await?;
        write.commit().await
    }

    async fn clear(&self, kind: Kind, scope: Option<&[u8]>) -> Result<(), BackendError> {
        let mut write = self.write().await?;
        engine_state::clear(write.conn(), self.id, kind, scope).await?;
        write.commit().await
    }

    async fn delete_stamped_before(&self, kind: Kind, cutoff: i64) -> Result<u32, BackendError> {
        let mut write = self.write().await?;
        let deleted = engine_state::delete_stamped_before(write.conn(), self.id, kind, cutoff).await?;
        write.commit().await?;
        Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
    }

    /// The name of a row whose natural key is personal.
    fn hash(&self, kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
        hash(&self.cipher, kind, parts)
    }

    fn seal(&self, at: RowKey<'_>, value: &[u8], stamp: i64) -> Row {
        Row {
            scope: at.scope.to_vec(),
            key: at.key.to_vec(),
            value: self.cipher.seal(TABLE, &row_name(at.kind, at.scope, at.key), value),
            stamp,
        }
    }

    fn open(&self, kind: Kind, row: &Row) -> Result<Vec<u8>, BackendError> {
        Ok(self.cipher.open(TABLE, &row_name(kind, &row.scope, &row.key), &row.value)?)
    }

    fn open_all(&self, kind: Kind, rows: Vec<Row>) -> Result<Vec<(Row, Vec<u8>)>, BackendError> {
        rows.into_iter()
            .map(|row| {
                let value = self.open(kind, &row)?;
                Ok((row, value))
            })
            .collect()
    }
}

/// A transaction of the owner.
struct Write<'a> {
    backend: &'a Backend,
    transaction: sqlx::Transaction<'static, sqlx::Postgres>,
    _turn: MutexGuard<'a, ()>,
}

impl Write<'_> {
    fn conn(&mut self) -> &mut PgConnection {
        &mut self.transaction
    }

    async fn get(&mut self, at: RowKey<'_>) -> Result<Option<Vec<u8>>, BackendError> {
        let row = engine_state::get(&mut self.transaction, self.backend.id, at).await?;
        row.map(|row| self.backend.open(at.kind, &row)).transpose()
    }

    async fn put(&mut self, at: RowKey<'_>, value: &[u8]) -> Result<(), BackendError> {
        let row = self.backend.seal(at, value, 0);
        Ok(engine_state::put(&mut self.transaction, self.backend.id, at.kind, &[row]).await?)
    }

    async fn commit(self) -> Result<(), BackendError> {
        Ok(self.transaction.commit().await.map_err(StoreError::while_("commit the engine's state"))?)
    }
}

fn hash(cipher: &InstanceCipher, kind: Kind, parts: &[&[u8]]) -> Vec<u8> {
    let kind = (kind as i16).to_be_bytes();
    let parts: Vec<&[u8]> = std::iter::once(kind.as_slice()).chain(parts.iter().copied()).collect();
    cipher.lookup_key(&parts).to_vec()
}

/// The name of a row that is found by one word.
fn named(cipher: &InstanceCipher, kind: Kind, name: &str) -> Vec<u8> {
    hash(cipher, kind, &[name.as_bytes()])
}

/// A row in no scope.
fn plain(kind: Kind, key: &[u8]) -> RowKey<'_> {
    RowKey { kind, scope: b"", key }
}

fn row_name(kind: Kind, scope: &[u8], key: &[u8]) -> Vec<u8> {
    let scope_length = u32::try_from(scope.len()).expect("a scope is a hash");
    [&(kind as i16).to_be_bytes(), scope_length.to_be_bytes().as_slice(), scope, key].concat()
}

fn to_json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("the library's records are plain data")
}

fn from_json<T: DeserializeOwned>(value: &[u8]) -> Result<T, BackendError> {
    serde_json::from_slice(value).map_err(|error| BackendError::Malformed(Box::new(error)))
}

/// One entry for each key, the last one given: a batch may name a row twice, a statement may not.
fn last_of_each<K: Eq + std::hash::Hash, V>(entries: impl IntoIterator<Item = (K, V)>) -> Vec<(K, V)> {
    entries.into_iter().collect::<std::collections::HashMap<_, _>>().into_iter().collect()
}
