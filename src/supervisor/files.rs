//! Files of messages, through the instance's client.

use crate::domain::instance::InstanceId;
use crate::domain::media_reference::MediaReference;
use crate::engine::DownloadError;
use crate::media::spool::{Arriving, Spooled};

use super::Supervisor;
use super::error::ClientRefusal;

/// Why a file did not come.
#[derive(Debug, thiserror::Error)]
pub enum FileRefusal {
    /// There is no client to ask.
    #[error(transparent)]
    Client(#[from] ClientRefusal),
    /// The client could not bring it.
    #[error(transparent)]
    Download(#[from] DownloadError),
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
