//! Tokens in memory: a look-up in the database for every request would cost a factor of seven.
//!
//! A token that was found is remembered for a short time with its account, its scopes and its own limiter. What changes
//! it or its account makes it stale, at once on this node and within `limits.revocation_interval` on every other, and a
//! stale one is looked up again. A token that was not found is remembered in a table of fixed size.
//!
//! Look-ups that may be guesses are capped for the node. Those of live tokens are not: of every live token a few bytes are
//! known (`living`), so that no storm of guesses refuses a caller this node has not met yet.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use parking_lot::{Mutex, RwLock};
use uuid::Uuid;

use crate::config::Limits;
use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::{Scope, Token, TokenHash, TokenKind};
use crate::limit::{Limiter, Policy, Ticks};
use crate::store::token::{Change, LiveToken};
use crate::store::{Store, StoreError, token};

use living::Living;

mod living;

/// Unknown tokens remembered at once. A new one takes the place of whichever shares its slot.
const UNKNOWN_SLOTS: usize = 4_096;

/// The name of the limit on look-ups.
pub(super) const LOOKUP: &str = "lookup";

/// Whoever calls: a token, and what it may do.
#[derive(Debug)]
pub struct Caller {
    /// Names the token in limits.
    pub token_id: Uuid,
    /// What it is for.
    pub kind: TokenKind,
    /// Whose it is.
    pub account_id: AccountId,
    /// Its one instance, if it is not an account's key.
    pub instance_id: Option<InstanceId>,
    /// Names the token to people.
    pub last4: String,
    /// Its account refuses tokens in queries and bodies.
    pub require_header_auth: bool,
    /// Its account lets start, stop and restart be asked by GET.
    pub allow_get_control: bool,
    /// Its own limiter.
    pub limiter: Arc<Limiter>,
    scopes: Vec<Scope>,
    expires_at: Option<DateTime<Utc>>,
    fresh_until: Duration,
    changed_at: DateTime<Utc>,
    account_changed_at: DateTime<Utc>,
    /// What this says may no longer be true.
    stale: AtomicBool,
}

/// The operator, by one of their keys.
#[derive(Debug, Clone)]
pub struct Operator {
    /// Names the key in limits.
    pub token_id: Uuid,
    /// Names the key to people.
    pub last4: String,
}

impl Caller {
    /// Whether it may do what `scope` names, on an instance that is in its reach.
    pub fn may(&self, scope: Scope) -> bool {
        match self.kind {
            TokenKind::Account => true,
            TokenKind::Instance => self.scopes.contains(&scope),
            TokenKind::Link => scope == Scope::Link,
            TokenKind::Operator | TokenKind::Session | TokenKind::Pairing => false,
        }
    }
}

/// Why a token was not resolved.
#[derive(Debug)]
pub enum Unresolved {
    /// There is no such live token.
    Unknown,
    /// The node may not look up more tokens at this moment.
    TooManyLookups,
    /// The database failed.
    Store(StoreError),
}

/// An unknown token and until when it is taken for one.
type Slot = Option<(TokenHash, Duration)>;

/// The tokens this node has met.
#[derive(Debug)]
pub struct Tokens {
    known: RwLock<HashMap<TokenHash, Arc<Caller>>>,
    living: Living,
    unknown: Mutex<Box<[Slot]>>,
    lookups: Limiter,
    policy: Policy,
    ttl: Duration,
    ticks: Ticks,
}

impl Tokens {
    /// None yet.
    pub fn new(limits: &Limits, ticks: Ticks) -> Self {
        let per_second = limits.token_lookups_per_second;
        Self {
            known: RwLock::default(),
            living: Living::default(),
            unknown: Mutex::new(vec![None; UNKNOWN_SLOTS].into_boxed_slice()),
            lookups: Limiter::new(Policy::per_second(LOOKUP, per_second, per_second), ticks.clone()),
            policy: Policy::per_second("api", limits.api_per_second, limits.api_burst),
            ttl: limits.token_cache_ttl,
            ticks,
        }
    }

    /// Whose token this is. The operator's is unknown here: it is for the operator's listener. So is what is for the
    /// dashboard alone.
    pub async fn resolve(&self, token: &Token, store: &Store, now: DateTime<Utc>) -> Result<Arc<Caller>, Unresolved> {
        match token.kind() {
            TokenKind::Account | TokenKind::Instance | TokenKind::Link => {
                self.resolve_hash(token.hash(), store, now).await
            }
            TokenKind::Operator | TokenKind::Session | TokenKind::Pairing => Err(Unresolved::Unknown),
        }
    }

    /// [`Self::resolve`], for whoever was resolved before and keeps no token since.
    pub async fn resolve_hash(
        &self,
        hash: TokenHash,
        store: &Store,
        now: DateTime<Utc>,
    ) -> Result<Arc<Caller>, Unresolved> {
        let known = self.known.read().get(&hash).cloned();
        if let Some(caller) = &known
            && !caller.stale.load(Ordering::Acquire)
            && self.ticks.elapsed() < caller.fresh_until
        {
            let expired = caller.expires_at.is_some_and(|expiry| expiry <= now);
            return if expired { Err(Unresolved::Unknown) } else { Ok(Arc::clone(caller)) };
        }
        let found = self.look_up(&hash, known.is_some(), store, now).await?;
        let limiter = known.map(|caller| Arc::clone(&caller.limiter));
        let Some(caller) = found.and_then(|found| self.caller(found, limiter)).map(Arc::new) else {
            self.known.write().remove(&hash);
            self.remember_unknown(hash);
            return Err(Unresolved::Unknown);
        };
        self.known.write().insert(hash, Arc::clone(&caller));
        Ok(caller)
    }

    /// Which operator's key this is. Operators are few and rarely call: nothing of a key is remembered, so that a
    /// revoked one ends at once.
    pub async fn resolve_operator(
        &self,
        token: &Token,
        store: &Store,
        now: DateTime<Utc>,
    ) -> Result<Operator, Unresolved> {
        if token.kind() != TokenKind::Operator {
            return Err(Unresolved::Unknown);
        }
        let hash = token.hash();
        let Some(found) = self.look_up(&hash, false, store, now).await? else {
            self.remember_unknown(hash);
            return Err(Unresolved::Unknown);
        };
        Ok(Operator { token_id: found.id, last4: found.last4 })
    }

    /// Asks the database, unless the token is a guess and there were too many of those.
    async fn look_up(
        &self,
        hash: &TokenHash,
        known: bool,
        store: &Store,
        now: DateTime<Utc>,
    ) -> Result<Option<LiveToken>, Unresolved> {
        if !known && self.is_unknown(hash) {
            return Err(Unresolved::Unknown);
        }
        if !known && !self.living.contains(hash) {
            self.lookups.check().map_err(|_| Unresolved::TooManyLookups)?;
        }
        let mut conn = store.acquire().await.map_err(Unresolved::Store)?;
        token::find_live(&mut conn, hash, now).await.map_err(Unresolved::Store)
    }

    fn caller(&self, found: LiveToken, limiter: Option<Arc<Limiter>>) -> Option<Caller> {
        Some(Caller {
            token_id: found.id,
            kind: found.kind,
            account_id: found.account_id?,
            instance_id: found.instance_id,
            last4: found.last4,
            require_header_auth: found.require_header_auth,
            allow_get_control: found.allow_get_control,
            limiter: limiter.unwrap_or_else(|| Arc::new(Limiter::new(self.policy, self.ticks.clone()))),
            scopes: found.scopes,
            expires_at: found.expires_at,
            fresh_until: self.ticks.elapsed() + self.ttl,
            changed_at: found.changed_at,
            account_changed_at: found.account_changed_at?,
            stale: AtomicBool::new(false),
        })
    }

    /// The limit that every token has.
    pub(super) fn policy(&self) -> Policy {
        self.policy
    }

    /// Tokens in memory.
    pub(super) fn len(&self) -> usize {
        self.known.read().len()
    }

    /// Reads which tokens are alive.
    pub async fn load(&self, store: &Store, now: DateTime<Utc>) -> Result<(), StoreError> {
        let mut conn = store.acquire().await?;
        let prefixes = token::live_prefixes(&mut conn, now, living::MOST).await?;
        self.living.replace(prefixes);
        Ok(())
    }

    /// A token was made here; after the commit.
    pub fn admit(&self, token: &Token) {
        self.living.add(token.hash().prefix());
    }

    /// A token was changed or revoked here; after the commit.
    pub fn token_changed(&self, id: Uuid) {
        self.mark_stale(|caller| caller.token_id == id);
    }

    /// An account was changed or deleted here; after the commit.
    pub fn account_changed(&self, id: AccountId) {
        self.mark_stale(|caller| caller.account_id == id);
    }

    /// What changed on any node of late. Naming a change again does nothing: whoever was looked up since stays fresh.
    pub fn apply(&self, tokens: &[Change], accounts: &[(AccountId, DateTime<Utc>)]) {
        for change in tokens {
            if change.revoked {
                self.living.remove(change.prefix);
            } else {
                self.living.add(change.prefix);
            }
        }
        let tokens: HashMap<Uuid, DateTime<Utc>> = tokens.iter().map(|change| (change.id, change.at)).collect();
        let accounts: HashMap<AccountId, DateTime<Utc>> = accounts.iter().copied().collect();
        if tokens.is_empty() && accounts.is_empty() {
            return;
        }
        self.mark_stale(|caller| {
            tokens.get(&caller.token_id).is_some_and(|at| *at > caller.changed_at)
                || accounts.get(&caller.account_id).is_some_and(|at| *at > caller.account_changed_at)
        });
    }

    fn mark_stale(&self, which: impl Fn(&Caller) -> bool) {
        for caller in self.known.read().values().filter(|caller| which(caller)) {
            caller.stale.store(true, Ordering::Release);
        }
    }

    /// Forgets the tokens of an instance that was deleted.
    pub fn drop_instance(&self, id: InstanceId) {
        self.known.write().retain(|_, caller| caller.instance_id != Some(id));
    }

    /// Forgets tokens that were not used of late, and gives the memory back.
    pub fn prune(&self) {
        let now = self.ticks.elapsed();
        let mut known = self.known.write();
        known.retain(|_, caller| now < caller.fresh_until);
        known.shrink_to_fit();
    }

    fn is_unknown(&self, hash: &TokenHash) -> bool {
        let now = self.ticks.elapsed();
        matches!(&self.unknown.lock()[slot(hash)], Some((other, until)) if other == hash && now < *until)
    }

    fn remember_unknown(&self, hash: TokenHash) {
        self.unknown.lock()[slot(&hash)] = Some((hash, self.ticks.elapsed() + self.ttl));
    }
}

fn slot(hash: &TokenHash) -> usize {
    usize::from(u16::from_le_bytes([hash.0[0], hash.0[1]])) % UNKNOWN_SLOTS
}
