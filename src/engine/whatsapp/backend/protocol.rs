//! What the client knows about others: who is whom, which devices they have, what they were sent.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use wacore::store::traits::{
    DeviceListRecord, LidPnMappingEntry, PendingInboundKey, PendingInboundRow, ProtocolStore, TcTokenEntry,
};

use crate::store::engine_state::{self, Kind, RowKey};

use super::{Backend, BackendError, WaResult, Write, from_json, last_of_each, named, plain, to_json};

/// Whether a device has a group's sender key, with the address that its row is not named by.
#[derive(Serialize, Deserialize)]
struct SenderKeyDevice {
    jid: String,
    has_key: bool,
}

/// A trusted-contact token, with the address that its row is not named by.
#[derive(Serialize, Deserialize)]
struct TcToken {
    jid: String,
    entry: TcTokenEntry,
}

/// Changes a stored token; `None` leaves the row as it is.
type TokenChange<'a> = &'a (dyn Fn(Option<TcTokenEntry>) -> Option<TcTokenEntry> + Sync);

impl Backend {
    fn group(&self, group_jid: &str) -> Vec<u8> {
        self.hash(Kind::SenderKeyDevice, &[b"group", group_jid.as_bytes()])
    }

    fn sender_key_device(&self, device_jid: &str) -> Vec<u8> {
        self.hash(Kind::SenderKeyDevice, &[b"device", device_jid.as_bytes()])
    }

    fn named(&self, kind: Kind, name: &str) -> Vec<u8> {
        named(&self.cipher, kind, name)
    }

    fn message(&self, kind: Kind, chat: &str, id: &str) -> Vec<u8> {
        self.hash(kind, &[chat.as_bytes(), id.as_bytes()])
    }

    async fn change_token(&self, jid: &str, change: TokenChange<'_>) -> Result<(), BackendError> {
        let key = self.named(Kind::TcToken, jid);
        let at = plain(Kind::TcToken, &key);
        let mut write = self.write().await?;
        let old = write.get(at).await?.map(|value| from_json::<TcToken>(&value)).transpose()?;
        let Some(entry) = change(old.map(|old| old.entry)) else { return Ok(()) };
        write.put(at, &to_json(&TcToken { jid: jid.to_owned(), entry })).await?;
        write.commit().await
    }
}

async fn put_mapping(write: &mut Write<'_>, entry: &LidPnMappingEntry) -> Result<(), BackendError> {
    let backend = write.backend;
    let lid = backend.named(Kind::LidMapping, &entry.lid);
    let old = write.get(plain(Kind::LidMapping, &lid)).await?;
    let old = old.map(|value| from_json::<LidPnMappingEntry>(&value)).transpose()?;
    // A number that moved to another account must not lead to its former one.
    if let Some(old) = old.filter(|old| old.phone_number != entry.phone_number) {
        let key = backend.named(Kind::PhoneMapping, &old.phone_number);
        engine_state::take(write.conn(), backend.id, plain(Kind::PhoneMapping, &key)).await?;
    }
    let phone = backend.named(Kind::PhoneMapping, &entry.phone_number);
    write.put(plain(Kind::PhoneMapping, &phone), entry.lid.as_bytes()).await?;
    write.put(plain(Kind::LidMapping, &lid), &to_json(entry)).await
}

#[async_trait]
impl ProtocolStore for Backend {
    async fn get_sender_key_devices(&self, group_jid: &str) -> WaResult<Vec<(String, bool)>> {
        let rows = self.list(Kind::SenderKeyDevice, Some(&self.group(group_jid))).await?;
        rows.into_iter()
            .map(|(_, value)| {
                let device: SenderKeyDevice = from_json(&value)?;
                Ok((device.jid, device.has_key))
            })
            .collect()
    }

    async fn set_sender_key_status(&self, group_jid: &str, entries: &[(&str, bool)]) -> WaResult<()> {
        let scope = self.group(group_jid);
        let rows: Vec<_> = last_of_each(entries.iter().copied())
            .into_iter()
            .map(|(jid, has_key)| {
                let key = self.sender_key_device(jid);
                let device = SenderKeyDevice { jid: jid.to_owned(), has_key };
                self.seal(RowKey { kind: Kind::SenderKeyDevice, scope: &scope, key: &key }, &to_json(&device), 0)
            })
            .collect();
        Ok(self.put_all(Kind::SenderKeyDevice, &rows).await?)
    }

    async fn clear_sender_key_devices(&self, group_jid: &str) -> WaResult<()> {
        Ok(self.clear(Kind::SenderKeyDevice, Some(&self.group(group_jid))).await?)
    }

    async fn delete_sender_key_device_rows(&self, device_jids: &[&str]) -> WaResult<()> {
        let keys: Vec<Vec<u8>> = device_jids.iter().map(|jid| self.sender_key_device(jid)).collect();
        Ok(self.delete(Kind::SenderKeyDevice, None, &keys).await?)
    }

    async fn clear_all_sender_key_devices(&self) -> WaResult<()> {
        Ok(self.clear(Kind::SenderKeyDevice, None).await?)
    }

    async fn get_lid_mapping(&self, lid: &str) -> WaResult<Option<LidPnMappingEntry>> {
        Ok(self.get_json(plain(Kind::LidMapping, &self.named(Kind::LidMapping, lid))).await?)
    }

    async fn get_pn_mapping(&self, phone: &str) -> WaResult<Option<LidPnMappingEntry>> {
        let key = self.named(Kind::PhoneMapping, phone);
        let Some(lid) = self.get(plain(Kind::PhoneMapping, &key)).await? else { return Ok(None) };
        let lid = String::from_utf8(lid).map_err(|error| BackendError::Malformed(Box::new(error)))?;
        self.get_lid_mapping(&lid).await
    }

    async fn put_lid_mapping(&self, entry: &LidPnMappingEntry) -> WaResult<()> {
        self.put_lid_mappings(std::slice::from_ref(entry)).await
    }

    async fn put_lid_mappings(&self, entries: &[LidPnMappingEntry]) -> WaResult<()> {
        if entries.is_empty() {
            return Ok(());
        }
        let mut write = self.write().await?;
        for entry in entries {
            put_mapping(&mut write, entry).await?;
        }
        Ok(write.commit().await?)
    }

    async fn get_all_lid_mappings(&self) -> WaResult<Vec<LidPnMappingEntry>> {
        let rows = self.list(Kind::LidMapping, None).await?;
        rows.into_iter().map(|(_, value)| Ok(from_json(&value)?)).collect()
    }

    async fn save_base_key(&self, address: &str, message_id: &str, base_key: &[u8]) -> WaResult<()> {
        let key = self.message(Kind::BaseKey, address, message_id);
        Ok(self.put_one(plain(Kind::BaseKey, &key), base_key, 0).await?)
    }

    async fn has_same_base_key(&self, address: &str, message_id: &str, current_base_key: &[u8]) -> WaResult<bool> {
        let stored = self.get(plain(Kind::BaseKey, &self.message(Kind::BaseKey, address, message_id))).await?;
        Ok(stored.is_some_and(|stored| stored == current_base_key))
    }

    async fn delete_base_key(&self, address: &str, message_id: &str) -> WaResult<()> {
        Ok(self.delete(Kind::BaseKey, Some(b""), &[self.message(Kind::BaseKey, address, message_id)]).await?)
    }

    async fn update_device_list(&self, record: DeviceListRecord) -> WaResult<()> {
        self.update_device_lists(vec![record]).await
    }

    async fn update_device_lists(&self, records: Vec<DeviceListRecord>) -> WaResult<()> {
        let rows: Vec<_> = last_of_each(records.iter().map(|record| (record.user.as_str(), record)))
            .into_iter()
            .map(|(user, record)| {
                let key = self.named(Kind::DeviceList, user);
                self.seal(plain(Kind::DeviceList, &key), &to_json(record), 0)
            })
            .collect();
        Ok(self.put_all(Kind::DeviceList, &rows).await?)
    }

    async fn get_devices(&self, user: &str) -> WaResult<Option<DeviceListRecord>> {
        Ok(self.get_json(plain(Kind::DeviceList, &self.named(Kind::DeviceList, user))).await?)
    }

    async fn delete_devices(&self, user: &str) -> WaResult<()> {
        Ok(self.delete(Kind::DeviceList, Some(b""), &[self.named(Kind::DeviceList, user)]).await?)
    }

    async fn get_group_metadata(&self, group_jid: &str) -> WaResult<Option<Vec<u8>>> {
        Ok(self.get(plain(Kind::GroupMetadata, &self.named(Kind::GroupMetadata, group_jid))).await?)
    }

    async fn put_group_metadata(&self, group_jid: &str, blob: &[u8]) -> WaResult<()> {
        Ok(self.put_one(plain(Kind::GroupMetadata, &self.named(Kind::GroupMetadata, group_jid)), blob, 0).await?)
    }

    async fn delete_group_metadata(&self, group_jid: &str) -> WaResult<()> {
        Ok(self.delete(Kind::GroupMetadata, Some(b""), &[self.named(Kind::GroupMetadata, group_jid)]).await?)
    }

    async fn get_tc_token(&self, jid: &str) -> WaResult<Option<TcTokenEntry>> {
        let token: Option<TcToken> = self.get_json(plain(Kind::TcToken, &self.named(Kind::TcToken, jid))).await?;
        Ok(token.map(|token| token.entry))
    }

    async fn put_tc_token(&self, jid: &str, entry: &TcTokenEntry) -> WaResult<()> {
        Ok(self.change_token(jid, &|_| Some(entry.clone())).await?)
    }

    async fn delete_tc_token(&self, jid: &str) -> WaResult<()> {
        Ok(self.delete(Kind::TcToken, Some(b""), &[self.named(Kind::TcToken, jid)]).await?)
    }

    async fn get_all_tc_token_jids(&self) -> WaResult<Vec<String>> {
        let rows = self.list(Kind::TcToken, None).await?;
        rows.into_iter().map(|(_, value)| Ok(from_json::<TcToken>(&value)?.jid)).collect()
    }

    async fn delete_expired_tc_tokens(&self, token_cutoff: i64, sender_cutoff: i64) -> WaResult<u32> {
        let mut write = self.write().await?;
        let rows = engine_state::list(write.conn(), self.id, Kind::TcToken, None).await.map_err(BackendError::from)?;
        let mut dead = Vec::new();
        for (row, value) in self.open_all(Kind::TcToken, rows)? {
            let entry = from_json::<TcToken>(&value)?.entry;
            let token_lives = !entry.token.is_empty() && entry.token_timestamp >= token_cutoff;
            let sender_lives = entry.sender_timestamp.is_some_and(|at| at >= sender_cutoff);
            if !token_lives && !sender_lives {
                dead.push(row.key);
            }
        }
        let deleted = engine_state::delete(write.conn(), self.id, Kind::TcToken, Some(b""), &dead).await;
        deleted.map_err(BackendError::from)?;
        write.commit().await?;
        Ok(u32::try_from(dead.len()).unwrap_or(u32::MAX))
    }

    async fn touch_tc_token_sender_timestamp(&self, jid: &str, sender_timestamp: i64) -> WaResult<()> {
        let change = |old: Option<TcTokenEntry>| {
            Some(match old {
                Some(old) => TcTokenEntry {
                    sender_timestamp: Some(
                        old.sender_timestamp.map_or(sender_timestamp, |at| at.max(sender_timestamp)),
                    ),
                    ..old
                },
                None => TcTokenEntry {
                    token: Vec::new(),
                    token_timestamp: sender_timestamp,
                    sender_timestamp: Some(sender_timestamp),
                },
            })
        };
        Ok(self.change_token(jid, &change).await?)
    }

    async fn store_received_tc_token(&self, jid: &str, token: &[u8], token_timestamp: i64) -> WaResult<()> {
        let change = |old: Option<TcTokenEntry>| match old {
            Some(old) if !old.token.is_empty() && token_timestamp < old.token_timestamp => None,
            old => Some(TcTokenEntry {
                token: token.to_vec(),
                token_timestamp,
                sender_timestamp: old.and_then(|old| old.sender_timestamp),
            }),
        };
        Ok(self.change_token(jid, &change).await?)
    }

    // Stamps are read from the library's clock, because the cutoffs of its clean-ups are.

    async fn store_sent_message(&self, chat_jid: &str, message_id: &str, payload: &[u8]) -> WaResult<()> {
        let key = self.message(Kind::SentMessage, chat_jid, message_id);
        Ok(self.put_one(plain(Kind::SentMessage, &key), payload, wacore::time::now_secs()).await?)
    }

    async fn take_sent_message(&self, chat_jid: &str, message_id: &str) -> WaResult<Option<Vec<u8>>> {
        let key = self.message(Kind::SentMessage, chat_jid, message_id);
        let mut write = self.write().await?;
        let row = engine_state::take(write.conn(), self.id, plain(Kind::SentMessage, &key)).await;
        let value = row.map_err(BackendError::from)?.map(|row| self.open(Kind::SentMessage, &row)).transpose()?;
        write.commit().await?;
        Ok(value)
    }

    async fn delete_expired_sent_messages(&self, cutoff_timestamp: i64) -> WaResult<u32> {
        Ok(self.delete_stamped_before(Kind::SentMessage, cutoff_timestamp).await?)
    }

    async fn store_pending_inbound(&self, chat: &str, sender: &str, id: &str, message: &[u8]) -> WaResult<()> {
        self.store_pending_inbound_batch(&[PendingInboundRow { chat, sender, id, message }]).await
    }

    async fn get_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> WaResult<Option<Vec<u8>>> {
        Ok(self.get_pending(chat, sender, id).await?)
    }

    async fn delete_pending_inbound(&self, chat: &str, sender: &str, id: &str) -> WaResult<()> {
        self.delete_pending_inbound_batch(&[PendingInboundKey { chat, sender, id }]).await
    }

    async fn delete_expired_pending_inbound(&self, cutoff_timestamp: i64) -> WaResult<u32> {
        Ok(self.delete_stamped_before(Kind::PendingInbound, cutoff_timestamp).await?)
    }

    async fn store_pending_inbound_batch(&self, rows: &[PendingInboundRow<'_>]) -> WaResult<()> {
        Ok(self.put_pending(rows).await?)
    }

    async fn delete_pending_inbound_batch(&self, keys: &[PendingInboundKey<'_>]) -> WaResult<()> {
        Ok(self.delete_pending(keys).await?)
    }
}
