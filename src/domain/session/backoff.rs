//! Full jitter: a wait drawn evenly between nothing and a ceiling that doubles.
//!
//! Spread over the whole range, thousands of sessions that failed at one instant do not come back at one instant
//! (Marc Brooker, "Exponential Backoff and Jitter", 2015).

use chrono::TimeDelta;
use rand::{Rng, RngExt};

/// The wait before attempt `failures + 1`: even in `0..=min(max, min · 2^failures)`.
pub fn full_jitter(failures: u32, min: TimeDelta, max: TimeDelta, rng: &mut impl Rng) -> TimeDelta {
    between(TimeDelta::zero(), ceiling(failures, min, max), rng)
}

/// The longest wait that [`full_jitter`] can draw.
pub fn ceiling(failures: u32, min: TimeDelta, max: TimeDelta) -> TimeDelta {
    let doubled = min.num_milliseconds().saturating_mul(1_i64 << failures.min(40));
    TimeDelta::milliseconds(doubled.min(max.num_milliseconds()))
}

/// A duration drawn evenly from `low..=high`, to the millisecond.
pub fn between(low: TimeDelta, high: TimeDelta, rng: &mut impl Rng) -> TimeDelta {
    let (low, high) = (low.num_milliseconds(), high.num_milliseconds());
    TimeDelta::milliseconds(if low < high { rng.random_range(low..=high) } else { low })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const MIN: TimeDelta = TimeDelta::seconds(1);
    const MAX: TimeDelta = TimeDelta::seconds(300);

    proptest! {
        #[test]
        fn a_wait_is_never_negative_and_never_above_its_ceiling(failures: u32, seed: u64) {
            let wait = full_jitter(failures, MIN, MAX, &mut StdRng::seed_from_u64(seed));
            prop_assert!(wait >= TimeDelta::zero() && wait <= ceiling(failures, MIN, MAX));
        }
    }

    #[test]
    fn the_ceiling_doubles_from_the_first_to_the_last() {
        let seconds = |failures| ceiling(failures, MIN, MAX).num_seconds();
        assert_eq!([0, 1, 2, 8, 9, 10, u32::MAX].map(seconds), [1, 2, 4, 256, 300, 300, 300]);
    }

    #[test]
    fn a_range_without_width_is_its_one_value() {
        assert_eq!(between(MIN, MIN, &mut StdRng::seed_from_u64(1)), MIN);
    }
}
