//! `vault_canary` and `instance_key`: secrets at rest.
//!
//! Each instance has random keys of its own (`instance_key`), wrapped by a key-encryption key (KEK) that lives in a file
//! outside the database. Deleting or replacing one makes everything sealed with it unreadable, in backups of the database
//! too. A canary per KEK is checked before anything is read or written: a gateway that starts with the wrong key file,
//! or with none beside an old database, says so and stops; it never makes a new key over old data.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::{PgConnection, PgPool};
use tokio::time::Instant;
use tracing::{info, warn};

use crate::config;
use crate::domain::instance::InstanceId;

use super::{Store, StoreError};

mod cipher;
mod instance_key;
mod kek;
mod rewrap;

pub use cipher::{CipherError, InstanceCipher};
pub use rewrap::{RewrappedBatch, Rotation};

use cipher::Key;
use instance_key::Purpose;

const CANARY_TABLE: &str = "vault_canary";
const CANARY: &[u8] = b"wagate vault canary";
const CANARY_NONCE_LENGTH: usize = 24;

/// Unwrapped keys kept in memory at most; each is 80 bytes.
const CACHE_CAPACITY: usize = 4096;

/// How long one is believed. Another node may replace an instance's key (a logout there); what was sealed with the old
/// one is gone by then, so a stale key costs this long at worst, and a client that starts asks for a fresh one.
const CACHE_TTL: Duration = Duration::from_secs(30);

/// The keys of the house.
pub struct Vault {
    keks: BTreeMap<String, Key>,
    active: String,
    cache: Mutex<HashMap<InstanceId, (InstanceCipher, Instant)>>,
}

/// The vault cannot be opened, or an instance's key cannot be had. Each message is one sentence an operator can act on.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// A key file cannot be read.
    #[error("the vault key file {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The key of a first start cannot be written.
    #[error("the vault key file {} cannot be written", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A key file holds something else.
    #[error("the vault key file {} must hold 32 bytes as base64 and nothing else", path.display())]
    NotAKey {
        /// The file.
        path: PathBuf,
    },
    /// Several keys, none named.
    #[error("vault.keys names several keys: name the one that new instances use in vault.active")]
    NoActive,
    /// The named key is not among them.
    #[error("vault.active names the key {id:?}, which is not in vault.keys")]
    UnknownActive {
        /// The name.
        id: String,
    },
    /// An old database and no key.
    #[error(
        "the database holds instances sealed with the vault key {id:?}, but no such key was given: restore the file {} from its backup, or name it in vault.keys", path.display()
    )]
    Missing {
        /// The key's id.
        id: String,
        /// Where it would be looked for.
        path: PathBuf,
    },
    /// The key is another one.
    #[error(
        "the vault key {id:?} is not the one this database was sealed with: give the right file, or the right database"
    )]
    Wrong {
        /// The key's id.
        id: String,
    },
    /// A wrapped key does not open although the canary did.
    #[error("the key of instance {id} is damaged")]
    DamagedKey {
        /// Whose key.
        id: InstanceId,
        /// Why it does not open.
        #[source]
        source: CipherError,
    },
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Vault {
    /// Reads the key files and checks them against the database's canaries. On a first start, and only then, a key is
    /// made in the data folder.
    pub async fn open(config: &config::Vault, data_dir: &Path, pool: &PgPool) -> Result<Self, VaultError> {
        let mut conn = pool.acquire().await.map_err(StoreError::while_("reach the vault's tables"))?;
        let canaries = canaries(&mut conn).await?;
        let missing = |id: &str| VaultError::Missing { id: id.to_owned(), path: kek::local_path(data_dir) };
        let keks = match (kek::load(config, data_dir)?, canaries.first()) {
            (Some(keks), _) => keks,
            (None, Some(canary)) => return Err(missing(&canary.kek_id)),
            (None, None) => {
                let keks = kek::create(data_dir)?;
                warn!(
                    vault.file = %kek::local_path(data_dir).display(),
                    "made a new vault key: back this file up now, without it every instance must be linked again"
                );
                keks
            }
        };
        for canary in &canaries {
            match keks.keys.get(&canary.kek_id) {
                Some(key) => canary.check(key)?,
                None if canary.in_use => return Err(missing(&canary.kek_id)),
                None => {}
            }
        }
        let vault = Self { keks: keks.keys, active: keks.active, cache: Mutex::default() };
        for id in vault.keks.keys().filter(|id| !canaries.iter().any(|canary| canary.kek_id == **id)) {
            vault.plant_canary(&mut conn, id).await?;
        }
        info!(vault.active = %vault.active, vault.keys = vault.keks.len(), "the vault is open");
        Ok(vault)
    }

    /// What the instance's values are sealed with. A key is drawn on the first call for an instance, in `conn`'s
    /// transaction if it is in one; the instance's row must be there.
    pub async fn cipher(&self, conn: &mut PgConnection, id: InstanceId) -> Result<InstanceCipher, VaultError> {
        if let Some(cipher) = self.remembered(id) {
            return Ok(cipher);
        }
        let (cipher, committed) = self.read_cipher(conn, id).await?;
        // A key that this very transaction made may yet be rolled back: only a committed one is remembered.
        if committed {
            self.remember(id, cipher.clone());
        }
        Ok(cipher)
    }

    /// [`Vault::cipher`], over a connection of its own if one is needed at all: for whoever is about to begin a
    /// transaction whose first statement must be another.
    pub async fn unlock(&self, store: &Store, id: InstanceId) -> Result<InstanceCipher, VaultError> {
        if let Some(cipher) = self.remembered(id) {
            return Ok(cipher);
        }
        let mut conn = store.acquire().await?;
        self.cipher(&mut conn, id).await
    }

    /// Replaces the instance's key in `conn`'s transaction: what was sealed with the old one is lost for good once it
    /// commits. What was sealed as content stays. Call [`Vault::forget`] after the commit.
    pub async fn shred(&self, conn: &mut PgConnection, id: InstanceId) -> Result<(), VaultError> {
        let wrapped = self.wrap(id, Purpose::Device, &cipher::random_key());
        sqlx::query!(
            "INSERT INTO instance_key (instance_id, kek_id, wrapped) VALUES ($1, $2, $3)
             ON CONFLICT (instance_id) DO UPDATE SET kek_id = EXCLUDED.kek_id, wrapped = EXCLUDED.wrapped",
            id.as_str(),
            self.active,
            wrapped,
        )
        .execute(conn)
        .await
        .map_err(StoreError::while_("replace the key of the instance"))?;
        Ok(())
    }

    /// Drops the instance's key from memory; the next [`Vault::cipher`] reads it again.
    pub fn forget(&self, id: InstanceId) {
        self.cache.lock().remove(&id);
    }

    fn remembered(&self, id: InstanceId) -> Option<InstanceCipher> {
        let cache = self.cache.lock();
        cache.get(&id).filter(|(_, since)| since.elapsed() < CACHE_TTL).map(|(cipher, _)| cipher.clone())
    }

    fn remember(&self, id: InstanceId, cipher: InstanceCipher) {
        let mut cache = self.cache.lock();
        if cache.len() >= CACHE_CAPACITY {
            cache.retain(|_, (_, since)| since.elapsed() < CACHE_TTL);
        }
        if cache.len() < CACHE_CAPACITY {
            cache.insert(id, (cipher, Instant::now()));
        }
    }

    async fn plant_canary(&self, conn: &mut PgConnection, id: &str) -> Result<(), VaultError> {
        let sealed = cipher::seal(&self.keks[id], &cipher::associated_data(CANARY_TABLE, id, b""), CANARY);
        let (nonce, ciphertext) = sealed[1..].split_at(CANARY_NONCE_LENGTH);
        sqlx::query!(
            "INSERT INTO vault_canary (kek_id, nonce, ciphertext, created_at) VALUES ($1, $2, $3, now())
             ON CONFLICT DO NOTHING",
            id,
            nonce,
            ciphertext,
        )
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_("keep the vault's canary"))?;
        // Another node with another key may have been first on the same empty database.
        for canary in canaries(conn).await?.iter().filter(|canary| canary.kek_id == id) {
            canary.check(&self.keks[id])?;
        }
        Ok(())
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("active", &self.active).finish_non_exhaustive()
    }
}

struct Canary {
    kek_id: String,
    nonce: Vec<u8>,
    ciphertext: Vec<u8>,
    in_use: bool,
}

impl Canary {
    fn check(&self, key: &Key) -> Result<(), VaultError> {
        let sealed = [&[1], self.nonce.as_slice(), self.ciphertext.as_slice()].concat();
        match cipher::open(key, &cipher::associated_data(CANARY_TABLE, &self.kek_id, b""), &sealed) {
            Ok(plaintext) if plaintext == CANARY => Ok(()),
            Ok(_) | Err(_) => Err(VaultError::Wrong { id: self.kek_id.clone() }),
        }
    }
}

async fn canaries(conn: &mut PgConnection) -> Result<Vec<Canary>, StoreError> {
    sqlx::query_as!(
        Canary,
        r#"SELECT kek_id, nonce, ciphertext,
                  EXISTS (SELECT FROM instance_key
                          WHERE vault_canary.kek_id IN (instance_key.kek_id, instance_key.content_kek_id)) AS "in_use!"
           FROM vault_canary ORDER BY created_at, kek_id"#,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read the vault's canaries"))
}
