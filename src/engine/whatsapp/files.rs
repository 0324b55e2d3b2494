//! What a client uploads and downloads: the encrypted files that messages point to.

use async_trait::async_trait;

use crate::engine::Files;

use super::run::Run;

#[async_trait]
impl Files for Run {}
