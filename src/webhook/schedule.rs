//! When a delivery that failed is tried again: the schedule of Standard Webhooks, each pause ±20 % at random, so that
//! the deliveries of an endpoint that was away do not come back in step.

use std::time::Duration;

use chrono::TimeDelta;
use rand::{Rng, RngExt as _};

use crate::domain::webhook::Order;

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

/// A relaxed stream waits this long for one event, and then goes on without it.
pub const RELAXED_WAIT: TimeDelta = TimeDelta::seconds(60);

/// Attempts at one event in all, over three days; then it is parked.
pub const ATTEMPTS: u32 = 10;

/// What becomes of an event of a stream that could not be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The stream waits and tries it again after this long.
    Again(TimeDelta),
    /// The stream goes on; it is tried again beside it after this long.
    Aside(TimeDelta),
    /// The stream goes on, and it is given up.
    Park,
}

/// The verdict after `failed` attempts, the first of which was `since` ago.
pub fn verdict(
    order: Order,
    failed: u32,
    since: TimeDelta,
    retry_after: Option<Duration>,
    rng: &mut impl Rng,
) -> Verdict {
    match (order, pause(failed, retry_after, rng)) {
        (Order::Strict, Some(pause)) if failed < STRICT_ATTEMPTS => Verdict::Again(pause),
        // Tried again later it would arrive out of its order.
        (Order::Strict, Some(_)) | (Order::Strict | Order::Relaxed, None) => Verdict::Park,
        (Order::Relaxed, Some(pause)) if since < RELAXED_WAIT => Verdict::Again(pause.min(RELAXED_WAIT - since)),
        (Order::Relaxed, Some(pause)) => Verdict::Aside(pause),
    }
}

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
    fn a_strict_stream_gives_an_event_up_after_its_attempts_and_never_sets_one_aside() {
        let mut rng = StdRng::seed_from_u64(3);
        for failed in 1..STRICT_ATTEMPTS {
            assert!(matches!(verdict(Order::Strict, failed, TimeDelta::days(1), None, &mut rng), Verdict::Again(_)));
        }
        assert_eq!(verdict(Order::Strict, STRICT_ATTEMPTS, TimeDelta::zero(), None, &mut rng), Verdict::Park);
    }

    #[test]
    fn a_relaxed_stream_waits_for_a_minute_and_then_goes_on() {
        let mut rng = StdRng::seed_from_u64(4);
        let mut at = |failed, seconds| verdict(Order::Relaxed, failed, TimeDelta::seconds(seconds), None, &mut rng);
        assert!(matches!(at(1, 0), Verdict::Again(pause) if pause <= TimeDelta::seconds(6)));
        assert_eq!(at(2, 5), Verdict::Again(TimeDelta::seconds(55)), "and not the five minutes of the schedule");
        assert!(matches!(at(3, 60), Verdict::Aside(pause) if pause >= TimeDelta::minutes(24)));
        assert_eq!(at(ATTEMPTS, 60), Verdict::Park);
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
