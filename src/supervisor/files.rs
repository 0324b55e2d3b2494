//! Files of messages, through the instance's client.

use crate::domain::instance::InstanceId;
use crate::domain::media_reference::MediaReference;
use crate::engine::{DownloadError, EngineError};
use crate::media::spool::{Arriving, SpoolError, Spooled};

use super::Supervisor;
use super::error::ClientRefusal;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FileRefusal {
    /// There is no client to ask.
    #[error(transparent)]
    Client(#[from] ClientRefusal),
    /// WhatsApp has it no more.
    #[error("WhatsApp no longer has the file")]
    Gone,
    /// What WhatsApp has is not what was sent.
    #[error("what WhatsApp has is not the file that the message names")]
    Damaged,
    /// It could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// WhatsApp could not be asked.
    #[error("WhatsApp could not be asked for the file")]
    Unreachable(#[source] EngineError),
}

impl From<DownloadError> for FileRefusal {
    fn from(error: DownloadError) -> Self {
        match error {
            DownloadError::Gone => Self::Gone,
            DownloadError::Damaged => Self::Damaged,
            DownloadError::Spool(error) => Self::Spool(error),
            DownloadError::Engine(error) => Self::Unreachable(error),
        }
    }
}

impl Supervisor {
    /// Brings the encrypted file of a message. To be called on the main runtime: connections live where they are made.
    pub async fn download(
        &self,
        id: InstanceId,
        reference: &MediaReference,
        into: Arriving,
    ) -> Result<Spooled, FileRefusal> {
        Ok(self.client(id).await?.download(reference, into).await?)
    }
}
