//! Files that came in: which message has one, and what it says, once it is on the shelf.
//!
//! A file is brought from WhatsApp when it is first asked for, by one request for all that ask meanwhile
//! ([`Library::turn`]), and is checked before it is kept. From then on it is read from the shelf, whole or in parts,
//! until its time is over or its message is erased.

use std::collections::HashMap;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, TryStreamExt as _};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::config;
use crate::domain::instance::InstanceId;
use crate::domain::media_reference::MediaReference;
use crate::store::event::EventError;
use crate::store::vault::{InstanceCipher, Vault, VaultError};
use crate::store::{Store, StoreError, message_reference};

use super::cipher::{Damaged, EncryptError, Opener, VerifyError, last_blocks};
use super::shelf::{FileName, Shelf, ShelfError};
use super::spool::{Spool, Spooled};

/// Files brought from WhatsApp at one time, on this node. Each takes a part of a file in memory when it is put away.
const FETCHED_AT_ONCE: usize = 4;

/// The library failed.
#[derive(Debug, thiserror::Error)]
pub enum LibraryError {
    /// The database did.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A reference does not open or read.
    #[error(transparent)]
    Reference(#[from] EventError),
    /// The instance's key is not to be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// The shelf did.
    #[error(transparent)]
    Shelf(#[from] ShelfError),
    /// A file on its way could not be read or made.
    #[error("a file on its way could not be read or made")]
    Spool(#[from] io::Error),
    /// A file could not be encrypted.
    #[error(transparent)]
    Encrypt(#[from] EncryptError),
    /// What is on the shelf is not what was put there.
    #[error("a file on the shelf is damaged")]
    Damaged(#[from] Damaged),
}

/// A message's file: where it is to be had, and where it stands once it is here.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its name on the shelf.
    pub name: FileName,
    /// Where WhatsApp has it, and what opens it.
    pub reference: MediaReference,
}

/// A file that can be read.
pub struct Book {
    /// What it is.
    pub reference: MediaReference,
    /// Its length in bytes.
    pub length: u64,
    name: FileName,
    opener: Opener,
    shelf: Shelf,
}

/// The right to bring a file here; others who want it wait until it is dropped.
pub struct Turn {
    _file: OwnedMutexGuard<()>,
    _room: OwnedSemaphorePermit,
}

/// The files that came in.
#[derive(Debug)]
pub struct Library {
    store: Store,
    vault: Arc<Vault>,
    shelf: Shelf,
    outgoing: Shelf,
    spool: Spool,
    runtime: Handle,
    turns: Mutex<HashMap<FileName, Arc<tokio::sync::Mutex<()>>>>,
    room: Arc<Semaphore>,
}

impl Library {
    /// On the shelf that is configured. The current runtime, which must be the main one, is where files are brought here.
    pub fn open(
        config: &config::Media,
        data_dir: &Path,
        store: Store,
        vault: Arc<Vault>,
    ) -> Result<Self, LibraryError> {
        let folder = data_dir.join("media");
        let shelf = |area: &str| match config.store.as_str() {
            "" => Shelf::in_folder(&folder.join(area)),
            address => Shelf::in_bucket(address, area),
        };
        Ok(Self {
            store,
            vault,
            shelf: shelf("kept")?,
            outgoing: shelf("outgoing")?,
            spool: Spool::open(&folder.join("spool"), config.max_bytes)?,
            runtime: Handle::current(),
            turns: Mutex::default(),
            room: Arc::new(Semaphore::new(FETCHED_AT_ONCE)),
        })
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Where files lie that are to be sent.
    pub(super) fn outgoing(&self) -> &Shelf {
        &self.outgoing
    }

    /// What an instance's files are named and their keys sealed with.
    pub(super) async fn cipher(&self, id: InstanceId) -> Result<InstanceCipher, LibraryError> {
        let mut conn = self.store.acquire().await?;
        Ok(self.vault.cipher(&mut conn, id).await?)
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// Where files on their way lie.
    pub fn spool(&self) -> &Spool {
        &self.spool
    }

    /// Where they are brought here: never on an HTTP worker, which is a single thread, and whose connections end with it.
    pub fn runtime(&self) -> &Handle {
        &self.runtime
    }

    /// The file of a message; `None` if there is no such message, or none with a file.
    pub async fn find(&self, id: InstanceId, message_id: &str) -> Result<Option<Entry>, LibraryError> {
        let mut conn = self.store.acquire().await?;
        let cipher = self.vault.cipher(&mut conn, id).await?;
        let reference = message_reference::media(&mut conn, &cipher, id, message_id).await?;
        Ok(reference.map(|reference| {
            let digest = message_reference::media_digest(&cipher, message_id);
            Entry { name: FileName { instance_id: id, digest }, reference }
        }))
    }

    /// The file, if it is on the shelf.
    pub async fn book(&self, entry: &Entry) -> Result<Option<Book>, LibraryError> {
        let Some(encrypted) = self.shelf.length(entry.name).await? else { return Ok(None) };
        let opener = Opener::of(&entry.reference);
        let last = self.shelf.part(entry.name, last_blocks(encrypted)?).await?;
        let length = opener.plain_length(encrypted, &last)?;
        Ok(Some(Book {
            reference: entry.reference.clone(),
            length,
            name: entry.name,
            opener,
            shelf: self.shelf.clone(),
        }))
    }

    /// Waits until nobody else brings this file here, and there is room for one more.
    pub async fn turn(&self, entry: &Entry) -> Turn {
        let file = {
            let mut turns = self.turns.lock();
            // Those that nobody holds or waits for.
            turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            Arc::clone(turns.entry(entry.name).or_default())
        };
        let file = file.lock_owned().await;
        let room = Arc::clone(&self.room).acquire_owned().await.expect("the semaphore is never closed");
        Turn { _file: file, _room: room }
    }

    /// Checks a file that was brought here and puts it on the shelf.
    pub async fn keep(&self, entry: &Entry, file: Spooled) -> Result<(), LibraryError> {
        let (opener, whole) = (Opener::of(&entry.reference), file.clone());
        let checked = tokio::task::spawn_blocking(move || opener.verify(whole.reader(), whole.length()));
        match checked.await.map_err(io::Error::other)? {
            Ok(()) => Ok(self.shelf.put(entry.name, &file).await?),
            Err(VerifyError::Io(error)) => Err(error.into()),
            Err(VerifyError::Damaged(error)) => Err(error.into()),
        }
    }
}

impl Book {
    /// These bytes of the file, as they are read.
    pub async fn read(self, wanted: Range<u64>) -> Result<BoxStream<'static, Result<Bytes, ShelfError>>, LibraryError> {
        if wanted.is_empty() {
            return Ok(futures_util::stream::empty().boxed());
        }
        let (range, mut window) = self.opener.window(wanted);
        let encrypted = self.shelf.stream(self.name, range).await?;
        Ok(encrypted.map_ok(move |read| window.open(&read)).boxed())
    }
}
