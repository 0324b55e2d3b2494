//! Files that are to be sent: encrypted when they are accepted, left on a shelf of their own until the message they belong
//! to is sent, and uploaded then. So a message with a file survives a restart as any other does.

use std::io::{self, BufWriter};

use futures_util::TryStreamExt as _;
use wacore::upload::EncryptedMediaInfo;

use crate::domain::instance::InstanceId;
use crate::domain::media_reference::MediaKind;

use super::cipher::{self, EncryptError};
use super::library::{Library, LibraryError};
use super::shelf::FileName;
use super::spool::{SpoolError, Spooled};

/// A file in the form that WhatsApp's servers take, and what its message must say of it.
#[derive(Debug)]
pub struct Encrypted {
    /// The encrypted file.
    pub file: Spooled,
    /// Key, hashes and length.
    pub info: Info,
}

/// What a message says of its file.
#[derive(Debug)]
pub struct Info {
    /// The media key.
    pub media_key: Vec<u8>,
    /// SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// SHA-256 of the encrypted file.
    pub enc_sha256: Vec<u8>,
    /// The size of the file in bytes.
    pub size: u64,
    /// By which a phone checks a film or sound while it still comes.
    pub sidecar: Option<Vec<u8>>,
}

impl From<EncryptedMediaInfo> for Info {
    fn from(info: EncryptedMediaInfo) -> Self {
        Self {
            media_key: info.media_key.to_vec(),
            sha256: info.file_sha256.to_vec(),
            enc_sha256: info.file_enc_sha256.to_vec(),
            size: info.file_length,
            sidecar: info.streaming_sidecar,
        }
    }
}

impl Library {
    /// Encrypts a file with a key of its own.
    pub async fn encrypt(&self, file: &Spooled, kind: MediaKind) -> Result<Encrypted, LibraryError> {
        let (spool, file) = (self.spool().clone(), file.clone());
        let encrypting = tokio::task::spawn_blocking(move || -> Result<Encrypted, EncryptError> {
            let written = spool.write(|writer| cipher::encrypt(file.reader(), BufWriter::new(writer), kind))?;
            Ok(Encrypted { file: written.0, info: written.1.into() })
        });
        Ok(encrypting.await.map_err(io::Error::other)??)
    }

    /// Leaves an encrypted file for the outbox, before its message is accepted.
    pub async fn leave(&self, id: InstanceId, message_id: &str, file: &Spooled) -> Result<(), LibraryError> {
        let name = self.outgoing_name(id, message_id).await?;
        Ok(self.outgoing().put(name, file).await?)
    }

    /// The encrypted file of a message that is to be sent; `None` if it is not here, because another node was left it or its
    /// time is over.
    pub async fn collect(&self, id: InstanceId, message_id: &str) -> Result<Option<Spooled>, LibraryError> {
        let name = self.outgoing_name(id, message_id).await?;
        let Some(length) = self.outgoing().length(name).await? else { return Ok(None) };
        let mut chunks = self.outgoing().stream(name, 0..length).await?;
        let mut file = self.spool().begin_unbounded().await?;
        while let Some(chunk) = chunks.try_next().await? {
            file.write(&chunk).await.map_err(|error| match error {
                SpoolError::Io(error) => error,
                SpoolError::TooLarge { .. } => io::ErrorKind::FileTooLarge.into(),
            })?;
        }
        Ok(Some(file.finish().await?))
    }

    /// Removes the file of a message that was sent, or was not accepted after all.
    pub async fn discard(&self, id: InstanceId, message_id: &str) -> Result<(), LibraryError> {
        let name = self.outgoing_name(id, message_id).await?;
        Ok(self.outgoing().remove(name).await?)
    }

    async fn outgoing_name(&self, id: InstanceId, message_id: &str) -> Result<FileName, LibraryError> {
        let cipher = self.cipher(id).await?;
        let key = cipher.lookup_key(&[b"outgoing file", message_id.as_bytes()]);
        let digest = key[..16].try_into().expect("a key has 32 bytes");
        Ok(FileName { instance_id: id, digest })
    }
}
