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
        StorageResourceReport { memory_bytes: Some(0), ..StorageResourceReport::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A linked device as release 0.1 stores it (its keys were made for this file and are used nowhere).
    const STORED_BY_0_1: &[u8] = include_bytes!("../../../../tests/fixtures/device-0.1.bin");

    #[test]
    fn a_device_stored_by_an_earlier_release_reads() {
        let device = decode(STORED_BY_0_1).unwrap();
        assert_eq!(device.pn.as_ref().unwrap().to_string(), "201012345678:7@s.whatsapp.net");
        assert_eq!(device.lid.as_ref().unwrap().to_string(), "100000012345678:7@lid");
        assert_eq!(device.push_name, "Shop");
        assert_eq!(device.next_pre_key_id, 813);
        assert!(device.server_has_prekeys);
        let account = device.account.as_ref().unwrap();
        assert_eq!(account.account_signature.as_deref(), Some([7; 64].as_slice()));
        // Nothing of it is lost on the way back.
        let again = decode(&encode(&device)).unwrap();
        assert_eq!(encode(&again), encode(&device));
        assert_eq!(again.noise_key.public_key.public_key_bytes(), device.noise_key.public_key.public_key_bytes());
    }

    #[test]
    fn a_device_of_an_unknown_format_is_refused() {
        assert!(decode(&[]).is_err());
        assert!(decode(&[2, b'{', b'}']).is_err());
        assert!(decode(b"{}").is_err());
    }
}
