//! The table of linking: what each state of a session answers where there is no code.

use chrono::TimeDelta;

use super::*;
use crate::domain::session::{Desired, Liveness};

fn view(status: Status, reason: Option<Reason>, linked: bool, recovering: bool) -> SessionView {
    SessionView {
        instance_id: InstanceId::parse("7K2M9QX4T0AB").unwrap(),
        status,
        reason,
        since: DateTime::UNIX_EPOCH,
        desired: Desired::Running,
        linked,
        me: None,
        qr: None,
        liveness: Liveness::default(),
        next_change_at: None,
        upstream_failing: false,
        recovering,
    }
}

/// Code, recovering, Retry-After.
fn told(view: &SessionView) -> (&'static str, bool, Option<u64>) {
    match no_code(view, DateTime::UNIX_EPOCH) {
        ApiError::SessionStatus(mismatch) => (mismatch.code, mismatch.recovering, mismatch.retry_after),
        error => (error.code(), false, error.retry_after()),
    }
}

#[test]
fn each_state_is_told_as_the_contract_says() {
    use Reason::{Banned, ClientOutdated, Pairing, Reconnecting, Replaced, Restricted};
    let mismatch = "session_status_mismatch";
    let cases = [
        (view(Status::Starting, None, false, true), (mismatch, true, Some(10))),
        (view(Status::Starting, Some(Pairing), true, true), ("pairing_in_progress", true, Some(2))),
        (view(Status::Starting, Some(Pairing), false, true), ("pairing_in_progress", true, Some(2))),
        (view(Status::Working, None, true, false), ("already_linked", false, None)),
        (view(Status::Stopped, None, true, false), ("already_linked", false, None)),
        (view(Status::Starting, Some(Reconnecting), true, true), ("already_linked", false, None)),
        (view(Status::PasskeyRequired, None, false, false), (mismatch, false, None)),
        (view(Status::PasskeyConfirmationRequired, None, false, false), (mismatch, false, None)),
        (view(Status::Failed, Some(Banned), false, false), (mismatch, false, None)),
        (view(Status::Failed, Some(Restricted), false, false), (mismatch, false, None)),
        (view(Status::Failed, Some(Replaced), false, false), (mismatch, false, None)),
        (view(Status::Failed, Some(ClientOutdated), false, false), (mismatch, false, None)),
    ];
    for (view, expected) in cases {
        assert_eq!(told(&view), expected, "{} {:?} linked {}", view.status, view.reason, view.linked);
    }
}

#[test]
fn a_session_that_cannot_reach_whatsapp_is_a_bad_gateway_unless_it_is_linked() {
    let failing = |linked| SessionView { upstream_failing: true, ..view(Status::Starting, None, linked, true) };
    assert_eq!(told(&failing(false)), ("upstream_unreachable", false, Some(10)));
    assert_eq!(told(&failing(true)), ("already_linked", false, None));
}

#[test]
fn retry_after_is_the_time_to_the_next_change_from_two_to_twenty_seconds() {
    for (milliseconds, seconds) in [(-5_000, 2), (0, 2), (2_001, 3), (7_000, 7), (19_100, 20), (3_600_000, 20)] {
        let next_change_at = Some(DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds));
        let view = SessionView { next_change_at, ..view(Status::Starting, None, false, true) };
        assert_eq!(told(&view).2, Some(seconds), "{milliseconds} ms");
    }
}
