//! App state: sync keys, the versions of collections and the MACs of their mutations.

use std::collections::HashMap;

use async_trait::async_trait;
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::traits::{AppStateSyncKey, AppSyncStore};

use crate::store::engine_state::{self, Kind, RowKey};

use super::{Backend, BackendError, WaResult, last_of_each, plain, to_json};

impl Backend {
    fn collection(&self, name: &str) -> Vec<u8> {
        self.hash(Kind::Version, &[name.as_bytes()])
    }

    fn mutation(&self, index_mac: &[u8]) -> Vec<u8> {
        self.hash(Kind::MutationMac, &[index_mac])
    }
}

#[async_trait]
impl AppSyncStore for Backend {
    async fn get_sync_key(&self, key_id: &[u8]) -> WaResult<Option<AppStateSyncKey>> {
        Ok(self.get_json(plain(Kind::SyncKey, &self.hash(Kind::SyncKey, &[key_id]))).await?)
    }

    async fn set_sync_key(&self, key_id: &[u8], key: AppStateSyncKey) -> WaResult<()> {
        let mut write = self.write().await?;
        write.put(plain(Kind::SyncKey, &self.hash(Kind::SyncKey, &[key_id])), &to_json(&key)).await?;
        write.put(plain(Kind::LatestSyncKey, b""), key_id).await?;
        Ok(write.commit().await?)
    }

    async fn get_version(&self, name: &str) -> WaResult<HashState> {
        Ok(self.get_json(plain(Kind::Version, &self.collection(name))).await?.unwrap_or_default())
    }

    async fn set_version(&self, name: &str, state: HashState) -> WaResult<()> {
        Ok(self.put_json(plain(Kind::Version, &self.collection(name)), &state).await?)
    }

    async fn put_mutation_macs(&self, name: &str, _version: u64, mutations: &[AppStateMutationMAC]) -> WaResult<()> {
        let scope = self.collection(name);
        let rows: Vec<_> = last_of_each(mutations.iter().map(|mac| (&mac.index_mac, &mac.value_mac)))
            .into_iter()
            .map(|(index_mac, value_mac)| {
                let key = self.mutation(index_mac);
                self.seal(RowKey { kind: Kind::MutationMac, scope: &scope, key: &key }, value_mac, 0)
            })
            .collect();
        Ok(self.put_all(Kind::MutationMac, &rows).await?)
    }

    async fn get_mutation_mac(&self, name: &str, index_mac: &[u8]) -> WaResult<Option<Vec<u8>>> {
        let (scope, key) = (self.collection(name), self.mutation(index_mac));
        Ok(self.get(RowKey { kind: Kind::MutationMac, scope: &scope, key: &key }).await?)
    }

    async fn get_mutation_macs(&self, name: &str, index_macs: &[[u8; 32]]) -> WaResult<HashMap<[u8; 32], Vec<u8>>> {
        let by_key: HashMap<Vec<u8>, [u8; 32]> =
            index_macs.iter().map(|index_mac| (self.mutation(index_mac), *index_mac)).collect();
        let wanted: Vec<Vec<u8>> = by_key.keys().cloned().collect();
        let mut conn = self.connection().await?;
        let rows = engine_state::get_many(&mut conn, self.id, Kind::MutationMac, &self.collection(name), &wanted).await;
        drop(conn);
        let opened = self.open_all(Kind::MutationMac, rows.map_err(BackendError::from)?)?;
        Ok(opened.into_iter().filter_map(|(row, mac)| Some((*by_key.get(&row.key)?, mac))).collect())
    }

    async fn delete_mutation_macs(&self, name: &str, index_macs: &[Vec<u8>]) -> WaResult<()> {
        let keys: Vec<Vec<u8>> = index_macs.iter().map(|index_mac| self.mutation(index_mac)).collect();
        Ok(self.delete(Kind::MutationMac, Some(&self.collection(name)), &keys).await?)
    }

    async fn clear_mutation_macs(&self, name: &str) -> WaResult<()> {
        Ok(self.clear(Kind::MutationMac, Some(&self.collection(name))).await?)
    }

    async fn get_latest_sync_key_id(&self) -> WaResult<Option<Vec<u8>>> {
        Ok(self.get(plain(Kind::LatestSyncKey, b"")).await?)
    }
}
