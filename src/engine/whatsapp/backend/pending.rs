//! Copies of messages that came in and are not committed yet: what they are replayed from.

use std::collections::HashSet;

use parking_lot::Mutex;
use sqlx::PgConnection;
use wacore::store::traits::{PendingInboundKey, PendingInboundRow};
use wacore::types::message::MessageInfo;

use crate::store::StoreError;
use crate::store::engine_state::{self, Kind};

use super::{Backend, BackendError, last_of_each, plain};

/// Names a copy.
pub(in crate::engine::whatsapp) type PendingKey = Vec<u8>;

/// So many deletions are remembered; past it they are forgotten, which costs a statement each.
const REMEMBERED: usize = 4096;

/// Copies that went with the transaction that made them superfluous, before the library asks for that.
#[derive(Debug, Default)]
pub(super) struct Gone(Mutex<HashSet<PendingKey>>);

impl Backend {
    pub(super) fn pending_row(&self, chat: &str, sender: &str, id: &str) -> PendingKey {
        self.hash(Kind::PendingInbound, &[chat.as_bytes(), sender.as_bytes(), id.as_bytes()])
    }

    /// The copy of a message.
    pub(in crate::engine::whatsapp) fn pending_key(&self, info: &MessageInfo) -> PendingKey {
        self.pending_row(&info.source.chat.to_string(), &info.source.sender.to_string(), &info.id)
    }

    /// Deletes copies in the transaction that commits what they were kept for.
    pub(in crate::engine::whatsapp) async fn drop_pending(
        &self,
        conn: &mut PgConnection,
        keys: &[PendingKey],
    ) -> Result<(), StoreError> {
        if keys.is_empty() {
            return Ok(());
        }
        engine_state::delete(conn, self.id, Kind::PendingInbound, Some(b""), keys).await
    }

    /// That transaction was committed: the library's own deletion, which follows, finds nothing to do.
    pub(in crate::engine::whatsapp) fn pending_is_gone(&self, keys: Vec<PendingKey>) {
        let mut gone = self.pending.0.lock();
        if gone.len() > REMEMBERED {
            gone.clear();
        }
        gone.extend(keys);
    }

    /// Stores copies. If that fails the run is spoiled: the ratchet has moved on, in memory, and must not be saved.
    pub(super) async fn put_pending(&self, rows: &[PendingInboundRow<'_>]) -> Result<(), BackendError> {
        let now = wacore::time::now_secs();
        let keyed = rows.iter().map(|row| (self.pending_row(row.chat, row.sender, row.id), row.message));
        let rows: Vec<_> = last_of_each(keyed)
            .into_iter()
            .map(|(key, message)| self.seal(plain(Kind::PendingInbound, &key), message, now))
            .collect();
        let put = self.put_all(Kind::PendingInbound, &rows).await;
        if put.is_err() {
            self.spoil();
        }
        put
    }

    pub(super) async fn delete_pending(&self, keys: &[PendingInboundKey<'_>]) -> Result<(), BackendError> {
        let keys = keys.iter().map(|key| self.pending_row(key.chat, key.sender, key.id));
        let left: Vec<PendingKey> = {
            let mut gone = self.pending.0.lock();
            keys.filter(|key| !gone.remove(key)).collect()
        };
        self.delete(Kind::PendingInbound, Some(b""), &left).await
    }
}
