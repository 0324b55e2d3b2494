//! What the actor knows of its session, and what follows from that alone: the state shown, the next deadline.

use std::sync::Arc;

use chrono::{DateTime, Utc};

use crate::domain::instance::InstanceId;
use crate::domain::link_code::LinkCode;
use crate::domain::passkey::{PasskeyAsk, PasskeyPrompt};
use crate::domain::profile::Profile;
use crate::domain::qr_code::QrCode;

use super::rules::Rules;
use super::status::{Desired, Reason, Status};
use super::view::{Liveness, SessionView};

/// Everything [`super::step`] decides by. Only `step` changes it.
#[derive(Debug, Clone)]
pub struct State {
    /// What the owner wants.
    pub desired: Desired,
    /// Whether a phone has linked it, as far as is known; a run that shows a code proves the contrary.
    pub linked: bool,
    /// Who it is linked to.
    pub me: Option<Profile>,
    /// What is under way.
    pub phase: Phase,
    /// Since when the shown status and reason stand.
    pub since: DateTime<Utc>,
    /// Runs in a row that brought no code.
    pub stalls: u32,
    /// Failed connections in a row; the backoff grows with it.
    pub failures: u32,
    /// Rounds of codes that nobody scanned.
    pub rounds: u32,
    /// When somebody last asked for a code.
    pub asked_at: Option<DateTime<Utc>>,
    /// Until when requests for a code are refused, after too many rounds.
    pub refused_until: Option<DateTime<Utc>>,
    /// The last attempt to reach WhatsApp failed and none has succeeded since.
    pub upstream_failing: bool,
    /// The one automatic retry after a ban or a replacement is used up.
    pub retried: bool,
    /// The keys must be deleted before anything runs again; tried (again) at this time.
    pub wipe_at: Option<DateTime<Utc>>,
    /// An unlinking under way.
    pub logout: Option<Logout>,
    /// Until when WhatsApp takes no messages to strangers. Only a refusal tells it.
    pub timelock_until: Option<DateTime<Utc>>,
    /// When data last came from WhatsApp.
    pub last_seen_at: Option<DateTime<Utc>>,
    /// When a run last told something.
    pub last_event_at: Option<DateTime<Utc>>,
}

/// What is under way. The phases that hold a `run` are the only ones in which a client exists.
#[derive(Debug, Clone)]
pub enum Phase {
    /// Nothing.
    Stopped,
    /// A pause before the next attempt.
    Waiting {
        /// Its end.
        until: DateTime<Utc>,
    },
    /// In line at the node's gate, which lets everybody through in time.
    Queued,
    /// A client is connecting.
    Connecting {
        /// Its run.
        run: u64,
        /// Until when it must have a code or be logged in.
        deadline: DateTime<Utc>,
        /// Whether its transport is up.
        reached: bool,
    },
    /// A code waits for a phone.
    Scanning {
        /// The run that brought it.
        run: u64,
        /// The latest code to scan; none is left while only one to type is waited for.
        qr: Option<Arc<QrCode>>,
        /// The code to type, if somebody asked for one.
        typed: Option<Arc<LinkCode>>,
        /// When a client that went quiet is given up, or the code to type is.
        deadline: DateTime<Utc>,
    },
    /// WhatsApp wants a passkey.
    Passkey {
        /// The run that is asked.
        run: u64,
        /// What for.
        ask: Arc<PasskeyAsk>,
        /// It was handed in.
        answered: bool,
        /// When it is given up.
        deadline: DateTime<Utc>,
    },
    /// Scanned; WhatsApp is finishing.
    Pairing {
        /// The run that was scanned.
        run: u64,
        /// When it is given up.
        deadline: DateTime<Utc>,
    },
    /// Logged in and proven alive.
    Working {
        /// The run that is connected.
        run: u64,
        /// When data last came over it.
        proven_at: DateTime<Utc>,
        /// Whether a sign of life has been asked for since.
        probing: bool,
    },
    /// Ended.
    Failed {
        /// By what.
        failure: Failure,
        /// When it is tried once more by itself.
        retry_at: Option<DateTime<Utc>>,
    },
}

/// What ends a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The codes ran out.
    QrNotScanned,
    /// Many runs in a row without a code.
    Stalled,
    /// The device was removed from the account.
    LoggedOut,
    /// A ban for a time.
    Banned,
    /// A restriction, or a ban for good.
    Restricted,
    /// Another connection took the device's place.
    Replaced,
    /// The client's version is refused.
    ClientOutdated,
    /// The pairing was refused.
    PairingRejected,
}

/// An unlinking under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Logout {
    /// Erase it here even if WhatsApp cannot be told.
    pub force: bool,
    /// WhatsApp has been asked and has not answered yet.
    pub asked: bool,
    /// When it is given up.
    pub deadline: DateTime<Utc>,
    /// The failure the session was in; it goes back there if the unlinking fails.
    pub before: Option<(Failure, Option<DateTime<Utc>>)>,
}

/// The part of a session that outlives the process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    /// What the owner wants.
    pub desired: Desired,
    /// Where it stands.
    pub status: Status,
    /// Why.
    pub reason: Option<Reason>,
    /// Since when.
    pub since: DateTime<Utc>,
    /// Whether a phone has linked it.
    pub linked: bool,
    /// Who it is linked to.
    pub me: Option<Profile>,
    /// When a `FAILED` one is tried once more by itself.
    pub retry_at: Option<DateTime<Utc>>,
    /// Rounds of codes that nobody scanned.
    pub rounds: u32,
    /// Until when requests for a code are refused, after too many rounds.
    pub refused_until: Option<DateTime<Utc>>,
    /// The one automatic retry after a ban or a replacement is used up.
    pub retried: bool,
    /// Until when WhatsApp takes no messages to strangers.
    pub timelock_until: Option<DateTime<Utc>>,
}

impl Saved {
    /// A session that has no past.
    pub const fn new(desired: Desired, status: Status, since: DateTime<Utc>) -> Self {
        Self {
            desired,
            status,
            reason: None,
            since,
            linked: false,
            me: None,
            retry_at: None,
            rounds: 0,
            refused_until: None,
            retried: false,
            timelock_until: None,
        }
    }
}

impl Failure {
    /// The reason that is shown.
    pub const fn reason(self) -> Reason {
        match self {
            Self::QrNotScanned => Reason::QrNotScanned,
            Self::Stalled => Reason::Stalled,
            Self::LoggedOut => Reason::LoggedOut,
            Self::Banned => Reason::Banned,
            Self::Restricted => Reason::Restricted,
            Self::Replaced => Reason::Replaced,
            Self::ClientOutdated => Reason::ClientOutdated,
            Self::PairingRejected => Reason::PairingRejected,
        }
    }

    /// Whether a request for a code starts the session anew; from the others only its owner does.
    pub const fn heals_on_demand(self) -> bool {
        match self {
            Self::QrNotScanned | Self::Stalled | Self::LoggedOut | Self::PairingRejected => true,
            Self::Banned | Self::Restricted | Self::Replaced | Self::ClientOutdated => false,
        }
    }

    /// The failure that shows `reason`, if one does.
    pub const fn of(reason: Reason) -> Option<Self> {
        match reason {
            Reason::QrNotScanned => Some(Self::QrNotScanned),
            Reason::Stalled => Some(Self::Stalled),
            Reason::LoggedOut => Some(Self::LoggedOut),
            Reason::Banned => Some(Self::Banned),
            Reason::Restricted => Some(Self::Restricted),
            Reason::Replaced => Some(Self::Replaced),
            Reason::ClientOutdated => Some(Self::ClientOutdated),
            Reason::PairingRejected => Some(Self::PairingRejected),
            Reason::UpstreamUnreachable
            | Reason::Pairing
            | Reason::Reconnecting
            | Reason::Recovering
            | Reason::ReachoutTimelock => None,
        }
    }
}

impl Phase {
    /// The run that exists in this phase.
    pub const fn run(&self) -> Option<u64> {
        match self {
            Self::Stopped | Self::Waiting { .. } | Self::Queued | Self::Failed { .. } => None,
            Self::Connecting { run, .. }
            | Self::Scanning { run, .. }
            | Self::Passkey { run, .. }
            | Self::Pairing { run, .. }
            | Self::Working { run, .. } => Some(*run),
        }
    }
}

impl State {
    /// The state of a session that this process takes over. Nothing runs yet: what should run is due at once.
    pub fn resume(saved: Saved, now: DateTime<Utc>) -> Self {
        let failure = match saved.status {
            Status::Failed => saved.reason.and_then(Failure::of),
            Status::Stopped
            | Status::Starting
            | Status::ScanQrCode
            | Status::PasskeyRequired
            | Status::PasskeyConfirmationRequired
            | Status::Working => None,
        };
        let phase = match (saved.desired, failure) {
            (Desired::Stopped, _) => Phase::Stopped,
            (Desired::Running, Some(failure)) => Phase::Failed { failure, retry_at: saved.retry_at },
            (Desired::Running, None) => Phase::Waiting { until: now },
        };
        let mut state = Self {
            desired: saved.desired,
            linked: saved.linked,
            me: saved.me,
            phase,
            since: saved.since,
            stalls: 0,
            failures: 0,
            rounds: saved.rounds,
            asked_at: None,
            refused_until: saved.refused_until,
            upstream_failing: false,
            retried: saved.retried,
            wipe_at: None,
            logout: None,
            timelock_until: saved.timelock_until,
            last_seen_at: None,
            last_event_at: None,
        };
        if state.shown() != (saved.status, saved.reason) {
            state.since = now;
        }
        state
    }

    /// What is to be stored of it.
    pub fn saved(&self) -> Saved {
        let (status, reason) = self.shown();
        let retry_at = match self.phase {
            Phase::Failed { retry_at, .. } => retry_at,
            Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. } => None,
        };
        Saved {
            desired: self.desired,
            status,
            reason,
            since: self.since,
            linked: self.linked,
            me: self.me.clone(),
            retry_at,
            rounds: self.rounds,
            refused_until: self.refused_until,
            retried: self.retried,
            timelock_until: self.timelock_until,
        }
    }

    /// The status and reason that everybody sees.
    pub fn shown(&self) -> (Status, Option<Reason>) {
        match &self.phase {
            Phase::Stopped => (Status::Stopped, None),
            Phase::Waiting { .. } | Phase::Queued | Phase::Connecting { .. } => {
                (Status::Starting, self.starting_reason())
            }
            Phase::Scanning { .. } => (Status::ScanQrCode, None),
            Phase::Passkey { ask, .. } => match **ask {
                PasskeyAsk::Assertion { .. } => (Status::PasskeyRequired, None),
                PasskeyAsk::Confirmation { .. } => (Status::PasskeyConfirmationRequired, None),
            },
            Phase::Pairing { .. } => (Status::Starting, Some(Reason::Pairing)),
            Phase::Working { .. } => (Status::Working, self.timelock_until.map(|_| Reason::ReachoutTimelock)),
            Phase::Failed { failure, .. } => (Status::Failed, Some(failure.reason())),
        }
    }

    fn starting_reason(&self) -> Option<Reason> {
        if self.upstream_failing {
            Some(Reason::UpstreamUnreachable)
        } else if self.linked {
            Some(Reason::Reconnecting)
        } else if self.stalls > 0 {
            Some(Reason::Recovering)
        } else {
            None
        }
    }

    /// When [`super::Event::Tick`] is due at the latest. `None` where only the gate or a person moves it on.
    pub fn deadline(&self, rules: &Rules) -> Option<DateTime<Utc>> {
        let of_phase = match &self.phase {
            Phase::Stopped | Phase::Queued => None,
            // Nothing starts before the keys are gone.
            Phase::Waiting { until } => {
                if self.wipe_at.is_some() {
                    None
                } else {
                    Some(*until)
                }
            }
            Phase::Connecting { deadline, .. }
            | Phase::Scanning { deadline, .. }
            | Phase::Passkey { deadline, .. }
            | Phase::Pairing { deadline, .. } => Some(*deadline),
            Phase::Working { proven_at, probing: false, .. } => Some(*proven_at + rules.probe_after),
            Phase::Working { proven_at, probing: true, .. } => Some(*proven_at + rules.liveness_timeout),
            Phase::Failed { retry_at, .. } => *retry_at,
        };
        let timelock = self.timelock_until.filter(|_| matches!(self.phase, Phase::Working { .. }));
        [of_phase, self.wipe_at, self.logout.map(|logout| logout.deadline), timelock].into_iter().flatten().min()
    }

    /// Since when nothing is under way and nothing will be unless somebody asks, so that the actor may go; `None` while
    /// something is.
    pub fn rests_since(&self) -> Option<DateTime<Utc>> {
        if self.wipe_at.is_some() || self.logout.is_some() {
            return None;
        }
        match &self.phase {
            Phase::Stopped | Phase::Failed { retry_at: None, .. } => Some(self.since),
            Phase::Failed { retry_at: Some(_), .. }
            | Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. } => None,
        }
    }

    /// The snapshot for everybody else.
    pub fn view(&self, instance_id: InstanceId, rules: &Rules) -> SessionView {
        let (status, reason) = self.shown();
        let (connected, qr, recovering, next_change_at) = match &self.phase {
            Phase::Stopped | Phase::Passkey { .. } => (false, None, false, None),
            Phase::Waiting { .. } | Phase::Queued | Phase::Connecting { .. } | Phase::Pairing { .. } => {
                (false, None, true, self.deadline(rules))
            }
            Phase::Scanning { qr: Some(qr), .. } => (false, Some(Arc::clone(qr)), false, Some(qr.expires_at)),
            Phase::Scanning { qr: None, deadline, .. } => (false, None, true, Some(*deadline)),
            Phase::Working { .. } => (true, None, false, None),
            Phase::Failed { retry_at, .. } => (false, None, retry_at.is_some(), retry_at.or(self.refused_until)),
        };
        let link_code = match &self.phase {
            Phase::Scanning { typed, .. } => typed.clone(),
            Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. }
            | Phase::Failed { .. } => None,
        };
        let passkey = match &self.phase {
            Phase::Passkey { ask, answered, deadline, .. } => {
                Some(PasskeyPrompt { ask: Arc::clone(ask), answered: *answered, expires_at: *deadline })
            }
            Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. }
            | Phase::Failed { .. } => None,
        };
        SessionView {
            instance_id,
            status,
            reason,
            since: self.since,
            desired: self.desired,
            linked: self.linked,
            me: self.me.clone(),
            qr,
            link_code,
            passkey,
            liveness: Liveness { connected, last_seen_at: self.last_seen_at, last_event_at: self.last_event_at },
            next_change_at,
            upstream_failing: self.upstream_failing,
            recovering,
        }
    }
}
