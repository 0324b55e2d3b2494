//! Signal state: identities, sessions, prekeys and sender keys.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use wacore::store::traits::SignalStore;

use crate::store::engine_state::{self, Kind, Row, RowKey};

use super::{Backend, BackendError, WaResult, last_of_each, plain};

/// The user part of a Signal address, `user@server` or `user:device@server`.
fn user_of(address: &str) -> &str {
    address.find(['@', ':']).map_or(address, |end| &address[..end])
}

impl Backend {
    /// The rows of one user share a scope, so that "is there anything for this user" is one look.
    fn user_scope(&self, user: &str) -> Vec<u8> {
        self.hash(Kind::Session, &[b"user", user.as_bytes()])
    }

    fn address_rows<'a>(&self, kind: Kind, entries: impl Iterator<Item = (&'a str, &'a [u8])>) -> Vec<Row> {
        last_of_each(entries)
            .into_iter()
            .map(|(address, value)| {
                let (scope, key) = self.address(kind, address);
                self.seal(RowKey { kind, scope: &scope, key: &key }, value, 0)
            })
            .collect()
    }

    fn address(&self, kind: Kind, address: &str) -> (Vec<u8>, Vec<u8>) {
        (self.user_scope(user_of(address)), self.hash(kind, &[address.as_bytes()]))
    }

    async fn get_address(&self, kind: Kind, address: &str) -> Result<Option<Vec<u8>>, BackendError> {
        let (scope, key) = self.address(kind, address);
        self.get(RowKey { kind, scope: &scope, key: &key }).await
    }

    async fn put_addresses<'a>(
        &self,
        kind: Kind,
        entries: impl Iterator<Item = (&'a str, &'a [u8])> + Send,
    ) -> Result<(), BackendError> {
        let rows = self.address_rows(kind, entries);
        self.put_all(kind, &rows).await
    }

    async fn delete_address(&self, kind: Kind, address: &str) -> Result<(), BackendError> {
        let (scope, key) = self.address(kind, address);
        self.delete(kind, Some(&scope), &[key]).await
    }
}

#[async_trait]
impl SignalStore for Backend {
    async fn put_identity(&self, address: &str, key: [u8; 32]) -> WaResult<()> {
        Ok(self.put_addresses(Kind::Identity, std::iter::once((address, key.as_slice()))).await?)
    }

    async fn put_identities_batch(&self, identities: &[(Arc<str>, [u8; 32])]) -> WaResult<()> {
        let entries = identities.iter().map(|(address, key)| (address.as_ref(), key.as_slice()));
        Ok(self.put_addresses(Kind::Identity, entries).await?)
    }

    async fn load_identity(&self, address: &str) -> WaResult<Option<[u8; 32]>> {
        let Some(value) = self.get_address(Kind::Identity, address).await? else { return Ok(None) };
        let key =
            <[u8; 32]>::try_from(value).map_err(|_| BackendError::Malformed("an identity key has 32 bytes".into()))?;
        Ok(Some(key))
    }

    async fn delete_identity(&self, address: &str) -> WaResult<()> {
        Ok(self.delete_address(Kind::Identity, address).await?)
    }

    async fn get_session(&self, address: &str) -> WaResult<Option<Bytes>> {
        Ok(self.get_address(Kind::Session, address).await?.map(Bytes::from))
    }

    async fn put_session(&self, address: &str, session: &[u8]) -> WaResult<()> {
        Ok(self.put_addresses(Kind::Session, std::iter::once((address, session))).await?)
    }

    async fn put_sessions_batch(&self, sessions: &[(Arc<str>, Bytes)]) -> WaResult<()> {
        self.after_copies().await;
        let entries = sessions.iter().map(|(address, session)| (address.as_ref(), session.as_ref()));
        Ok(self.put_addresses(Kind::Session, entries).await?)
    }

    async fn delete_session(&self, address: &str) -> WaResult<()> {
        Ok(self.delete_address(Kind::Session, address).await?)
    }

    async fn has_session(&self, address: &str) -> WaResult<bool> {
        Ok(self.get_address(Kind::Session, address).await?.is_some())
    }

    async fn has_signal_state_for_user(&self, user: &str) -> WaResult<bool> {
        // The library asks with bare users. For anything else the answer that costs nothing but a scan is yes.
        if user.contains(['@', ':']) {
            return Ok(true);
        }
        let mut conn = self.connection().await?;
        let kinds = [Kind::Session, Kind::Identity];
        let any = engine_state::any(&mut conn, self.id, &kinds, &self.user_scope(user)).await;
        Ok(any.map_err(BackendError::from)?)
    }

    // Whether a prekey was uploaded is not kept: nothing in these traits can ask for it. The client keeps watermarks in
    // its device instead.

    async fn store_prekey(&self, id: u32, record: &[u8], _uploaded: bool) -> WaResult<()> {
        Ok(self.store_prekeys(std::iter::once((id, Bytes::copy_from_slice(record)))).await?)
    }

    async fn store_prekeys_batch(&self, keys: &[(u32, Bytes)], _uploaded: bool) -> WaResult<()> {
        Ok(self.store_prekeys(keys.iter().cloned()).await?)
    }

    async fn load_prekey(&self, id: u32) -> WaResult<Option<Bytes>> {
        Ok(self.load_prekeys(&[id]).await?.pop().map(|(_, record)| record))
    }

    async fn load_prekeys_batch(&self, ids: &[u32]) -> WaResult<Vec<(u32, Bytes)>> {
        Ok(self.load_prekeys(ids).await?)
    }

    async fn mark_prekeys_uploaded(&self, _ids: &[u32]) -> WaResult<()> {
        Ok(())
    }

    async fn remove_prekey(&self, id: u32) -> WaResult<()> {
        Ok(self.remove_one_prekey(id).await?)
    }

    async fn get_max_prekey_id(&self) -> WaResult<u32> {
        Ok(self.max_prekey_id().await?)
    }

    async fn store_signed_prekey(&self, id: u32, record: &[u8]) -> WaResult<()> {
        Ok(self.put_one(plain(Kind::SignedPrekey, &id.to_be_bytes()), record, 0).await?)
    }

    async fn load_signed_prekey(&self, id: u32) -> WaResult<Option<Vec<u8>>> {
        Ok(self.get(plain(Kind::SignedPrekey, &id.to_be_bytes())).await?)
    }

    async fn load_all_signed_prekeys(&self) -> WaResult<Vec<(u32, Vec<u8>)>> {
        let rows = self.list(Kind::SignedPrekey, None).await?;
        rows.into_iter()
            .map(|(row, record)| {
                let id = <[u8; 4]>::try_from(row.key)
                    .map_err(|_| BackendError::Malformed("a signed prekey's id has four bytes".into()))?;
                Ok((u32::from_be_bytes(id), record))
            })
            .collect()
    }

    async fn remove_signed_prekey(&self, id: u32) -> WaResult<()> {
        Ok(self.delete(Kind::SignedPrekey, Some(b""), &[id.to_be_bytes().to_vec()]).await?)
    }

    async fn put_sender_key(&self, address: &str, record: &[u8]) -> WaResult<()> {
        Ok(self.put_addresses(Kind::SenderKey, std::iter::once((address, record))).await?)
    }

    async fn put_sender_keys_batch(&self, sender_keys: &[(Arc<str>, Bytes)]) -> WaResult<()> {
        self.after_copies().await;
        let entries = sender_keys.iter().map(|(address, record)| (address.as_ref(), record.as_ref()));
        Ok(self.put_addresses(Kind::SenderKey, entries).await?)
    }

    async fn get_sender_key(&self, address: &str) -> WaResult<Option<Vec<u8>>> {
        Ok(self.get_address(Kind::SenderKey, address).await?)
    }

    async fn delete_sender_key(&self, address: &str) -> WaResult<()> {
        Ok(self.delete_address(Kind::SenderKey, address).await?)
    }
}
