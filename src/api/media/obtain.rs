//! From the id of a message to its file: from the shelf, or from WhatsApp first.

use actix_web::web::Data;

use crate::api::error::{ApiError, DEFAULT_RETRY_AFTER, StatusMismatch};
use crate::api::state::ApiState;
use crate::domain::instance::InstanceId;
use crate::domain::session::Status;
use crate::media::library::{Book, Entry, LibraryError};
use crate::media::spool::SpoolError;
use crate::supervisor::{ClientRefusal, FileRefusal};

/// The file of a message.
pub(super) async fn obtain(state: &Data<ApiState>, id: InstanceId, message_id: &str) -> Result<Book, ApiError> {
    let entry = state.library.find(id, message_id).await?.ok_or(ApiError::MediaNotFound)?;
    if let Some(book) = state.library.book(&entry).await? {
        return Ok(book);
    }
    // Whoever asked may leave: what has begun to come is kept for the next.
    let bringing = state.library.runtime().spawn(bring(state.clone(), id, entry));
    bringing.await.map_err(|error| ApiError::Internal(Box::new(error)))?
}

async fn bring(state: Data<ApiState>, id: InstanceId, entry: Entry) -> Result<Book, ApiError> {
    let library = &state.library;
    let _turn = library.turn(&entry).await;
    // Somebody else may have brought it meanwhile.
    if let Some(book) = library.book(&entry).await? {
        return Ok(book);
    }
    let into = library.spool().begin().await.map_err(LibraryError::Spool)?;
    let file = state.sessions.download(id, &entry.reference, into).await?;
    library.keep(&entry, file).await.map_err(|error| match error {
        LibraryError::Damaged(_) => FileRefusal::Damaged.into(),
        LibraryError::Store(_)
        | LibraryError::Reference(_)
        | LibraryError::Vault(_)
        | LibraryError::Shelf(_)
        | LibraryError::Encrypt(_)
        | LibraryError::Spool(_) => ApiError::from(error),
    })?;
    let book = library.book(&entry).await?;
    book.ok_or_else(|| ApiError::Internal("a file left the shelf as soon as it was put there".into()))
}

impl From<LibraryError> for ApiError {
    fn from(error: LibraryError) -> Self {
        Self::failure(error)
    }
}

impl From<FileRefusal> for ApiError {
    fn from(refusal: FileRefusal) -> Self {
        match refusal {
            FileRefusal::Client(refusal) => refusal.into(),
            FileRefusal::Gone => Self::MediaGone,
            FileRefusal::Damaged => Self::MediaUnavailable { why: "what WhatsApp has is not what was sent".to_owned() },
            FileRefusal::Spool(SpoolError::TooLarge { max }) => {
                Self::MediaUnavailable { why: format!("it is larger than the {max} bytes that are taken here") }
            }
            FileRefusal::Spool(SpoolError::Io(_)) => Self::Internal(Box::new(refusal)),
            FileRefusal::Unreachable(_) => {
                tracing::debug!(error = &refusal as &dyn std::error::Error, "a file could not be asked for");
                Self::UpstreamUnreachable
            }
        }
    }
}

impl From<ClientRefusal> for ApiError {
    fn from(refusal: ClientRefusal) -> Self {
        match refusal {
            ClientRefusal::NotConnected { view } => Self::SessionStatus(StatusMismatch {
                code: "session_status_mismatch",
                instance_id: view.instance_id,
                status: view.status,
                expected: &[Status::Working],
                recovering: view.recovering,
                retry_after: view.recovering.then_some(DEFAULT_RETRY_AFTER),
            }),
            ClientRefusal::Supervisor(error) => error.into(),
        }
    }
}
