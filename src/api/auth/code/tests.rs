//! The table of linking: what each refusal is told as.

use chrono::TimeDelta;

use super::*;
use crate::domain::session::{Desired, Liveness};

fn view(next_change_at: Option<DateTime<Utc>>) -> SessionView {
    SessionView {
        instance_id: InstanceId::parse("7K2M9QX4T0AB").unwrap(),
        status: Status::Starting,
        reason: None,
        since: DateTime::UNIX_EPOCH,
        desired: Desired::Running,
        linked: false,
        me: None,
        qr: None,
        link_code: None,
        passkey: None,
        liveness: Liveness::default(),
        next_change_at,
        upstream_failing: false,
        recovering: false,
    }
}

/// Code, recovering, Retry-After.
fn told(kind: QrRefusalKind, next_change_at: Option<DateTime<Utc>>) -> (&'static str, bool, Option<u64>) {
    let view = Box::new(view(next_change_at));
    match refusal(QrRefusal::Session { kind, view }, DateTime::UNIX_EPOCH) {
        ApiError::SessionStatus(mismatch) => (mismatch.code, mismatch.recovering, mismatch.retry_after),
        error => (error.code(), false, error.retry_after()),
    }
}

#[test]
fn each_refusal_is_told_as_the_contract_says() {
    let mismatch = "session_status_mismatch";
    for (kind, expected) in [
        (QrRefusalKind::AlreadyLinked, ("already_linked", false, None)),
        (QrRefusalKind::PairingInProgress, ("pairing_in_progress", true, Some(2))),
        (QrRefusalKind::PasskeyRequired, (mismatch, false, None)),
        (QrRefusalKind::NotRecovering, (mismatch, false, None)),
        (QrRefusalKind::NotReady, (mismatch, true, Some(10))),
        (QrRefusalKind::UpstreamRefused, ("upstream_refused", false, Some(10))),
        (QrRefusalKind::UpstreamUnreachable, ("upstream_unreachable", false, Some(10))),
    ] {
        assert_eq!(told(kind, None), expected, "{kind:?}");
    }
}

#[test]
fn retry_after_is_the_time_to_the_next_change_from_two_to_twenty_seconds() {
    for (milliseconds, seconds) in [(-5_000, 2), (0, 2), (2_001, 3), (7_000, 7), (19_100, 20), (3_600_000, 20)] {
        let next_change_at = Some(DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds));
        assert_eq!(told(QrRefusalKind::NotReady, next_change_at).2, Some(seconds), "{milliseconds} ms");
    }
}
