//! One round of codes: six references, the first alive for 60 s, the others for 20 s each.
//!
//! The client rotates its codes by constants of its own; a server cannot shorten them. To speed a round up, the server
//! sends what is left of it again at each rotation: the client then drops the code it shows and begins with the first
//! it was given, and with none at all it reports the round exhausted and disconnects. (The time to live it reports
//! with such a code is still its own constant.)

use chrono::{DateTime, TimeDelta, Utc};

/// References in a round.
pub(super) const REFERENCES: usize = 6;
/// How much longer than its turn a reference can be scanned: a phone may be slow to read the screen.
const GRACE: TimeDelta = TimeDelta::seconds(1);

/// The references of one unlinked connection and whose turn it is.
#[derive(Debug)]
pub(super) struct Round {
    references: [String; REFERENCES],
    current: usize,
    current_since: DateTime<Utc>,
    factor: f64,
    is_driven: bool,
}

impl Round {
    /// A round that starts now and goes `factor` times faster than WhatsApp's.
    pub(super) fn new(references: [String; REFERENCES], now: DateTime<Utc>, factor: f64) -> Self {
        Self { references, current: 0, current_since: now, factor, is_driven: factor > 1.0 }
    }

    /// The references not yet rotated out.
    pub(super) fn remaining(&self) -> &[String] {
        &self.references[self.current..]
    }

    /// Every reference of the round.
    pub(super) fn references(&self) -> &[String; REFERENCES] {
        &self.references
    }

    /// Whether the server drives the client's rotation, because the round is faster than the client's constants.
    pub(super) fn is_driven(&self) -> bool {
        self.is_driven
    }

    /// From now on the round goes `factor` times faster than WhatsApp's, the current reference included.
    pub(super) fn set_factor(&mut self, factor: f64) {
        self.factor = factor;
        self.is_driven |= factor > 1.0;
    }

    /// When the current reference rotates out; `None` after the last.
    pub(super) fn next_rotation(&self) -> Option<DateTime<Utc>> {
        (self.current < REFERENCES).then(|| self.end_of_turn(self.current))
    }

    /// Rotates the current reference out.
    pub(super) fn rotate(&mut self) {
        if let Some(end) = self.next_rotation() {
            self.current_since = end;
            self.current += 1;
        }
    }

    /// Whether a reference of this round can still be scanned. One whose turn has not come can be.
    pub(super) fn is_live(&self, index: usize, now: DateTime<Utc>) -> bool {
        let rotated_out = index + 1 < self.current;
        !rotated_out && now < self.end_of_turn(index) + scaled(GRACE, self.factor)
    }

    fn end_of_turn(&self, index: usize) -> DateTime<Utc> {
        if index < self.current {
            return self.current_since;
        }
        let turns = (self.current..=index).map(turn).sum::<TimeDelta>();
        self.current_since + scaled(turns, self.factor)
    }
}

fn turn(index: usize) -> TimeDelta {
    TimeDelta::seconds(if index == 0 { 60 } else { 20 })
}

fn scaled(span: TimeDelta, factor: f64) -> TimeDelta {
    let seconds = span.as_seconds_f64() / factor;
    TimeDelta::from_std(std::time::Duration::from_secs_f64(seconds)).expect("a turn is shorter than the calendar")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(factor: f64) -> (Round, DateTime<Utc>) {
        let start = DateTime::UNIX_EPOCH;
        (Round::new(std::array::from_fn(|index| format!("2@{index}")), start, factor), start)
    }

    fn at(start: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
        start + TimeDelta::seconds(seconds)
    }

    #[test]
    fn codes_rotate_at_60_80_100_120_140_and_160_seconds() {
        let (mut round, start) = round(1.0);
        for seconds in [60, 80, 100, 120, 140, 160] {
            assert_eq!(round.next_rotation(), Some(at(start, seconds)));
            round.rotate();
        }
        assert_eq!(round.next_rotation(), None);
        assert!(round.remaining().is_empty());
        assert!(!round.is_driven());
    }

    #[test]
    fn a_reference_can_be_scanned_until_its_turn_is_over() {
        let (mut round, start) = round(1.0);
        assert!(round.is_live(0, at(start, 60)));
        assert!(!round.is_live(0, at(start, 61)));
        assert!(round.is_live(1, at(start, 0)));
        round.rotate();
        assert!(!round.is_live(0, at(start, 61)));
        assert!(round.is_live(1, at(start, 80)));
        assert!(!round.is_live(1, at(start, 81)));
    }

    #[test]
    fn a_factor_shortens_the_reference_on_screen_too() {
        let (mut round, start) = round(1.0);
        round.set_factor(20.0);
        assert!(round.is_driven());
        assert_eq!(round.next_rotation(), Some(at(start, 3)));
        round.rotate();
        assert_eq!(round.next_rotation(), Some(at(start, 4)));
    }
}
