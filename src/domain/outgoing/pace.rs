//! How fast an instance sends: so many messages a minute and a day, and a pause between two.
//!
//! A message is given its moment when it is accepted, and that moment is stored with it. So the pace holds over restarts
//! and over owners: what was promised is read back.

use std::collections::VecDeque;

use chrono::{DateTime, Days, NaiveTime, TimeDelta, Utc};

use crate::domain::words::words;

words! {
    /// What becomes of a message that would go faster than the pace.
    Over {
        /// It is refused.
        Refuse = "refuse",
        /// It waits for its moment.
        Queue = "queue",
    }
}

/// The pace of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// Messages within any 60 seconds; at least 1.
    pub per_minute: u32,
    /// Messages within a day of UTC; at least 1.
    pub per_day: u32,
    /// Between two messages.
    pub pause: TimeDelta,
    /// What becomes of more, unless its sender says otherwise.
    pub over: Over,
}

impl Pace {
    /// Bounds of [`Pace::per_minute`].
    pub const PER_MINUTE: std::ops::RangeInclusive<u32> = 1..=6_000;
    /// Bounds of [`Pace::per_day`].
    pub const PER_DAY: std::ops::RangeInclusive<u32> = 1..=1_000_000;
    /// Bounds of [`Pace::pause`], in milliseconds.
    pub const PAUSE_MS: std::ops::RangeInclusive<u32> = 0..=600_000;
}

/// Within this time no more than [`Pace::per_minute`].
const WINDOW: TimeDelta = TimeDelta::seconds(60);

/// The moments that an instance's messages were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ledger {
    /// The latest, oldest first: as many as the longest window needs.
    recent: VecDeque<DateTime<Utc>>,
    /// How many were given in the day of the last.
    used: u32,
}

impl Ledger {
    /// A ledger as it was left: the latest moments, oldest first, and how many there are in the day of the last.
    pub fn resume(recent: impl IntoIterator<Item = DateTime<Utc>>, used: u32) -> Self {
        Self { recent: recent.into_iter().collect(), used }
    }

    /// The next free moment, `now` or later. Moments are given in order.
    pub fn next(&self, pace: &Pace, now: DateTime<Utc>) -> DateTime<Utc> {
        let Some(last) = self.recent.back().copied() else { return now };
        let mut at = now.max(last);
        if pace.pause > TimeDelta::zero() {
            at = at.max(last + pace.pause);
        }
        let window = usize::try_from(pace.per_minute).unwrap_or(usize::MAX);
        if let Some(first) = self.recent.len().checked_sub(window).and_then(|place| self.recent.get(place)) {
            at = at.max(*first + WINDOW);
        }
        if at.date_naive() == last.date_naive() && self.used >= pace.per_day { midnight_after(at) } else { at }
    }

    /// Gives a moment that [`Ledger::next`] named.
    pub fn give(&mut self, pace: &Pace, at: DateTime<Utc>) {
        let same_day = self.recent.back().is_some_and(|last| last.date_naive() == at.date_naive());
        self.used = if same_day { self.used.saturating_add(1) } else { 1 };
        self.recent.push_back(at);
        // A pace may become faster later on and then needs more of them, which only errs towards sending.
        let window = usize::try_from(pace.per_minute).unwrap_or(usize::MAX);
        while self.recent.len() > window.max(1) {
            self.recent.pop_front();
        }
    }

    /// How many moments were given in the day of `now` so far.
    pub fn used_today(&self, now: DateTime<Utc>) -> u32 {
        let today = self.recent.back().is_some_and(|last| last.date_naive() == now.date_naive());
        if today { self.used } else { 0 }
    }
}

fn midnight_after(at: DateTime<Utc>) -> DateTime<Utc> {
    let next = at.date_naive().checked_add_days(Days::new(1)).unwrap_or(chrono::NaiveDate::MAX);
    next.and_time(NaiveTime::MIN).and_utc()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pace(per_minute: u32, per_day: u32, pause_ms: i64) -> Pace {
        Pace { per_minute, per_day, pause: TimeDelta::milliseconds(pause_ms), over: Over::Queue }
    }

    fn noon() -> DateTime<Utc> {
        DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::hours(12)
    }

    fn give(ledger: &mut Ledger, pace: &Pace, now: DateTime<Utc>) -> DateTime<Utc> {
        let at = ledger.next(pace, now);
        ledger.give(pace, at);
        at
    }

    #[test]
    fn a_minutes_messages_go_at_once_and_the_next_one_when_the_first_is_a_minute_old() {
        let (pace, mut ledger) = (pace(3, 100, 0), Ledger::default());
        let at: Vec<TimeDelta> = (0..7).map(|_| give(&mut ledger, &pace, noon()) - noon()).collect();
        assert_eq!(at, [0, 0, 0, 60, 60, 60, 120].map(TimeDelta::seconds));
    }

    #[test]
    fn a_pause_lies_between_any_two() {
        let (pace, mut ledger) = (pace(100, 100, 1_500), Ledger::default());
        let at: Vec<i64> = (0..3).map(|_| (give(&mut ledger, &pace, noon()) - noon()).num_milliseconds()).collect();
        assert_eq!(at, [0, 1_500, 3_000]);
        assert_eq!(ledger.next(&pace, noon() + TimeDelta::hours(1)), noon() + TimeDelta::hours(1));
    }

    #[test]
    fn what_is_beyond_a_day_goes_the_next_day() {
        let (pace, mut ledger) = (pace(100, 2, 0), Ledger::default());
        let at: Vec<TimeDelta> = (0..5).map(|_| give(&mut ledger, &pace, noon()) - noon()).collect();
        assert_eq!(at, [0, 0, 12, 12, 36].map(TimeDelta::hours));
        assert_eq!(ledger.used_today(noon()), 0, "the last of them are of other days");
        assert_eq!(ledger.used_today(noon() + TimeDelta::hours(37)), 1);
    }

    #[test]
    fn a_ledger_that_was_read_back_goes_on_where_it_was() {
        let (pace, mut ledger) = (pace(2, 3, 0), Ledger::default());
        let given: Vec<_> = (0..2).map(|_| give(&mut ledger, &pace, noon())).collect();
        assert_eq!(Ledger::resume(given, 2), ledger);
    }

    proptest! {
        #[test]
        fn no_window_and_no_day_ever_holds_more_than_the_pace(
            (per_minute, per_day, pause_ms) in (1_u32..8, 1_u32..30, 0_i64..5_000),
            gaps in prop::collection::vec(0_i64..90_000, 1..120),
        ) {
            let pace = pace(per_minute, per_day, pause_ms);
            let (mut ledger, mut now, mut given) = (Ledger::default(), noon(), Vec::new());
            for gap in gaps {
                now += TimeDelta::milliseconds(gap);
                let at = give(&mut ledger, &pace, now);
                prop_assert!(at >= now);
                given.push(at);
            }
            for (place, at) in given.iter().enumerate() {
                let rest = &given[place..];
                let minute = rest.iter().take_while(|other| **other - *at < WINDOW).count();
                prop_assert!(minute <= per_minute as usize);
                let day = given.iter().filter(|other| other.date_naive() == at.date_naive()).count();
                prop_assert!(day <= per_day as usize);
                if let Some(next) = rest.get(1) {
                    prop_assert!(*next - *at >= pace.pause);
                }
            }
        }
    }
}
