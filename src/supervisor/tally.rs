//! What an actor's decision means for the node's metrics: read off the state before and after it, so that the decisions
//! themselves stay pure.

use chrono::{DateTime, Utc};

use crate::domain::session::{Event, Phase, RunEvent, State, Status};
use crate::telemetry::metrics::{HealCause, SessionMeter};

/// Follows one session.
pub(super) struct Tally {
    meter: SessionMeter,
    /// When the session set out for what it is still on its way to.
    set_out_at: Option<DateTime<Utc>>,
}

/// What is kept of a state to be compared with the next.
pub(super) struct Before {
    status: Status,
    showing: Option<u64>,
    run: Option<u64>,
    cause: Option<HealCause>,
}

impl Tally {
    pub(super) fn new(meter: SessionMeter, state: &State, now: DateTime<Utc>) -> Self {
        let set_out_at = (state.shown().0 == Status::Starting).then_some(now);
        Self { meter, set_out_at }
    }

    /// To be called before the decision about `event`.
    pub(super) fn before(state: &State, event: &Event) -> Before {
        Before {
            status: state.shown().0,
            showing: showing(&state.phase),
            run: state.phase.run(),
            cause: cause(&state.phase, state.linked, event),
        }
    }

    /// To be called after it.
    pub(super) fn after(&mut self, before: &Before, event: &Event, state: &State, now: DateTime<Utc>) {
        let status = state.shown().0;
        let showing = showing(&state.phase);
        match status {
            Status::Starting => {
                if before.status != Status::Starting {
                    self.set_out_at = Some(now);
                }
            }
            Status::ScanQrCode => {
                if let Some(set_out_at) = self.set_out_at.take() {
                    self.meter.first_code((now - set_out_at).to_std().unwrap_or_default());
                }
            }
            Status::Stopped
            | Status::PasskeyRequired
            | Status::PasskeyConfirmationRequired
            | Status::Working
            | Status::Failed => self.set_out_at = None,
        }
        if showing.is_some() && showing != before.showing {
            self.meter.round_begun();
        }
        if let Event::Run { run, event } = event
            && Some(*run) == before.run
        {
            if matches!(event, RunEvent::CodesExhausted { .. }) {
                self.meter.round_exhausted();
            }
            if matches!(event, RunEvent::PairSuccess { .. }) {
                self.meter.linked();
            }
        }
        if let Some(cause) = before.cause
            && matches!(state.phase, Phase::Waiting { .. } | Phase::Queued)
        {
            self.meter.healed(cause);
        }
    }
}

/// The run whose codes are shown.
fn showing(phase: &Phase) -> Option<u64> {
    if let Phase::Scanning { run, .. } = phase { Some(*run) } else { None }
}

/// Why a session in `phase` is started again, should the decision about `event` be that it is.
fn cause(phase: &Phase, linked: bool, event: &Event) -> Option<HealCause> {
    match event {
        Event::Run { run, event } if phase.run() == Some(*run) => told(phase, event),
        Event::Tick => overdue(phase, linked),
        Event::Run { .. }
        | Event::Start
        | Event::Stop
        | Event::Restart
        | Event::Demand
        | Event::RequestCode { .. }
        | Event::AnswerPasskey
        | Event::Logout { .. }
        | Event::Admitted { .. }
        | Event::Wiped
        | Event::WipeFailed => None,
    }
}

fn told(phase: &Phase, event: &RunEvent) -> Option<HealCause> {
    match event {
        RunEvent::ConnectFailed | RunEvent::Refused => Some(HealCause::Unreachable),
        RunEvent::Disconnected if matches!(phase, Phase::Connecting { .. }) => Some(HealCause::Unreachable),
        RunEvent::Disconnected => Some(HealCause::Dropped),
        RunEvent::ProbeFailed => Some(HealCause::Silent),
        RunEvent::Broken => Some(HealCause::Broken),
        // The end of a round is none of the healer's affairs, whether or not another follows.
        RunEvent::CodesExhausted { .. }
        | RunEvent::TransportUp
        | RunEvent::Code { .. }
        | RunEvent::PairSuccess { .. }
        | RunEvent::PairFailed
        | RunEvent::Connected { .. }
        | RunEvent::LoggedOut
        | RunEvent::Replaced
        | RunEvent::Banned { .. }
        | RunEvent::Restricted
        | RunEvent::ClientOutdated
        | RunEvent::ReachoutTimelock { .. }
        | RunEvent::PasskeyRequired { .. }
        | RunEvent::PasskeyConfirmationRequired { .. }
        | RunEvent::LinkCode(_)
        | RunEvent::LinkCodeEnded
        | RunEvent::PasskeyRefused
        | RunEvent::Alive { .. }
        | RunEvent::Unlinked
        | RunEvent::UnlinkFailed => None,
    }
}

/// A deadline of the phase has passed.
fn overdue(phase: &Phase, linked: bool) -> Option<HealCause> {
    match phase {
        Phase::Connecting { reached: false, .. } => Some(HealCause::Unreachable),
        Phase::Connecting { .. } if linked => Some(HealCause::LoginTimeout),
        Phase::Connecting { .. } | Phase::Scanning { .. } => Some(HealCause::Stalled),
        Phase::Pairing { .. } => Some(HealCause::PairingTimeout),
        Phase::Working { .. } => Some(HealCause::Silent),
        Phase::Failed { .. } => Some(HealCause::Failure),
        Phase::Passkey { .. } | Phase::Stopped | Phase::Waiting { .. } | Phase::Queued => None,
    }
}
