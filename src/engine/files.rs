//! What a client uploads and downloads: the encrypted files that messages point to.

use async_trait::async_trait;

/// What a client uploads and downloads: the encrypted files that messages point to.
#[async_trait]
pub trait Files: Send + Sync {}
