//! What a client uploads and downloads: the encrypted files that messages point to.

use async_trait::async_trait;

use crate::domain::media_reference::{MediaKind, MediaReference};
use crate::media::spool::{Arriving, SpoolError, Spooled};

use super::EngineError;

/// What a client uploads and downloads: the encrypted files that messages point to.
///
/// Neither encrypts nor decrypts: a file leaves as [`crate::media::cipher`] made it, and is kept as it came.
#[async_trait]
pub trait Files: Send + Sync {
    /// Brings the encrypted file that `reference` names, and sees that it is the one its sender meant.
    async fn download(&self, reference: &MediaReference, into: Arriving) -> Result<Spooled, DownloadError>;

    /// Puts an encrypted file where the receivers of a message find it.
    async fn upload(&self, file: &Spooled, kind: MediaKind, enc_sha256: &[u8]) -> Result<Uploaded, EngineError>;
}

/// Where a file lies that was uploaded, in the words that go into its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uploaded {
    /// Its address.
    pub url: String,
    /// Its path, good at each of WhatsApp's media hosts.
    pub direct_path: String,
}

/// A file did not come.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// WhatsApp has it no more. The phone that has it could upload it again, which is not asked for.
    #[error("WhatsApp no longer has the file")]
    Gone,
    /// What came is another file than its sender meant, or the reference to it cannot be right.
    #[error("what WhatsApp has is not the file that the message names")]
    Damaged,
    /// It could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// It could not be asked for.
    #[error(transparent)]
    Engine(#[from] EngineError),
}
