//! Rate limiters, one or one a key, and the headers that tell of them.
//!
//! All are the generic cell rate algorithm of `governor`: a bucket of `burst` that refills evenly. `governor` never
//! forgets a key, so [`KeyedLimiter::prune`] must be called now and then; between two calls a table holds at most
//! [`MAX_KEYS`] keys, and keys beyond that share one bucket, so that no caller can grow a table without end.

mod policy;
mod ticks;

use std::hash::Hash;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::middleware::{StateInformationMiddleware, StateSnapshot};
use governor::state::keyed::HashMapStateStore;
use governor::state::{InMemoryState, NotKeyed};
use governor::{NotUntil, RateLimiter};

pub use policy::{Policy, Standing};
pub use ticks::Ticks;

/// Keys a [`KeyedLimiter`] holds at most.
pub const MAX_KEYS: usize = 65_536;

/// The bucket is empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// When the next request will be let through.
    pub retry_after: Duration,
    /// For the headers; nothing remains.
    pub standing: Standing,
}

/// A limiter of one bucket.
#[derive(Debug)]
pub struct Limiter {
    policy: Policy,
    ticks: Ticks,
    bucket: RateLimiter<NotKeyed, InMemoryState, Ticks, StateInformationMiddleware>,
}

impl Limiter {
    /// A full bucket.
    pub fn new(policy: Policy, ticks: Ticks) -> Self {
        let bucket = RateLimiter::direct_with_clock(policy.quota(), ticks.clone()).with_middleware();
        Self { policy, ticks, bucket }
    }

    /// Takes one from the bucket.
    pub fn check(&self) -> Result<Standing, Refused> {
        outcome(self.policy, &self.ticks, self.bucket.check())
    }

    fn check_many(&self, count: NonZeroU32) -> Result<Standing, Refused> {
        match self.bucket.check_n(count) {
            Ok(checked) => outcome(self.policy, &self.ticks, checked),
            Err(_) => Err(never(self.policy)),
        }
    }
}

/// A limiter with a bucket for each key.
#[derive(Debug)]
pub struct KeyedLimiter<K: Hash + Eq + Clone> {
    policy: Policy,
    ticks: Ticks,
    buckets: RateLimiter<K, HashMapStateStore<K>, Ticks, StateInformationMiddleware>,
    shared: Limiter,
    max_keys: usize,
}

impl<K: Hash + Eq + Clone> KeyedLimiter<K> {
    /// Full buckets for everybody.
    pub fn new(policy: Policy, ticks: Ticks) -> Self {
        Self::with_max_keys(policy, ticks, MAX_KEYS)
    }

    fn with_max_keys(policy: Policy, ticks: Ticks, max_keys: usize) -> Self {
        let buckets = RateLimiter::new(policy.quota(), HashMapStateStore::default(), ticks.clone());
        let shared = Limiter::new(policy, ticks.clone());
        Self { policy, ticks, buckets, shared, max_keys }
    }

    /// Takes one from the bucket of `key`. While the table is full, everybody draws from one shared bucket.
    pub fn check(&self, key: &K) -> Result<Standing, Refused> {
        if !self.has_room() {
            return self.shared.check();
        }
        outcome(self.policy, &self.ticks, self.buckets.check_key(key))
    }

    /// Takes `count` at once from the bucket of `key`, or nothing. What is more than a full bucket is never let through.
    pub fn check_many(&self, key: &K, count: NonZeroU32) -> Result<Standing, Refused> {
        if !self.has_room() {
            return self.shared.check_many(count);
        }
        match self.buckets.check_key_n(key, count) {
            Ok(checked) => outcome(self.policy, &self.ticks, checked),
            Err(_) => Err(never(self.policy)),
        }
    }

    /// Whether the table takes another key.
    fn has_room(&self) -> bool {
        if self.buckets.len() >= self.max_keys {
            self.buckets.retain_recent();
        }
        self.buckets.len() < self.max_keys
    }

    /// Forgets every bucket that is full again, and gives the memory back.
    pub fn prune(&self) {
        self.buckets.retain_recent();
        self.buckets.shrink_to_fit();
    }

    /// Buckets in memory.
    pub fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }
}

/// What a bucket says that cannot hold as much as was asked for.
fn never(policy: Policy) -> Refused {
    Refused { retry_after: policy.time_to_fill(), standing: policy.standing(0) }
}

fn outcome(
    policy: Policy,
    ticks: &Ticks,
    checked: Result<StateSnapshot, NotUntil<Duration>>,
) -> Result<Standing, Refused> {
    match checked {
        Ok(snapshot) => Ok(policy.standing(snapshot.remaining_burst_capacity())),
        Err(not_until) => {
            let now = governor::clock::Clock::now(ticks);
            Err(Refused { retry_after: not_until.wait_time_from(now), standing: policy.standing(0) })
        }
    }
}

/// The key of a client address: an IPv4 address, or the /64 of an IPv6 address, because whoever has one address of a
/// /64 has them all. An IPv4 address written as IPv6 counts as what it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct AddressKey(u64);

impl From<IpAddr> for AddressKey {
    fn from(address: IpAddr) -> Self {
        match address.to_canonical() {
            // ::/64 holds only the unspecified and the loopback address, so IPv4 addresses meet no IPv6 network there
            // but that one.
            IpAddr::V4(address) => Self(u64::from(u32::from(address))),
            IpAddr::V6(address) => Self((u128::from(address) >> 64) as u64),
        }
    }
}

#[cfg(test)]
mod tests;
