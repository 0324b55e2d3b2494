//! What a caller proved itself with, for whoever has to look again later: a stream outlives the check at its beginning.

use std::sync::Arc;

use crate::api::state::ApiState;
use crate::api::tokens::{Caller, Unresolved};
use crate::domain::token::TokenHash;

/// A credential, as far as it is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// A token.
    Token(TokenHash),
    /// A session of the dashboard.
    Session(TokenHash),
}

impl Credential {
    /// Who calls by it now.
    pub(in crate::api) async fn caller(self, state: &ApiState) -> Result<Arc<Caller>, Unresolved> {
        let now = state.clock.now();
        match self {
            Self::Token(hash) => state.tokens.resolve_hash(hash, &state.store, now).await,
            Self::Session(hash) => state.visits.resolve(state, hash, now).await.map(|visit| visit.caller),
        }
    }
}
