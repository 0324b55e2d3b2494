//! The device itself: its keys, its account, its counters.

use async_trait::async_trait;
use sqlx::PgConnection;
use wacore::stats::StorageResourceReport;
use wacore::store::Device;
use wacore::store::traits::DeviceStore;

use crate::domain::instance::InstanceId;
use crate::store::engine_state::{self, Kind};
use crate::store::vault::InstanceCipher;

use super::{Backend, BackendError, TABLE, WaResult, from_json, plain, row_name, to_json};

/// The first byte of a stored device: how the rest is to be read.
const FORMAT: u8 = 1;

/// The library numbers devices; here each has a backend of its own.
const ONLY_DEVICE: i32 = 1;

pub(super) fn encode(device: &Device) -> Vec<u8> {
    [&[FORMAT], to_json(device).as_slice()].concat()
}

pub(super) fn decode(bytes: &[u8]) -> Result<Device, BackendError> {
    match bytes {
        [FORMAT, json @ ..] => from_json(json),
        _ => Err(BackendError::Malformed("the device was written by a release this one does not know".into())),
    }
}

/// Reads the stored device without a run.
pub(in crate::engine::whatsapp) async fn read(
    conn: &mut PgConnection,
    id: InstanceId,
    cipher: &InstanceCipher,
) -> Result<Option<Device>, BackendError> {
    let Some(row) = engine_state::get(conn, id, plain(Kind::Device, b"")).await? else { return Ok(None) };
    let opened = cipher.open(TABLE, &row_name(Kind::Device, &row.scope, &row.key), &row.value)?;
    decode(&opened).map(Some)
}

#[async_trait]
impl DeviceStore for Backend {
    async fn save(&self, device: &Device) -> WaResult<()> {
        Ok(self.put_one(plain(Kind::Device, b""), &encode(device), 0).await?)
    }

    async fn load(&self) -> WaResult<Option<Device>> {
        let value = self.get(plain(Kind::Device, b"")).await?;
        Ok(value.map(|value| decode(&value)).transpose()?)
    }

    async fn exists(&self) -> WaResult<bool> {
        Ok(self.get(plain(Kind::Device, b"")).await?.is_some())
    }

    async fn create(&self) -> WaResult<i32> {
        let mut write = self.write().await?;
        if write.get(plain(Kind::Device, b"")).await?.is_none() {
            write.put(plain(Kind::Device, b""), &encode(&Device::new())).await?;
            write.commit().await?;
        }
        Ok(ONLY_DEVICE)
    }

    async fn resource_report(&self) -> StorageResourceReport {
        // The rows are in another process's memory.
        let mut report = StorageResourceReport::default();
        report.memory_bytes = Some(0);
        report
    }
}
