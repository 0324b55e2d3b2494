//! The numbers of the configuration, as the domain takes them.

use std::time::Duration;

use chrono::TimeDelta;

use crate::config::{Config, Limits};
use crate::domain::outgoing::{Over, Pace};
use crate::domain::session::Rules;

/// What a probe is given beyond WhatsApp's time to answer.
const PROBE_SLACK: Duration = Duration::from_secs(5);

/// A configured duration as the domain counts it; one that is longer than chrono can say is as good as for ever.
pub(super) fn delta(duration: Duration) -> TimeDelta {
    TimeDelta::from_std(duration).unwrap_or(TimeDelta::MAX).min(TimeDelta::days(36_500))
}

/// The rules of a session.
pub(super) fn rules(config: &Config) -> Rules {
    let session = &config.session;
    let liveness = delta(session.liveness_timeout);
    let answer = delta(config.engine.request_timeout + PROBE_SLACK);
    Rules {
        first_code_deadline: delta(session.first_code_deadline),
        max_stalls: session.max_stalls,
        pairing_deadline: delta(session.pairing_deadline),
        login_deadline: delta(session.login_deadline),
        liveness_timeout: liveness,
        // Whatever the numbers, half of the time is left for quiet.
        probe_after: (liveness - answer).max(liveness / 2),
        demand_window: delta(session.demand_window),
        max_rounds: session.max_rounds,
        rounds_cooldown: delta(session.rounds_cooldown),
        backoff_min: delta(session.backoff_min),
        backoff_max: delta(session.backoff_max),
        ban_grace_min: delta(session.ban_grace_min),
        ban_grace_max: delta(session.ban_grace_max),
        replaced_retry: delta(session.replaced_retry),
        logout_deadline: delta(config.engine.connect_timeout.max(config.engine.request_timeout)),
    }
}

/// How fast an instance sends unless its owner chose otherwise.
pub(super) fn pace(limits: &Limits) -> Pace {
    Pace {
        per_minute: limits.messages_per_minute,
        per_day: limits.messages_per_day,
        pause: delta(limits.message_pause),
        over: Over::Queue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_leave_a_probe_time_to_be_answered() {
        let config = Config::defaults();
        let rules = rules(&config);
        assert_eq!(rules.probe_after, TimeDelta::seconds(40));
        assert!(rules.probe_after + delta(config.engine.request_timeout) < rules.liveness_timeout);
    }
}
