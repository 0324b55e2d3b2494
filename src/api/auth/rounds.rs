//! Which round of codes was shown last, so that the audit log gets one line a round and not one a poll.

use std::collections::HashMap;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;

use crate::domain::instance::InstanceId;
use crate::domain::qr_code::QrCode;

/// A round's codes live 160 s altogether.
const ROUND: TimeDelta = TimeDelta::seconds(160);

/// The last code shown of each instance.
#[derive(Debug, Default)]
pub(in crate::api) struct Rounds(Mutex<HashMap<InstanceId, Shown>>);

#[derive(Debug, Clone, Copy)]
struct Shown {
    attempt: u32,
    expires_at: DateTime<Utc>,
}

impl Rounds {
    /// Notes that a code is shown; `true` if it is the first of its round. A round's attempts only grow.
    pub(in crate::api) fn begins_with(&self, id: InstanceId, code: &QrCode) -> bool {
        let shown = Shown { attempt: code.attempt, expires_at: code.expires_at };
        let former = self.0.lock().insert(id, shown);
        former.is_none_or(|former| {
            shown.attempt < former.attempt
                || (shown.attempt == former.attempt && shown.expires_at - former.expires_at > TimeDelta::seconds(60))
                || shown.expires_at - former.expires_at > ROUND
        })
    }

    /// Forgets one instance.
    pub(in crate::api) fn forget(&self, id: InstanceId) {
        self.0.lock().remove(&id);
    }

    /// Forgets rounds that have ended.
    pub(in crate::api) fn prune(&self, now: DateTime<Utc>) {
        let mut rounds = self.0.lock();
        rounds.retain(|_, shown| now - shown.expires_at < ROUND);
        rounds.shrink_to_fit();
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::qr_code::QrValue;

    use super::*;

    #[test]
    fn a_round_begins_once_whichever_of_its_codes_is_shown_first() {
        let rounds = Rounds::default();
        let id = InstanceId::parse("7K2M9QX4T0AB").unwrap();
        let start = DateTime::UNIX_EPOCH;
        let code =
            |attempt: u32, second: i64| QrCode::new(QrValue::new("2@x"), start + TimeDelta::seconds(second), attempt);
        let begins = |attempt, second| rounds.begins_with(id, &code(attempt, second));
        assert!(begins(2, 80));
        assert!(!begins(2, 80) && !begins(3, 100) && !begins(6, 160));
        assert!(begins(1, 230) && !begins(2, 250), "the next round");
        assert!(begins(2, 420), "a round that was first looked at in its second code");
        rounds.prune(start + TimeDelta::seconds(420 + 160));
        assert!(rounds.0.lock().is_empty());
    }
}
