//! Message secrets, with which later edits, votes and reactions to a message are read.

use std::collections::HashMap;

use async_trait::async_trait;
use wacore::store::traits::{MessageSecret, MsgSecretEntry, MsgSecretStore};
use wacore::store::traits::{merge_msg_secret_expiry, merge_msg_secret_message_ts};

use crate::store::engine_state::{self, Kind};

use super::{Backend, BackendError, WaResult, plain};

/// A stored secret: 32 bytes, then the parent message's time in eight, big-endian. The deadline is the row's stamp.
struct Secret {
    secret: MessageSecret,
    message_ts: i64,
}

impl Secret {
    fn encode(&self) -> Vec<u8> {
        [self.secret.as_slice(), &self.message_ts.to_be_bytes()].concat()
    }

    fn decode(bytes: &[u8]) -> Result<Self, BackendError> {
        let malformed = || BackendError::Malformed("a message secret has 40 bytes".into());
        let (secret, time) = bytes.split_first_chunk().ok_or_else(malformed)?;
        let time = time.try_into().map_err(|_| malformed())?;
        Ok(Self { secret: *secret, message_ts: i64::from_be_bytes(time) })
    }
}

impl Backend {
    fn secret_key(&self, chat: &str, sender: &str, msg_id: &str) -> Vec<u8> {
        self.hash(Kind::MessageSecret, &[chat.as_bytes(), sender.as_bytes(), msg_id.as_bytes()])
    }
}

#[async_trait]
impl MsgSecretStore for Backend {
    async fn put_msg_secrets(&self, entries: Vec<MsgSecretEntry>) -> WaResult<usize> {
        let count = entries.len();
        if count == 0 {
            return Ok(0);
        }
        let keyed: Vec<(Vec<u8>, MsgSecretEntry)> =
            entries.into_iter().map(|e| (self.secret_key(&e.chat, &e.sender, &e.msg_id), e)).collect();
        let wanted: Vec<Vec<u8>> = keyed.iter().map(|(key, _)| key.clone()).collect();
        let mut write = self.write().await?;
        let rows = engine_state::get_many(write.conn(), self.id, Kind::MessageSecret, b"", &wanted).await;
        let mut merged = HashMap::new();
        for (row, value) in self.open_all(Kind::MessageSecret, rows.map_err(BackendError::from)?)? {
            merged.insert(row.key, (Secret::decode(&value)?, row.stamp));
        }
        for (key, entry) in keyed {
            let new = match merged.get(&key) {
                None => (Secret { secret: entry.secret, message_ts: entry.message_ts }, entry.expires_at),
                Some((old, expires_at)) => (
                    Secret {
                        secret: entry.secret,
                        message_ts: merge_msg_secret_message_ts(old.message_ts, entry.message_ts),
                    },
                    merge_msg_secret_expiry(*expires_at, entry.expires_at),
                ),
            };
            merged.insert(key, new);
        }
        let rows: Vec<_> = merged
            .into_iter()
            .map(|(key, (secret, expires_at))| {
                self.seal(plain(Kind::MessageSecret, &key), &secret.encode(), expires_at)
            })
            .collect();
        let put = engine_state::put(write.conn(), self.id, Kind::MessageSecret, &rows).await;
        put.map_err(BackendError::from)?;
        write.commit().await?;
        Ok(count)
    }

    async fn get_msg_secret(&self, chat: &str, sender: &str, msg_id: &str) -> WaResult<Option<Vec<u8>>> {
        Ok(self.get_msg_secret_with_ts(chat, sender, msg_id).await?.map(|(secret, _)| secret))
    }

    async fn get_msg_secret_with_ts(&self, chat: &str, sender: &str, msg_id: &str) -> WaResult<Option<(Vec<u8>, i64)>> {
        let key = self.secret_key(chat, sender, msg_id);
        let Some(value) = self.get(plain(Kind::MessageSecret, &key)).await? else { return Ok(None) };
        let secret = Secret::decode(&value)?;
        Ok(Some((secret.secret.to_vec(), secret.message_ts)))
    }

    async fn delete_expired_msg_secrets(&self, cutoff_timestamp: i64) -> WaResult<u32> {
        // A deadline at the cutoff is past, too.
        Ok(self.delete_stamped_before(Kind::MessageSecret, cutoff_timestamp.saturating_add(1)).await?)
    }
}
