//! What the layers below the API fail with, as the API says it.

use std::error::Error;

use crate::store::event::EventError;
use crate::store::vault::VaultError;
use crate::store::{StoreError, is_outage};
use crate::supervisor::SupervisorError;

use super::ApiError;

impl ApiError {
    /// A failure that the client has no part in: the database's, if that went away, or our own.
    pub fn failure(error: impl Error + Send + Sync + 'static) -> Self {
        if is_outage(&error) { Self::DatabaseUnavailable(Box::new(error)) } else { Self::Internal(Box::new(error)) }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::failure(error)
    }
}

impl From<VaultError> for ApiError {
    fn from(error: VaultError) -> Self {
        Self::failure(error)
    }
}

impl From<EventError> for ApiError {
    fn from(error: EventError) -> Self {
        Self::failure(error)
    }
}

impl From<SupervisorError> for ApiError {
    fn from(error: SupervisorError) -> Self {
        match error {
            SupervisorError::NotFound => Self::SessionNotFound,
            SupervisorError::Unreachable => Self::UpstreamUnreachable,
            SupervisorError::Elsewhere { addr } => Self::Elsewhere { addr },
            SupervisorError::NotServing => Self::OwnerUnreachable,
            SupervisorError::NotStored => Self::DatabaseUnavailable(Box::new(error)),
            SupervisorError::Store(_) | SupervisorError::Engine(_) => Self::failure(error),
        }
    }
}
