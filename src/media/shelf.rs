//! Where encrypted files are kept: a folder of this host, or a bucket of an S3 store.
//!
//! Files of an instance lie together, so that what is left of a deleted one can be found without the database. Their
//! names are keyed hashes: they tell nothing of a chat.

use std::fmt;
use std::fs::DirBuilder;
use std::ops::Range;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::Path as Folder;
use std::sync::Arc;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::buffered::BufWriter;
use object_store::client::SpawnedReqwestConnector;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{ObjectStore, ObjectStoreExt as _};
use tokio::io::AsyncWriteExt as _;
use tokio::runtime::Handle;
use url::Url;

use crate::domain::instance::InstanceId;

use super::spool::Spooled;

/// The smallest part that S3 takes of a file that is sent in parts.
const PART_OF_BUCKET: usize = 5 * 1024 * 1024;

/// What is written to a folder at a time.
const PART_OF_FOLDER: usize = 256 * 1024;

/// Parts of one file that are in memory at a time, while it is put here: one that is filled, and these on their way.
const PARTS_AT_ONCE: usize = 2;

/// The shelf failed.
#[derive(Debug, thiserror::Error)]
pub enum ShelfError {
    /// The store it rests on did.
    #[error("the media store could not {action}")]
    Store {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        #[source]
        source: object_store::Error,
    },
    /// A file could not be read or handed over.
    #[error("a file could not be put into the media store")]
    Io(#[from] std::io::Error),
    /// What is configured is no store.
    #[error("media.store must be empty or an address such as s3://bucket/prefix")]
    Address,
}

/// The name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FileName {
    /// Whose it is.
    pub instance_id: InstanceId,
    /// A keyed hash, so that it tells nothing.
    pub digest: [u8; 16],
}

impl FileName {
    fn path(&self) -> Path {
        let hex = self.digest.iter().fold(String::with_capacity(32), |mut hex, byte| {
            use fmt::Write as _;
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        Path::from_iter([self.instance_id.as_str(), &hex])
    }

    fn read(path: &Path) -> Option<Self> {
        let mut parts = path.parts();
        let instance_id = InstanceId::parse(parts.next()?.as_ref()).ok()?;
        let hex = parts.next()?;
        let hex = hex.as_ref();
        if parts.next().is_some() || hex.len() != 32 {
            return None;
        }
        let mut digest = [0; 16];
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(hex.get(at..at + 2)?, 16).ok()?;
        }
        Some(Self { instance_id, digest })
    }
}

/// A file on the shelf.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shelved {
    /// What it is called.
    pub name: FileName,
    /// Since when it has been here.
    pub since: DateTime<Utc>,
}

/// Keeps encrypted files. Cheap to clone.
#[derive(Clone)]
pub struct Shelf {
    store: Arc<dyn ObjectStore>,
    part: usize,
}

impl Shelf {
    /// In a folder of this host, which is made if it is absent.
    pub fn in_folder(folder: &Folder) -> Result<Self, ShelfError> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let store = LocalFileSystem::new_with_prefix(folder).map_err(failed("be opened"))?;
        Ok(Self { store: Arc::new(store), part: PART_OF_FOLDER })
    }

    /// The part `area` of a bucket, as `s3://bucket/prefix`. Region, keys and the address of stores other than Amazon's are
    /// read from the environment, as `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT`. Connections
    /// live on the current runtime.
    pub fn in_bucket(address: &str, area: &str) -> Result<Self, ShelfError> {
        let url = Url::parse(address).map_err(|_| ShelfError::Address)?;
        let bucket = url.host_str().filter(|_| url.scheme() == "s3").ok_or(ShelfError::Address)?;
        let prefix = Path::parse(url.path()).map_err(|_| ShelfError::Address)?.join(area);
        let settings = AmazonS3Builder::from_env();
        // What is kept is encrypted, and who names an address without TLS wants it: a store beside the gateway, as a rule.
        let is_plain = settings
            .get_config_value(&AmazonS3ConfigKey::Endpoint)
            .is_some_and(|endpoint| endpoint.to_ascii_lowercase().starts_with("http://"));
        let settings = if is_plain { settings.with_allow_http(true) } else { settings };
        let store = settings
            .with_bucket_name(bucket)
            .with_http_connector(SpawnedReqwestConnector::new(Handle::current()))
            .build()
            .map_err(failed("be opened"))?;
        Ok(Self { store: Arc::new(PrefixStore::new(store, prefix)), part: PART_OF_BUCKET })
    }

    /// Puts a file here; one of that name is replaced, and is seen whole or not at all.
    pub async fn put(&self, name: FileName, file: &Spooled) -> Result<(), ShelfError> {
        let writer = BufWriter::with_capacity(Arc::clone(&self.store), name.path(), self.part);
        let mut writer = writer.with_max_concurrency(PARTS_AT_ONCE);
        let mut chunks = file.chunks();
        while let Some(chunk) = chunks.try_next().await? {
            writer.put(chunk).await.map_err(failed("take a file"))?;
        }
        writer.shutdown().await?;
        Ok(())
    }

    /// The length of a file; `None` if it is not here.
    pub async fn length(&self, name: FileName) -> Result<Option<u64>, ShelfError> {
        match self.store.head(&name.path()).await {
            Ok(meta) => Ok(Some(meta.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed("look for a file")(error)),
        }
    }

    /// A part of a file, at once.
    pub async fn part(&self, name: FileName, range: Range<u64>) -> Result<Bytes, ShelfError> {
        self.store.get_range(&name.path(), range).await.map_err(failed("read a file"))
    }

    /// A part of a file, bit by bit.
    pub async fn stream(
        &self,
        name: FileName,
        range: Range<u64>,
    ) -> Result<BoxStream<'static, Result<Bytes, ShelfError>>, ShelfError> {
        let options = object_store::GetOptions::new().with_range(Some(range));
        let got = self.store.get_opts(&name.path(), options).await.map_err(failed("read a file"))?;
        Ok(got.into_stream().map_err(failed("read a file")).boxed())
    }

    /// Removes a file; one that is not here is removed already.
    pub async fn remove(&self, name: FileName) -> Result<(), ShelfError> {
        match self.store.delete(&name.path()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed("remove a file")(error)),
        }
    }

    /// Every file, in no order. What is none of ours is left out.
    pub fn files(&self) -> BoxStream<'static, Result<Shelved, ShelfError>> {
        let files = self.store.list(None).map_err(failed("list its files"));
        files
            .try_filter_map(|meta| async move {
                let name = FileName::read(&meta.location);
                Ok(name.map(|name| Shelved { name, since: meta.last_modified }))
            })
            .boxed()
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({})", self.store)
    }
}

fn failed(action: &'static str) -> impl Fn(object_store::Error) -> ShelfError + Copy {
    move |source| ShelfError::Store { action, source }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::spool::Spool;

    fn name(digest: u8) -> FileName {
        FileName { instance_id: InstanceId::parse("7K2M9QX4T0AB").unwrap(), digest: [digest; 16] }
    }

    #[tokio::test]
    async fn what_is_put_here_is_read_in_parts_until_it_is_removed() {
        let scratch = tempfile::tempdir().unwrap();
        let shelf = Shelf::in_folder(&scratch.path().join("kept")).unwrap();
        let spool = Spool::open(&scratch.path().join("spool"), u64::MAX).unwrap();
        let content: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut arriving = spool.begin().await.unwrap();
        arriving.write(&content).await.unwrap();
        let file = arriving.finish().await.unwrap();
        assert_eq!(shelf.length(name(1)).await.unwrap(), None);
        shelf.put(name(1), &file).await.unwrap();
        assert_eq!(shelf.length(name(1)).await.unwrap(), Some(800_000));
        let parts: Vec<Bytes> = shelf.stream(name(1), 5..700_000).await.unwrap().try_collect().await.unwrap();
        assert_eq!(parts.concat(), &content[5..700_000]);
        assert_eq!(shelf.part(name(1), 10..20).await.unwrap(), &content[10..20]);
        let files: Vec<Shelved> = shelf.files().try_collect().await.unwrap();
        assert_eq!(files.iter().map(|file| file.name).collect::<Vec<_>>(), [name(1)]);
        shelf.remove(name(1)).await.unwrap();
        shelf.remove(name(1)).await.unwrap();
        assert_eq!(shelf.files().count().await, 0);
    }

    #[test]
    fn only_names_that_are_given_here_are_read() {
        assert_eq!(FileName::read(&name(0xab).path()), Some(name(0xab)));
        for other in ["7K2M9QX4T0AB", "7K2M9QX4T0AB/zz", "x/00", "7K2M9QX4T0AB/abababababababababababababababab/c"] {
            assert_eq!(FileName::read(&Path::from(other)), None, "{other}");
        }
    }

    #[tokio::test]
    async fn an_address_that_is_no_bucket_is_refused() {
        for address in ["bucket", "https://example.com/", "s3:///prefix", "file:///tmp"] {
            assert!(matches!(Shelf::in_bucket(address, "kept"), Err(ShelfError::Address)), "{address}");
        }
    }
}
