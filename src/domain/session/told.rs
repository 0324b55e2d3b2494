//! What a run of the client tells, and what follows: the second half of the decisions in [`super::step`].

use rand::Rng;

use crate::domain::passkey::PasskeyAsk;
use crate::domain::profile::Profile;
use crate::domain::qr_code::QrCode;

use super::effect::Effect;
use super::event::RunEvent;
use super::state::{Failure, Phase};
use super::step::Decision;

impl<R: Rng> Decision<'_, R> {
    /// The current run told something.
    pub(super) fn told(&mut self, run: u64, event: RunEvent) {
        match event {
            RunEvent::TransportUp => self.transport_up(run),
            RunEvent::ConnectFailed | RunEvent::Refused => self.unreachable(),
            // The client goes on rotating codes while a passkey is asked for.
            RunEvent::Code { .. } if matches!(self.state.phase, Phase::Passkey { .. }) => self.seen(),
            RunEvent::Code { value, expires_at, attempt } => {
                // Only a device without keys is offered a code: whatever was believed of a link is out of date.
                self.state.linked = false;
                self.state.me = None;
                self.state.timelock_until = None;
                self.state.stalls = 0;
                // A second code proves that the connection lasts.
                if attempt > 1 {
                    self.state.failures = 0;
                }
                self.reached();
                self.show(run, QrCode::new(value, expires_at, attempt));
                if self.state.logout.is_some() {
                    self.erase(true);
                }
            }
            RunEvent::CodesExhausted { disconnected } => self.codes_exhausted(disconnected),
            RunEvent::LinkCode(code) => self.link_code(code),
            RunEvent::LinkCodeEnded => self.link_code_ended(),
            RunEvent::PairSuccess { profile } => {
                self.seen();
                self.paired(profile);
                self.state.phase = Phase::Pairing { run, deadline: self.now + self.rules.pairing_deadline };
            }
            RunEvent::PairFailed => self.unlinked(Failure::PairingRejected),
            RunEvent::Connected { profile } => self.connected(run, profile),
            RunEvent::Disconnected | RunEvent::ProbeFailed => self.disconnected(),
            RunEvent::LoggedOut => {
                self.reached();
                self.unlinked(Failure::LoggedOut);
            }
            RunEvent::Replaced => self.fail_with_retry(Failure::Replaced, self.now + self.rules.replaced_retry),
            RunEvent::Banned { expires_in } => {
                self.reached();
                let at = self.after_ban(expires_in);
                self.fail_with_retry(Failure::Banned, at);
            }
            RunEvent::Restricted => {
                self.reached();
                self.fail(Failure::Restricted, None);
            }
            RunEvent::ClientOutdated => {
                self.reached();
                self.fail(Failure::ClientOutdated, None);
            }
            RunEvent::ReachoutTimelock { until } => self.state.timelock_until = Some(until),
            RunEvent::PasskeyRequired { options } => self.passkey(run, PasskeyAsk::Assertion { options }),
            RunEvent::PasskeyConfirmationRequired { code } => self.passkey(run, PasskeyAsk::Confirmation { code }),
            RunEvent::PasskeyRefused => self.passkey_refused(),
            RunEvent::Broken => self.try_again(),
            RunEvent::Alive { at } => self.alive(run, at.min(self.now)),
            RunEvent::Unlinked => {
                if self.state.logout.is_some() {
                    self.erase(true);
                }
            }
            RunEvent::UnlinkFailed => {
                if self.state.logout.is_some_and(|logout| logout.asked) {
                    self.logout_failed();
                }
            }
        }
    }

    /// There is no link any more: a failure, or just what an unlinking under way wanted.
    pub(super) fn unlinked(&mut self, failure: Failure) {
        if self.state.logout.is_some() {
            self.erase(true);
        } else {
            self.fail(failure, None);
            self.forget_the_link();
        }
    }

    pub(super) fn seen(&mut self) {
        self.state.last_seen_at = Some(self.now);
    }

    /// WhatsApp itself answered.
    pub(super) fn reached(&mut self) {
        self.seen();
        self.state.upstream_failing = false;
        self.effects.push(Effect::Report { reached: true });
    }

    fn transport_up(&mut self, run: u64) {
        self.seen();
        self.state.upstream_failing = false;
        match self.state.phase {
            Phase::Connecting { deadline, .. } => {
                self.state.phase = Phase::Connecting { run, deadline, reached: true };
            }
            // A code to type was given over the connection before; codes to scan come anew.
            Phase::Scanning { qr: Some(_), ref mut typed, .. } => *typed = None,
            // So was what is asked of a passkey.
            Phase::Passkey { .. } | Phase::Scanning { qr: None, .. } => {
                let deadline = self.now + self.rules.first_code_deadline;
                self.state.phase = Phase::Connecting { run, deadline, reached: true };
            }
            // In the middle ones the client made its connection again, as it does after a scan.
            Phase::Pairing { .. }
            | Phase::Working { .. }
            | Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Failed { .. } => {}
        }
    }

    fn paired(&mut self, profile: Profile) {
        if self.state.me.as_ref().is_some_and(|me| me.number != profile.number) {
            self.state.timelock_until = None;
        }
        self.state.linked = true;
        self.state.me = Some(profile);
        self.state.stalls = 0;
        self.state.rounds = 0;
        self.state.refused_until = None;
    }

    fn connected(&mut self, run: u64, profile: Profile) {
        self.reached();
        self.paired(profile);
        self.state.phase = Phase::Working { run, proven_at: self.now, probing: false };
        if let Some(logout) = &mut self.state.logout
            && !logout.asked
        {
            logout.asked = true;
            self.effects.push(Effect::Unlink { run });
        }
    }

    fn disconnected(&mut self) {
        // An unlinked device is disconnected at once: the answer to the request, or its deadline, decides.
        if self.state.logout.is_some_and(|logout| logout.asked) {
            return;
        }
        match self.state.phase {
            Phase::Working { .. } => self.dropped(),
            // The transport came up and fell before WhatsApp had anything to say.
            Phase::Connecting { .. } => self.unreachable(),
            Phase::Scanning { .. } | Phase::Passkey { .. } | Phase::Pairing { .. } => self.try_again(),
            Phase::Stopped | Phase::Waiting { .. } | Phase::Queued | Phase::Failed { .. } => {}
        }
    }

    fn alive(&mut self, run: u64, at: chrono::DateTime<chrono::Utc>) {
        self.state.last_seen_at = self.state.last_seen_at.max(Some(at));
        match self.state.phase {
            Phase::Working { proven_at, .. } if at > proven_at => {
                self.state.phase = Phase::Working { run, proven_at: at, probing: false };
            }
            Phase::Working { .. }
            | Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Failed { .. } => {}
        }
    }
}
