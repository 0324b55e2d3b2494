//! What a limiter enforces, and how `RateLimit-Policy` and `RateLimit` say it (draft-ietf-httpapi-ratelimit-headers-11).

use std::num::NonZeroU32;
use std::time::Duration;

use governor::Quota;

use super::Refused;

/// A bucket of `burst` that refills by `refill` in `per_seconds`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// The name in the headers.
    pub name: &'static str,
    burst: NonZeroU32,
    refill: NonZeroU32,
    per_seconds: u32,
}

/// Where one bucket stands after a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    policy: Policy,
    /// Requests left at this instant.
    pub remaining: u32,
}

impl Policy {
    /// `per_second` requests a second, and `burst` at once. A zero in the configuration counts as one.
    pub fn per_second(name: &'static str, per_second: u32, burst: u32) -> Self {
        Self { name, burst: at_least_one(burst), refill: at_least_one(per_second), per_seconds: 1 }
    }

    /// `per_minute` requests a minute, all of them at once if need be.
    pub fn per_minute(name: &'static str, per_minute: u32) -> Self {
        Self { name, burst: at_least_one(per_minute), refill: at_least_one(per_minute), per_seconds: 60 }
    }

    /// The same refill, with another number of requests at once.
    #[must_use]
    pub fn with_burst(self, burst: u32) -> Self {
        Self { burst: at_least_one(burst), ..self }
    }

    pub(super) fn quota(self) -> Quota {
        let quota = match self.per_seconds {
            1 => Quota::per_second(self.refill),
            _ => Quota::per_minute(self.refill),
        };
        quota.allow_burst(self.burst)
    }

    /// A refusal by a limit that is counted elsewhere.
    pub fn refuse(self, retry_after: Duration) -> Refused {
        Refused { retry_after, standing: self.standing(0) }
    }

    pub(super) fn standing(self, remaining: u32) -> Standing {
        Standing { policy: self, remaining }
    }

    /// Seconds, rounded up, in which `count` requests come back.
    fn seconds_to_refill(self, count: u32) -> u64 {
        (u64::from(count) * u64::from(self.per_seconds)).div_ceil(u64::from(self.refill.get()))
    }
}

impl Standing {
    /// The name of the limit.
    pub fn policy_name(&self) -> &'static str {
        self.policy.name
    }

    /// `RateLimit-Policy`: `q` is the burst, `w` the seconds in which an empty bucket is full again.
    pub fn policy_header(&self) -> String {
        let Policy { name, burst, .. } = self.policy;
        format!("\"{name}\";q={burst};w={}", self.policy.seconds_to_refill(burst.get()))
    }

    /// `RateLimit`: `r` is what remains, `t` the seconds until the bucket is full again if nothing more is asked.
    pub fn header(&self) -> String {
        let Policy { name, burst, .. } = self.policy;
        let missing = burst.get().saturating_sub(self.remaining);
        format!("\"{name}\";r={};t={}", self.remaining, self.policy.seconds_to_refill(missing))
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}
