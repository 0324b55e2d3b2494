//! What a person who links a phone sees of a session: fewer words than the states have, and none that blames them.

use chrono::{DateTime, Utc};

use super::session::{Reason, SessionView, Status};
use super::words::words;

words! {
    /// Where the linking stands, for whoever holds the link.
    LinkPhase {
        /// Nothing was asked for yet.
        Ready = "ready",
        /// A code is on its way.
        Warming = "warming",
        /// A code can be scanned.
        Scan = "scan",
        /// Scanned; WhatsApp is still finishing.
        Pairing = "pairing",
        /// WhatsApp asks for a passkey.
        Passkey = "passkey",
        /// The phone asks its owner to confirm the passkey.
        PasskeyConfirmation = "passkey_confirmation",
        /// Linked.
        Linked = "linked",
        /// It mends itself.
        Recovering = "recovering",
        /// WhatsApp cannot be reached.
        Unreachable = "unreachable",
        /// The codes ran out.
        CodesEnded = "codes_ended",
        /// Started many times without a code.
        Stalled = "stalled",
        /// The phone's owner removed the device.
        LoggedOut = "logged_out",
        /// WhatsApp refused to link this phone.
        Rejected = "rejected",
        /// WhatsApp does not let the account link.
        Refused = "refused",
        /// This gateway has to be brought up to date first.
        Outdated = "outdated",
        /// The link has linked a phone before, which was unlinked since.
        Used = "used",
        /// The link has ended, or never was one.
        Expired = "expired",
    }
}

/// What is known of the page beside the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Visit {
    /// The person asked to be shown a code.
    pub shows: bool,
    /// The link has linked a phone.
    pub spent: bool,
}

impl LinkPhase {
    /// Where the linking stands. Before the person asked for a code, whatever a request for one mends is nothing to tell.
    pub fn of(view: &SessionView, visit: Visit, now: DateTime<Utc>) -> Self {
        if view.linked {
            return Self::Linked;
        }
        if visit.spent {
            return Self::Used;
        }
        match view.status {
            Status::Working => Self::Linked,
            Status::PasskeyRequired => Self::Passkey,
            Status::PasskeyConfirmationRequired => Self::PasskeyConfirmation,
            Status::Starting if view.reason == Some(Reason::Pairing) => Self::Pairing,
            Status::Failed => Self::of_failure(view.reason, visit.shows),
            Status::Stopped | Status::Starting | Status::ScanQrCode if !visit.shows => Self::Ready,
            Status::ScanQrCode if view.qr.as_ref().is_some_and(|code| code.expires_at > now) => Self::Scan,
            Status::Stopped | Status::ScanQrCode => Self::Warming,
            Status::Starting => Self::of_start(view.reason),
        }
    }

    fn of_start(reason: Option<Reason>) -> Self {
        match reason {
            Some(Reason::UpstreamUnreachable) => Self::Unreachable,
            Some(Reason::Recovering | Reason::Reconnecting | Reason::Stalled) => Self::Recovering,
            Some(
                Reason::Pairing
                | Reason::QrNotScanned
                | Reason::LoggedOut
                | Reason::Banned
                | Reason::Restricted
                | Reason::Replaced
                | Reason::ClientOutdated
                | Reason::ReachoutTimelock
                | Reason::PairingRejected,
            )
            | None => Self::Warming,
        }
    }

    fn of_failure(reason: Option<Reason>, shows: bool) -> Self {
        match reason {
            Some(Reason::QrNotScanned | Reason::Stalled) if !shows => Self::Ready,
            Some(Reason::QrNotScanned) => Self::CodesEnded,
            Some(Reason::LoggedOut) => Self::LoggedOut,
            Some(Reason::PairingRejected) => Self::Rejected,
            Some(Reason::Banned | Reason::Restricted | Reason::Replaced) => Self::Refused,
            Some(Reason::ClientOutdated) => Self::Outdated,
            Some(Reason::UpstreamUnreachable) => Self::Unreachable,
            Some(
                Reason::Stalled
                | Reason::Pairing
                | Reason::Reconnecting
                | Reason::Recovering
                | Reason::ReachoutTimelock,
            )
            | None => Self::Stalled,
        }
    }

    /// Which of the three steps of the page it is: preparing, scanning, done.
    pub fn step(self) -> u8 {
        match self {
            Self::Scan | Self::Pairing | Self::Passkey | Self::PasskeyConfirmation => 2,
            Self::Linked => 3,
            Self::Ready
            | Self::Warming
            | Self::Recovering
            | Self::Unreachable
            | Self::CodesEnded
            | Self::Stalled
            | Self::LoggedOut
            | Self::Rejected
            | Self::Refused
            | Self::Outdated
            | Self::Used
            | Self::Expired => 1,
        }
    }

    /// Whether asking for a code (again) is the way on.
    pub fn offers_code(self) -> bool {
        match self {
            Self::Ready | Self::CodesEnded | Self::Stalled | Self::LoggedOut | Self::Rejected => true,
            Self::Warming
            | Self::Scan
            | Self::Pairing
            | Self::Passkey
            | Self::PasskeyConfirmation
            | Self::Linked
            | Self::Recovering
            | Self::Unreachable
            | Self::Refused
            | Self::Outdated
            | Self::Used
            | Self::Expired => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use chrono::TimeDelta;

    use crate::domain::instance::InstanceId;
    use crate::domain::qr_code::{QrCode, QrValue};
    use crate::domain::session::{Desired, Liveness};

    use super::*;

    const TAPPED: Visit = Visit { shows: true, spent: false };
    const LOADED: Visit = Visit { shows: false, spent: false };

    fn view(status: Status, reason: Option<Reason>) -> SessionView {
        SessionView {
            instance_id: InstanceId::parse("7K2M9QX4T0AB").unwrap(),
            status,
            reason,
            since: DateTime::UNIX_EPOCH,
            desired: Desired::Running,
            linked: false,
            me: None,
            qr: None,
            link_code: None,
            passkey: None,
            liveness: Liveness::default(),
            next_change_at: None,
            upstream_failing: false,
            recovering: true,
        }
    }

    fn phase(status: Status, reason: Option<Reason>, visit: Visit) -> LinkPhase {
        LinkPhase::of(&view(status, reason), visit, DateTime::UNIX_EPOCH)
    }

    #[test]
    fn a_page_that_was_only_loaded_says_nothing_of_what_a_request_mends() {
        for (status, reason) in [
            (Status::Stopped, None),
            (Status::Starting, Some(Reason::Recovering)),
            (Status::Starting, Some(Reason::UpstreamUnreachable)),
            (Status::ScanQrCode, None),
            (Status::Failed, Some(Reason::QrNotScanned)),
            (Status::Failed, Some(Reason::Stalled)),
        ] {
            assert_eq!(phase(status, reason, LOADED), LinkPhase::Ready, "{status} {reason:?}");
        }
        assert_eq!(phase(Status::Failed, Some(Reason::LoggedOut), LOADED), LinkPhase::LoggedOut);
    }

    #[test]
    fn a_live_code_is_scanned_and_one_that_rotated_out_is_waited_for() {
        let mut seen = view(Status::ScanQrCode, None);
        let expires_at = DateTime::UNIX_EPOCH + TimeDelta::seconds(20);
        seen.qr = Some(Arc::new(QrCode::new(QrValue::new("2@x"), expires_at, 1)));
        assert_eq!(LinkPhase::of(&seen, TAPPED, DateTime::UNIX_EPOCH), LinkPhase::Scan);
        assert_eq!(LinkPhase::of(&seen, TAPPED, expires_at), LinkPhase::Warming);
        assert_eq!(LinkPhase::of(&seen, LOADED, DateTime::UNIX_EPOCH), LinkPhase::Ready);
    }

    #[test]
    fn what_is_linked_is_linked_and_a_spent_link_links_nothing_again() {
        let mut seen = view(Status::Starting, Some(Reason::Reconnecting));
        seen.linked = true;
        let spent = Visit { shows: true, spent: true };
        assert_eq!(LinkPhase::of(&seen, spent, DateTime::UNIX_EPOCH), LinkPhase::Linked);
        assert_eq!(phase(Status::Failed, Some(Reason::LoggedOut), spent), LinkPhase::Used);
    }

    #[test]
    fn a_healing_session_asks_for_patience_and_each_end_has_a_phase_of_its_own() {
        assert_eq!(phase(Status::Starting, Some(Reason::Recovering), TAPPED), LinkPhase::Recovering);
        assert_eq!(phase(Status::Starting, Some(Reason::UpstreamUnreachable), TAPPED), LinkPhase::Unreachable);
        assert_eq!(phase(Status::Failed, Some(Reason::QrNotScanned), TAPPED), LinkPhase::CodesEnded);
        assert_eq!(phase(Status::Failed, Some(Reason::PairingRejected), TAPPED), LinkPhase::Rejected);
        assert_eq!(phase(Status::Failed, Some(Reason::Banned), TAPPED), LinkPhase::Refused);
        assert_eq!(phase(Status::PasskeyRequired, None, TAPPED), LinkPhase::Passkey);
    }
}
