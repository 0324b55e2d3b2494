//! One-time prekeys, 64 to a row.
//!
//! WhatsApp has a client make 812 of them. A row each would be eight million rows for 10,000 instances, most of them
//! never read again; in chunks it is thirteen rows an instance. A chunk is rewritten when one of its keys is consumed,
//! which happens once for each new correspondent.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::store::engine_state::{self, Kind};

use super::{Backend, BackendError, plain};

/// Ids `n * 64 .. (n + 1) * 64` are in chunk `n`.
const CHUNK: u32 = 64;

/// The keys of a chunk: for each, id and length in four bytes, big-endian, and the record.
#[derive(Debug, Default, PartialEq, Eq)]
struct Chunk(BTreeMap<u32, Bytes>);

impl Chunk {
    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.0.values().map(|record| 8 + record.len()).sum());
        for (id, record) in &self.0 {
            bytes.extend_from_slice(&id.to_be_bytes());
            bytes.extend_from_slice(&u32::try_from(record.len()).expect("a prekey is short").to_be_bytes());
            bytes.extend_from_slice(record);
        }
        bytes
    }

    fn decode(bytes: Vec<u8>) -> Result<Self, BackendError> {
        let truncated = || BackendError::Malformed("a chunk of prekeys is cut off".into());
        let mut bytes = Bytes::from(bytes);
        let mut records = BTreeMap::new();
        while !bytes.is_empty() {
            let head = bytes.split_off_head(8).ok_or_else(truncated)?;
            let id = u32::from_be_bytes([head[0], head[1], head[2], head[3]]);
            let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
            let record = usize::try_from(length).ok().and_then(|length| bytes.split_off_head(length));
            records.insert(id, record.ok_or_else(truncated)?);
        }
        Ok(Self(records))
    }
}

trait SplitHead {
    /// The first `length` bytes, which are removed; `None` if there are fewer.
    fn split_off_head(&mut self, length: usize) -> Option<Bytes>;
}

impl SplitHead for Bytes {
    fn split_off_head(&mut self, length: usize) -> Option<Bytes> {
        (length <= self.len()).then(|| self.split_to(length))
    }
}

fn chunk_key(id: u32) -> [u8; 4] {
    (id / CHUNK).to_be_bytes()
}

impl Backend {
    pub(super) async fn store_prekeys(&self, keys: impl Iterator<Item = (u32, Bytes)>) -> Result<(), BackendError> {
        let mut by_chunk = BTreeMap::<[u8; 4], BTreeMap<u32, Bytes>>::new();
        for (id, record) in keys {
            by_chunk.entry(chunk_key(id)).or_default().insert(id, record);
        }
        if by_chunk.is_empty() {
            return Ok(());
        }
        let wanted: Vec<Vec<u8>> = by_chunk.keys().map(|key| key.to_vec()).collect();
        let mut write = self.write().await?;
        let rows = engine_state::get_many(write.conn(), self.id, Kind::PrekeyChunk, b"", &wanted).await?;
        let mut chunks = BTreeMap::new();
        for (row, value) in self.open_all(Kind::PrekeyChunk, rows)? {
            chunks.insert(row.key, Chunk::decode(value)?);
        }
        let rows: Vec<_> = by_chunk
            .into_iter()
            .map(|(key, records)| {
                let mut chunk = chunks.remove(key.as_slice()).unwrap_or_default();
                chunk.0.extend(records);
                self.seal(plain(Kind::PrekeyChunk, &key), &chunk.encode(), 0)
            })
            .collect();
        engine_state::put(write.conn(), self.id, Kind::PrekeyChunk, &rows).await?;
        write.commit().await
    }

    pub(super) async fn load_prekeys(&self, ids: &[u32]) -> Result<Vec<(u32, Bytes)>, BackendError> {
        let mut wanted: Vec<Vec<u8>> = ids.iter().map(|id| chunk_key(*id).to_vec()).collect();
        wanted.sort_unstable();
        wanted.dedup();
        let mut conn = self.connection().await?;
        let rows = engine_state::get_many(&mut conn, self.id, Kind::PrekeyChunk, b"", &wanted).await?;
        drop(conn);
        let mut records = BTreeMap::new();
        for (_, value) in self.open_all(Kind::PrekeyChunk, rows)? {
            records.extend(Chunk::decode(value)?.0);
        }
        Ok(ids.iter().filter_map(|id| Some((*id, records.get(id)?.clone()))).collect())
    }

    pub(super) async fn remove_one_prekey(&self, id: u32) -> Result<(), BackendError> {
        let key = chunk_key(id);
        let at = plain(Kind::PrekeyChunk, &key);
        let mut write = self.write().await?;
        let Some(value) = write.get(at).await? else { return Ok(()) };
        let mut chunk = Chunk::decode(value)?;
        if chunk.0.remove(&id).is_none() {
            return Ok(());
        }
        if chunk.0.is_empty() {
            engine_state::take(write.conn(), self.id, at).await?;
        } else {
            write.put(at, &chunk.encode()).await?;
        }
        write.commit().await
    }

    pub(super) async fn max_prekey_id(&self) -> Result<u32, BackendError> {
        let mut conn = self.connection().await?;
        let row = engine_state::last(&mut conn, self.id, Kind::PrekeyChunk).await?;
        drop(conn);
        let Some(row) = row else { return Ok(0) };
        let chunk = Chunk::decode(self.open(Kind::PrekeyChunk, &row)?)?;
        Ok(chunk.0.last_key_value().map_or(0, |(id, _)| *id))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_chunk_reads_back_as_it_was_written(records: BTreeMap<u32, Vec<u8>>) {
            let chunk = Chunk(records.into_iter().map(|(id, record)| (id, Bytes::from(record))).collect());
            prop_assert_eq!(Chunk::decode(chunk.encode()).unwrap(), chunk);
        }

        #[test]
        fn a_chunk_that_is_cut_off_is_refused(cut in 1_usize..20) {
            let mut bytes = Chunk(BTreeMap::from([(7, Bytes::from_static(b"twelve bytes"))])).encode();
            bytes.truncate(bytes.len() - cut);
            prop_assume!(!bytes.is_empty());
            prop_assert!(Chunk::decode(bytes).is_err());
        }
    }

    #[test]
    fn chunks_sort_like_the_ids_in_them() {
        assert!(chunk_key(63) < chunk_key(64));
        assert!(chunk_key(255 * CHUNK) < chunk_key(256 * CHUNK));
    }
}
