//! Whose cookie it is.
//!
//! Of a session nothing is remembered but that there was one: it is looked up at every request, so that signing out ends
//! it on every node in that moment. People click seldom, and a look-up costs one indexed read. Cookies that this node has
//! not met share a capped number of look-ups, so that guessing cannot load the database, and a person who is signed in
//! never waits behind a guesser.

use std::collections::HashSet;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use uuid::Uuid;

use crate::api::state::ApiState;
use crate::api::tokens::{Caller, Unresolved};
use crate::config::Limits;
use crate::domain::token::TokenHash;
use crate::limit::{Limiter, Policy, Ticks};
use crate::store::dashboard;

/// Sessions whose cookies this node has met, at most; then it begins anew.
const MOST_MET: usize = 16_384;

/// How exactly it is known when a session was last used.
const NOTED_EVERY: TimeDelta = TimeDelta::minutes(1);

/// The sessions this node has met.
#[derive(Debug)]
pub(in crate::api) struct Visits {
    met: Mutex<HashSet<TokenHash>>,
    lookups: Limiter,
}

/// Whoever is signed in.
#[derive(Debug, Clone)]
pub(in crate::api) struct Visit {
    /// The session.
    pub(in crate::api) id: Uuid,
    /// The caller that the key it came from is.
    pub(in crate::api) caller: Arc<Caller>,
}

impl Visits {
    pub(in crate::api) fn new(limits: &Limits, ticks: Ticks) -> Self {
        let per_second = limits.token_lookups_per_second;
        let policy = Policy::per_second("visit", per_second, per_second);
        Self { met: Mutex::default(), lookups: Limiter::new(policy, ticks) }
    }

    /// Whose session a cookie names.
    pub(in crate::api) async fn resolve(
        &self,
        state: &ApiState,
        hash: TokenHash,
        now: DateTime<Utc>,
    ) -> Result<Visit, Unresolved> {
        if !self.met.lock().contains(&hash) {
            self.take_lookup()?;
        }
        let mut conn = state.store.acquire().await.map_err(Unresolved::Store)?;
        let Some(found) = dashboard::find_live(&mut conn, &hash, now).await.map_err(Unresolved::Store)? else {
            self.met.lock().remove(&hash);
            return Err(Unresolved::Unknown);
        };
        if now - found.used_at >= NOTED_EVERY {
            dashboard::touch(&mut conn, found.id, now).await.map_err(Unresolved::Store)?;
        }
        drop(conn);
        let caller = state.tokens.resolve_hash(found.key, &state.store, now).await?;
        self.meet(hash);
        Ok(Visit { id: found.id, caller })
    }

    /// Takes one of the look-ups that may be guesses.
    pub(super) fn take_lookup(&self) -> Result<(), Unresolved> {
        self.lookups.check().map(|_| ()).map_err(|_| Unresolved::TooManyLookups)
    }

    fn meet(&self, hash: TokenHash) {
        let mut met = self.met.lock();
        if met.len() >= MOST_MET {
            met.clear();
        }
        met.insert(hash);
    }
}
