//! Files on their way: in the data folder, without a name.
//!
//! A file that was never given a name in its folder belongs to whoever has it open, is readable by nobody else, and is
//! gone with the last handle, however the process ends. There are no leftovers to remove.

use std::fs::{DirBuilder, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;

use super::CHUNK;

/// Where files on their way lie.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: Arc<PathBuf>,
    max_bytes: u64,
}

/// A file could not be taken in.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The disk failed, or is full.
    #[error("a file on its way could not be written")]
    Io(#[from] io::Error),
    /// It is longer than files may be.
    #[error("the file is larger than {max} bytes")]
    TooLarge {
        /// How long they may be.
        max: u64,
    },
}

impl Spool {
    /// In this folder, which is made if it is absent. Files may be `max_bytes` long.
    pub fn open(folder: &Path, max_bytes: u64) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        Ok(Self { folder: Arc::new(folder.to_owned()), max_bytes })
    }

    /// How long a file may be.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// A file that is written at once, and what came of writing it. Blocks.
    pub fn write<T, E: From<io::Error>>(&self, write: impl FnOnce(&File) -> Result<T, E>) -> Result<(Spooled, T), E> {
        let file = tempfile::tempfile_in(self.folder.as_path())?;
        let outcome = write(&file)?;
        let length = file.metadata()?.len();
        Ok((Spooled { file: Arc::new(file), length }, outcome))
    }

    /// An empty file, to be written with what was measured before: it may become as long as it likes.
    pub async fn begin_unbounded(&self) -> io::Result<Arriving> {
        let mut arriving = self.begin().await?;
        arriving.max = u64::MAX;
        Ok(arriving)
    }

    /// An empty file, to be written.
    pub async fn begin(&self) -> io::Result<Arriving> {
        let folder = Arc::clone(&self.folder);
        let made = tokio::task::spawn_blocking(move || tempfile::tempfile_in(folder.as_path()));
        let file = made.await.map_err(io::Error::other)??;
        Ok(Arriving { file: tokio::fs::File::from_std(file), length: 0, max: self.max_bytes })
    }
}

/// A file that is being written.
#[derive(Debug)]
pub struct Arriving {
    file: tokio::fs::File,
    length: u64,
    max: u64,
}

impl Arriving {
    /// How long it may become.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// Appends to it.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<(), SpoolError> {
        self.length += bytes.len() as u64;
        if self.length > self.max {
            return Err(SpoolError::TooLarge { max: self.max });
        }
        Ok(self.file.write_all(bytes).await?)
    }

    /// Throws away what was written.
    pub async fn clear(&mut self) -> io::Result<()> {
        use tokio::io::AsyncSeekExt as _;

        self.file.flush().await?;
        self.file.set_len(0).await?;
        self.file.rewind().await?;
        self.length = 0;
        Ok(())
    }

    /// Nothing more comes.
    pub async fn finish(mut self) -> io::Result<Spooled> {
        self.file.flush().await?;
        Ok(Spooled { file: Arc::new(self.file.into_std().await), length: self.length })
    }
}

/// A file that is whole. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spooled {
    file: Arc<File>,
    length: u64,
}

impl Spooled {
    /// Its length in bytes.
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Its hash.
    pub async fn sha256(&self) -> io::Result<[u8; 32]> {
        let mut reader = self.reader();
        let hashing = tokio::task::spawn_blocking(move || {
            let mut hash = Sha256::new();
            let mut buffer = vec![0; CHUNK];
            loop {
                match reader.read(&mut buffer)? {
                    0 => return io::Result::Ok(hash.finalize().into()),
                    read => hash.update(&buffer[..read]),
                }
            }
        });
        hashing.await.map_err(io::Error::other)?
    }

    /// Reads it bit by bit, off the async threads.
    pub fn chunks(&self) -> BoxStream<'static, io::Result<Bytes>> {
        futures_util::stream::try_unfold(self.reader(), |mut reader| async move {
            let read = tokio::task::spawn_blocking(move || {
                let mut buffer = vec![0; CHUNK];
                let read = reader.read(&mut buffer)?;
                buffer.truncate(read);
                io::Result::Ok((buffer, reader))
            });
            let (buffer, reader) = read.await.map_err(io::Error::other)??;
            Ok((!buffer.is_empty()).then(|| (Bytes::from(buffer), reader)))
        })
        .boxed()
    }

    /// Reads it from its beginning, whoever else reads it.
    pub fn reader(&self) -> Reader {
        Reader { file: Arc::clone(&self.file), position: 0 }
    }
}

/// Reads a file from a position of its own.
#[derive(Debug)]
pub struct Reader {
    file: Arc<File>,
    position: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.position)?;
        self.position += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let to = match to {
            SeekFrom::Start(position) => Some(position),
            SeekFrom::Current(by) => self.position.checked_add_signed(by),
            SeekFrom::End(by) => self.file.metadata()?.len().checked_add_signed(by),
        };
        self.position = to.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[tokio::test]
    async fn a_file_on_its_way_has_no_name_and_its_readers_do_not_disturb_each_other() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("spool");
        let spool = Spool::open(&folder, 10).unwrap();
        assert_eq!(folder.metadata().unwrap().permissions().mode() & 0o077, 0);
        let mut arriving = spool.begin().await.unwrap();
        arriving.write(b"to be thrown away").await.unwrap_err();
        arriving.clear().await.unwrap();
        arriving.write(b"01234").await.unwrap();
        arriving.write(b"56789").await.unwrap();
        let spooled = arriving.finish().await.unwrap();
        assert_eq!(folder.read_dir().unwrap().count(), 0);
        let (mut one, mut other) = (spooled.reader(), spooled.reader());
        let mut beginning = [0; 4];
        one.read_exact(&mut beginning).unwrap();
        let mut whole = String::new();
        other.read_to_string(&mut whole).unwrap();
        assert_eq!((&beginning, whole.as_str(), spooled.length()), (b"0123", "0123456789", 10));
    }

    #[tokio::test]
    async fn a_file_that_is_too_long_is_refused_before_it_is_written() {
        let scratch = tempfile::tempdir().unwrap();
        let mut arriving = Spool::open(scratch.path(), 4).unwrap().begin().await.unwrap();
        arriving.write(b"1234").await.unwrap();
        assert!(matches!(arriving.write(b"5").await, Err(SpoolError::TooLarge { max: 4 })));
    }
}
