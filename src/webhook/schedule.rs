//! When a delivery that failed is tried again: the schedule of Standard Webhooks, each pause ±20 % at random, so that
//! the deliveries of an endpoint that was away do not come back in step.

use std::time::Duration;

use chrono::TimeDelta;
use rand::{Rng, RngExt as _};

/// Pauses before the second attempt, the third, …
const PAUSES: [TimeDelta; 9] = [
    TimeDelta::seconds(5),
    TimeDelta::minutes(5),
    TimeDelta::minutes(30),
    TimeDelta::hours(2),
    TimeDelta::hours(5),
    TimeDelta::hours(10),
    TimeDelta::hours(14),
    TimeDelta::hours(20),
    TimeDelta::hours(24),
];
const JITTER_PERCENT: i32 = 20;

/// The longest `Retry-After` of an endpoint that is honoured.
const LONGEST_RETRY_AFTER: TimeDelta = TimeDelta::hours(1);

/// A stream that is delivered in order waits through this many attempts at one event, about 35 minutes.
pub const STRICT_ATTEMPTS: u32 = 4;

/// Attempts at one event in all, over three days; then it is parked.
pub const ATTEMPTS: u32 = 10;

/// The pause after `failed` attempts at an event; `None` once there is no further one. An endpoint that named a pause
/// gets at least that, up to an hour.
pub fn pause(failed: u32, retry_after: Option<Duration>, rng: &mut impl Rng) -> Option<TimeDelta> {
    let pause = *PAUSES.get(usize::try_from(failed).ok()?.checked_sub(1)?)?;
    let percent = rng.random_range(100 - JITTER_PERCENT..=100 + JITTER_PERCENT);
    let jittered = TimeDelta::milliseconds(pause.num_milliseconds() / 100 * i64::from(percent));
    let asked = retry_after.map(|asked| TimeDelta::from_std(asked).unwrap_or(TimeDelta::MAX).min(LONGEST_RETRY_AFTER));
    Some(jittered.max(asked.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn pauses_grow_and_stay_within_a_fifth_of_the_standards() {
        let mut rng = StdRng::seed_from_u64(1);
        for (failed, standard) in (1..).zip(PAUSES) {
            for _ in 0..200 {
                let pause = pause(failed, None, &mut rng).unwrap();
                assert!(pause >= standard * 8 / 10 && pause <= standard * 12 / 10, "{failed}: {pause}");
            }
        }
        assert_eq!(PAUSES.len() + 1, ATTEMPTS as usize);
        assert_eq!(pause(0, None, &mut rng), None);
        assert_eq!(pause(ATTEMPTS, None, &mut rng), None);
    }

    #[test]
    fn a_stream_in_order_waits_for_about_35_minutes() {
        let waited: TimeDelta = PAUSES.into_iter().take(STRICT_ATTEMPTS as usize - 1).sum();
        assert_eq!(waited, TimeDelta::minutes(35) + TimeDelta::seconds(5));
    }

    #[test]
    fn an_endpoint_may_ask_for_a_longer_pause_but_not_for_ever() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut seconds = |asked| pause(1, Some(Duration::from_secs(asked)), &mut rng).unwrap();
        assert_eq!(seconds(90), TimeDelta::seconds(90));
        assert!(seconds(1) >= TimeDelta::seconds(4));
        assert_eq!(seconds(u64::MAX), LONGEST_RETRY_AFTER);
        assert!(pause(3, Some(Duration::from_secs(1)), &mut rng).unwrap() >= TimeDelta::minutes(24));
    }
}
