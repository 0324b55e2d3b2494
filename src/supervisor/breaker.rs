//! The node's circuit breaker: when WhatsApp fails everybody, one probe at a time finds out when it is back.
//!
//! Pure: times are passed in. Each attempt belongs to a *generation*, which changes whenever the breaker opens or
//! closes; what is still told of an earlier generation is ignored, so that the late failures of an outage do not open
//! the breaker again after it.

use std::collections::VecDeque;

use chrono::{DateTime, TimeDelta, Utc};

/// When it opens.
#[derive(Debug, Clone, Copy)]
pub(super) struct BreakerRules {
    /// Failures at least.
    pub(super) failures: u32,
    /// Their share of all attempts, `0.0..=1.0`.
    pub(super) share: f64,
    /// Within this time.
    pub(super) window: TimeDelta,
    /// How often a probe is let through.
    pub(super) probe_interval: TimeDelta,
}

/// The attempts of one second.
#[derive(Debug, Clone, Copy)]
struct Second {
    at: i64,
    reached: u32,
    failed: u32,
}

#[derive(Debug)]
pub(super) struct Breaker {
    rules: BreakerRules,
    generation: u64,
    /// While it is open: when the next probe may go.
    next_probe: Option<DateTime<Utc>>,
    seconds: VecDeque<Second>,
}

impl Breaker {
    pub(super) fn new(rules: BreakerRules) -> Self {
        Self { rules, generation: 0, next_probe: None, seconds: VecDeque::new() }
    }

    /// When the next attempt may go, as far as the breaker is concerned; `None` for at once.
    pub(super) fn not_before(&self) -> Option<DateTime<Utc>> {
        self.next_probe
    }

    /// An attempt goes now; the result names its generation.
    pub(super) fn admit(&mut self, now: DateTime<Utc>) -> u64 {
        if let Some(next_probe) = &mut self.next_probe {
            *next_probe = now + self.rules.probe_interval;
        }
        self.generation
    }

    /// How an attempt went. Returns whether the breaker opened or closed by it.
    pub(super) fn report(&mut self, generation: u64, reached: bool, now: DateTime<Utc>) -> bool {
        if generation != self.generation {
            return false;
        }
        if self.next_probe.is_some() {
            if reached {
                self.turn(None);
            }
            return reached;
        }
        self.count(reached, now);
        let (reached, failed) = self
            .seconds
            .iter()
            .fold((0, 0), |(reached, failed), second| (reached + second.reached, failed + second.failed));
        let opens =
            failed >= self.rules.failures && f64::from(failed) >= self.rules.share * f64::from(reached + failed);
        if opens {
            self.turn(Some(now + self.rules.probe_interval));
        }
        opens
    }

    pub(super) fn is_open(&self) -> bool {
        self.next_probe.is_some()
    }

    fn turn(&mut self, next_probe: Option<DateTime<Utc>>) {
        self.next_probe = next_probe;
        self.generation += 1;
        self.seconds.clear();
    }

    fn count(&mut self, reached: bool, now: DateTime<Utc>) {
        let at = now.timestamp();
        let oldest = (now - self.rules.window).timestamp();
        self.seconds.retain(|second| second.at > oldest && second.at <= at);
        if self.seconds.back().is_none_or(|second| second.at != at) {
            self.seconds.push_back(Second { at, reached: 0, failed: 0 });
        }
        if let Some(second) = self.seconds.back_mut() {
            if reached { second.reached += 1 } else { second.failed += 1 }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn breaker() -> Breaker {
        Breaker::new(BreakerRules {
            failures: 20,
            share: 0.30,
            window: TimeDelta::seconds(60),
            probe_interval: TimeDelta::seconds(5),
        })
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::seconds(1_000_000 + seconds)
    }

    #[test]
    fn it_opens_at_twenty_failures_within_a_minute_and_not_before() {
        let mut breaker = breaker();
        for _ in 0..19 {
            assert!(!breaker.report(0, false, at(0)));
        }
        assert!(breaker.report(0, false, at(59)));
        assert_eq!(breaker.not_before(), Some(at(64)));
    }

    #[test]
    fn failures_older_than_the_window_do_not_count() {
        let mut breaker = breaker();
        for _ in 0..19 {
            breaker.report(0, false, at(0));
        }
        assert!(!breaker.report(0, false, at(60)));
    }

    #[test]
    fn twenty_failures_among_many_successes_leave_it_closed() {
        let mut breaker = breaker();
        for _ in 0..80 {
            breaker.report(0, true, at(0));
        }
        for _ in 0..34 {
            assert!(!breaker.report(0, false, at(1)));
        }
        assert!(breaker.report(0, false, at(1)), "35 of 115 are over 30 %");
    }

    #[test]
    fn a_probe_every_five_seconds_and_the_first_that_succeeds_closes_it() {
        let mut breaker = breaker();
        for _ in 0..20 {
            breaker.report(0, false, at(0));
        }
        let probe = breaker.admit(at(5));
        assert_eq!(breaker.not_before(), Some(at(10)));
        assert!(!breaker.report(probe, false, at(6)));
        let probe = breaker.admit(at(10));
        assert!(breaker.report(probe, true, at(11)));
        assert!(!breaker.is_open());
    }

    #[test]
    fn what_is_told_late_of_the_time_before_changes_nothing() {
        let mut breaker = breaker();
        for _ in 0..20 {
            breaker.report(0, false, at(0));
        }
        assert!(!breaker.report(0, true, at(1)));
        assert!(breaker.is_open());
        let probe = breaker.admit(at(5));
        breaker.report(probe, true, at(5));
        for _ in 0..100 {
            assert!(!breaker.report(0, false, at(6)));
        }
    }
}
