//! Copies of messages that came in and are not committed yet: what they are replayed from.

use std::collections::HashSet;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::PgConnection;
use tokio::sync::mpsc;
use wacore::store::traits::{PendingInboundKey, PendingInboundRow};
use wacore::types::message::MessageInfo;
use wacore_binary::Jid;

use crate::store::engine_state::{self, Kind};
use crate::store::{StoreError, event};

use super::{Backend, BackendError, last_of_each, plain};

/// Names a copy.
pub(in crate::engine::whatsapp) type PendingKey = Vec<u8>;

/// How long it takes at most, on a busy machine, from the decryption of a message to the storing of its copy; ratchets
/// are saved every 25 ms at most.
const HEAD_START: Duration = Duration::from_millis(10);

/// So many deletions are remembered; past it they are forgotten, which costs a statement each.
const REMEMBERED: usize = 4096;

/// So many missing messages may wait to be asked for again.
const MISSING: usize = 64;

/// A message that came before, of which there is neither a copy nor an event.
#[derive(Debug)]
pub(in crate::engine::whatsapp) struct Missing {
    /// The chat's address.
    pub(in crate::engine::whatsapp) chat: String,
    /// The address of the device that sent it.
    pub(in crate::engine::whatsapp) sender: String,
    /// Its id.
    pub(in crate::engine::whatsapp) id: String,
}

/// What stands for the chat of a message once that was told as unreadable: the message itself may yet come, and is then
/// told.
pub(in crate::engine::whatsapp) fn as_unreadable(chat: &str) -> String {
    format!("unreadable {chat}")
}

/// What is known of copies besides their rows.
#[derive(Debug)]
pub(super) struct Copies {
    /// Those that went with the transaction that made them superfluous, before the library asks for that.
    gone: Mutex<HashSet<PendingKey>>,
    missing: mpsc::Sender<Missing>,
    heard: Mutex<Option<mpsc::Receiver<Missing>>>,
}

impl Default for Copies {
    fn default() -> Self {
        let (missing, heard) = mpsc::channel(MISSING);
        Self { gone: Mutex::default(), missing, heard: Mutex::new(Some(heard)) }
    }
}

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
        let mut gone = self.pending.gone.lock();
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

    /// A copy, which the library asks for when it is sent a message that it has decrypted before. Without one the message
    /// was taken in, or lost. One that was lost is not acknowledged, which an error sees to: should this run die before it
    /// has come again, WhatsApp reminds the next one of it.
    pub(super) async fn get_pending(
        &self,
        chat: &str,
        sender: &str,
        id: &str,
    ) -> Result<Option<Vec<u8>>, BackendError> {
        let copy = self.get(plain(Kind::PendingInbound, &self.pending_row(chat, sender, id))).await?;
        let (Ok(in_chat), Ok(from)) = (chat.parse::<Jid>(), sender.parse::<Jid>()) else { return Ok(copy) };
        if copy.is_none() {
            let key = [in_chat.to_non_ad_string(), from.to_non_ad_string()];
            let mut conn = self.connection().await?;
            for chat in [&key[0], &as_unreadable(&key[0])] {
                if event::is_seen(&mut conn, &self.cipher, self.id, &[chat, &key[1], id]).await? {
                    return Ok(None);
                }
            }
            let missing = Missing { chat: chat.to_owned(), sender: sender.to_owned(), id: id.to_owned() };
            // When more are missing than can wait, the others are for the next connection.
            let _ = self.pending.missing.try_send(missing);
            return Err(BackendError::Missing);
        }
        Ok(copy)
    }

    /// Hears of missing messages. There is one who does.
    pub(in crate::engine::whatsapp) fn missing(&self) -> Option<mpsc::Receiver<Missing>> {
        self.pending.heard.lock().take()
    }

    /// Lets the copies of messages that were decrypted before a ratchet was read be stored before it is: both wait for
    /// their turn to write, and a crash in between would leave a message that can be decrypted no more.
    pub(super) async fn after_copies(&self) {
        tokio::time::sleep(HEAD_START).await;
    }

    pub(super) async fn delete_pending(&self, keys: &[PendingInboundKey<'_>]) -> Result<(), BackendError> {
        let keys = keys.iter().map(|key| self.pending_row(key.chat, key.sender, key.id));
        let left: Vec<PendingKey> = {
            let mut gone = self.pending.gone.lock();
            keys.filter(|key| !gone.remove(key)).collect()
        };
        self.delete(Kind::PendingInbound, Some(b""), &left).await
    }
}
