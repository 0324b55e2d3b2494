//! The decisions. [`step`] takes a state, an event and the time, and says what comes next; it does no IO, reads no clock
//! and draws chance only from the generator it is given.
//!
//! Two rules hold in every arm. A phase that holds a run is left only through [`Effect::End`], so there are never two
//! clients of one device. And every phase has a deadline, or an exit that does not depend on WhatsApp.

use chrono::{DateTime, Utc};
use rand::Rng;

use super::backoff::{between, full_jitter};
use super::effect::{Effect, LogoutEnd};
use super::event::Event;
use super::rules::{RETRY_FORGIVEN_AFTER, Rules, WIPE_RETRY};
use super::state::{Failure, Logout, Phase, State};
use super::status::Desired;

/// What `event` at `now` makes of `state`, and what is to be done, in this order.
pub fn step(state: State, event: Event, now: DateTime<Utc>, rules: &Rules, rng: &mut impl Rng) -> (State, Vec<Effect>) {
    let shown = state.shown();
    let mut decision = Decision { state, now, rules, rng, effects: Vec::new() };
    decision.take(event);
    let Decision { mut state, effects, .. } = decision;
    if state.shown() != shown {
        state.since = now;
    }
    (state, effects)
}

/// A decision being made.
pub(super) struct Decision<'a, R> {
    pub(super) state: State,
    pub(super) now: DateTime<Utc>,
    pub(super) rules: &'a Rules,
    pub(super) rng: &'a mut R,
    pub(super) effects: Vec<Effect>,
}

impl<R: Rng> Decision<'_, R> {
    fn take(&mut self, event: Event) {
        match event {
            Event::Start => self.start(),
            Event::Stop => self.stop(),
            Event::Restart => self.restart(),
            Event::Demand => self.demand(),
            Event::RequestCode { number } => self.request_code(number),
            Event::AnswerPasskey => self.answer_passkey(),
            Event::Logout { force } => self.logout(force),
            Event::Tick => self.tick(),
            Event::Admitted { run } => self.admitted(run),
            Event::Wiped => {
                self.state.wipe_at = None;
                self.tick();
            }
            Event::WipeFailed => {
                if self.state.wipe_at.is_some() {
                    self.state.wipe_at = Some(self.now + WIPE_RETRY);
                }
            }
            Event::Run { run, event } => {
                if self.state.phase.run() == Some(run) {
                    self.state.last_event_at = Some(self.now);
                    self.told(run, event);
                }
            }
        }
    }

    // What the owner wants.

    fn start(&mut self) {
        self.state.desired = Desired::Running;
        match self.state.phase {
            Phase::Stopped | Phase::Failed { .. } => {
                self.forget_the_past();
                self.attempt_now();
            }
            Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. } => {}
        }
    }

    fn stop(&mut self) {
        self.state.desired = Desired::Stopped;
        // An unlinking under way still needs its connection; it ends in STOPPED either way.
        if self.state.logout.is_none() {
            self.enter(Phase::Stopped);
        }
    }

    fn restart(&mut self) {
        self.state.desired = Desired::Running;
        // The unlinking that is under way would lose the answer it waits for.
        if self.state.logout.is_none() {
            self.forget_the_past();
            self.attempt_now();
        }
    }

    fn forget_the_past(&mut self) {
        self.state.stalls = 0;
        self.state.failures = 0;
        self.state.rounds = 0;
        self.state.refused_until = None;
        self.state.retried = false;
    }

    /// Somebody asks for a code. A linked session is never touched: a forgotten tab starts nothing.
    fn demand(&mut self) {
        self.state.asked_at = Some(self.now);
        if self.state.linked {
            return;
        }
        match self.state.phase {
            Phase::Stopped => self.heal(),
            Phase::Failed { failure: Failure::QrNotScanned, .. } => {
                if self.state.refused_until.is_some_and(|until| self.now < until) {
                    return;
                }
                let rested = self.now >= self.state.since + self.rules.rounds_cooldown;
                if rested || self.state.refused_until.is_some() {
                    self.state.rounds = 0;
                    self.state.refused_until = None;
                }
                self.heal();
            }
            Phase::Failed { failure, .. } => {
                if failure.heals_on_demand() {
                    self.heal();
                }
            }
            Phase::Waiting { .. }
            | Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. } => {}
        }
    }

    fn heal(&mut self) {
        self.state.desired = Desired::Running;
        self.state.stalls = 0;
        self.state.failures = 0;
        self.attempt_now();
    }

    fn logout(&mut self, force: bool) {
        if let Some(logout) = &mut self.state.logout {
            logout.force |= force;
            return;
        }
        if !self.state.linked {
            // Nothing to unlink; keys of a pairing that never finished go too.
            self.erase(true);
            return;
        }
        let mut logout = Logout { force, asked: false, deadline: self.now + self.rules.logout_deadline, before: None };
        match self.state.phase {
            Phase::Working { run, .. } => {
                logout.asked = true;
                self.effects.push(Effect::Unlink { run });
            }
            Phase::Failed { failure, retry_at } => {
                logout.before = Some((failure, retry_at));
                self.attempt_now();
            }
            Phase::Stopped | Phase::Waiting { .. } => self.attempt_now(),
            Phase::Queued
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. } => {}
        }
        self.state.logout = Some(logout);
    }

    // What time brings.

    fn tick(&mut self) {
        if self.state.timelock_until.is_some_and(|until| self.now >= until) {
            self.state.timelock_until = None;
        }
        if self.state.wipe_at.is_some_and(|at| self.now >= at) {
            self.wipe();
        }
        if self.state.logout.is_some_and(|logout| self.now >= logout.deadline) {
            self.logout_failed();
        }
        match self.state.phase {
            Phase::Stopped | Phase::Queued => {}
            Phase::Waiting { until } => {
                if self.now >= until && self.state.wipe_at.is_none() {
                    self.state.phase = Phase::Queued;
                    self.effects.push(Effect::Queue);
                }
            }
            Phase::Connecting { deadline, reached, .. } => {
                if self.now >= deadline {
                    if !reached {
                        self.unreachable();
                    } else if self.state.linked {
                        self.try_again();
                    } else {
                        self.stalled();
                    }
                }
            }
            Phase::Scanning { ref qr, deadline, .. } => {
                if self.now >= deadline {
                    // The client rotates codes itself; one that went quiet is started again.
                    if qr.is_some() { self.stalled() } else { self.round_over() }
                }
            }
            Phase::Passkey { deadline, .. } => {
                if self.now >= deadline {
                    self.round_over();
                }
            }
            Phase::Pairing { deadline, .. } => {
                // It counts as linked from here on. If the keys say otherwise the next run brings a code.
                if self.now >= deadline {
                    self.try_again();
                }
            }
            Phase::Working { run, proven_at, probing } => {
                if self.now >= proven_at + self.rules.liveness_timeout {
                    self.dropped();
                } else if !probing && self.now >= proven_at + self.rules.probe_after {
                    self.state.phase = Phase::Working { run, proven_at, probing: true };
                    self.effects.push(Effect::Probe { run });
                }
            }
            Phase::Failed { retry_at, .. } => {
                if retry_at.is_some_and(|at| self.now >= at) {
                    self.state.retried = true;
                    self.attempt_now();
                }
            }
        }
    }

    fn admitted(&mut self, run: u64) {
        match self.state.phase {
            Phase::Queued => {
                let patience =
                    if self.state.linked { self.rules.login_deadline } else { self.rules.first_code_deadline };
                self.state.phase = Phase::Connecting { run, deadline: self.now + patience, reached: false };
                self.effects.push(Effect::Begin { run });
            }
            // It left the line while the gate opened.
            Phase::Stopped
            | Phase::Waiting { .. }
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. }
            | Phase::Failed { .. } => {}
        }
    }

    // What follows from a turn of events.

    /// Ends the run, if there is one, and goes on in a phase that has none.
    fn enter(&mut self, phase: Phase) {
        if let Some(run) = self.state.phase.run() {
            self.effects.push(Effect::End { run });
        }
        self.state.phase = phase;
    }

    fn attempt_now(&mut self) {
        self.enter(Phase::Waiting { until: self.now });
        self.tick();
    }

    /// Another attempt after a pause that grows with every failure in a row.
    pub(super) fn try_again(&mut self) {
        let pause = full_jitter(self.state.failures, self.rules.backoff_min, self.rules.backoff_max, self.rng);
        self.state.failures = self.state.failures.saturating_add(1);
        self.enter(Phase::Waiting { until: self.now + pause });
    }

    /// WhatsApp could not be reached: tried for ever, linked or not, and never a failure of the session.
    pub(super) fn unreachable(&mut self) {
        self.state.upstream_failing = true;
        self.effects.push(Effect::Report { reached: false });
        self.try_again();
        self.logout_unreachable();
    }

    /// A run brought no code although WhatsApp was there.
    fn stalled(&mut self) {
        self.state.stalls += 1;
        if self.state.stalls >= self.rules.max_stalls {
            self.fail(Failure::Stalled, None);
        } else {
            self.state.failures = self.state.stalls - 1;
            self.try_again();
        }
    }

    /// A connection that worked is gone.
    pub(super) fn dropped(&mut self) {
        if self.now >= self.state.since + self.rules.liveness_timeout {
            self.state.failures = 0;
        }
        self.try_again();
    }

    /// A round of codes ended without a scan.
    pub(super) fn round_over(&mut self) {
        self.state.rounds += 1;
        let asked = self.state.asked_at.is_some_and(|at| self.now <= at + self.rules.demand_window);
        if self.state.rounds >= self.rules.max_rounds {
            self.state.refused_until = Some(self.now + self.rules.rounds_cooldown);
            self.fail(Failure::QrNotScanned, None);
        } else if asked {
            self.attempt_now();
        } else {
            self.fail(Failure::QrNotScanned, None);
        }
    }

    /// WhatsApp put an end to it.
    pub(super) fn fail(&mut self, failure: Failure, retry_at: Option<DateTime<Utc>>) {
        self.enter(Phase::Failed { failure, retry_at });
        if let Some(logout) = &mut self.state.logout {
            logout.before = Some((failure, retry_at));
        }
        self.logout_unreachable();
    }

    /// [`Self::fail`], with one automatic retry unless that is used up.
    pub(super) fn fail_with_retry(&mut self, failure: Failure, at: DateTime<Utc>) {
        let earned =
            matches!(self.state.phase, Phase::Working { .. }) && self.now >= self.state.since + RETRY_FORGIVEN_AFTER;
        if earned {
            self.state.retried = false;
        }
        self.fail(failure, if self.state.retried { None } else { Some(at) });
    }

    /// When a ban that ends in `expires_in` is tried again.
    pub(super) fn after_ban(&mut self, expires_in: chrono::TimeDelta) -> DateTime<Utc> {
        let grace = between(self.rules.ban_grace_min, self.rules.ban_grace_max, self.rng);
        let until = self.now.checked_add_signed(expires_in).unwrap_or(self.now);
        until.checked_add_signed(grace).unwrap_or(until)
    }

    /// The keys are worthless: nothing runs until they are deleted.
    pub(super) fn forget_the_link(&mut self) {
        self.state.linked = false;
        self.state.me = None;
        // It was this account's; the next may be another.
        self.state.timelock_until = None;
        self.wipe();
    }

    fn wipe(&mut self) {
        self.state.wipe_at = Some(self.now + WIPE_RETRY);
        self.effects.push(Effect::Wipe);
    }

    /// Unlinked for good, at its owner's wish.
    pub(super) fn erase(&mut self, at_whatsapp: bool) {
        self.state.desired = Desired::Stopped;
        self.state.logout = None;
        self.enter(Phase::Stopped);
        self.forget_the_past();
        self.forget_the_link();
        self.effects.push(Effect::LogoutDone(LogoutEnd::Unlinked { at_whatsapp }));
    }

    /// Waiting longer will not help an unlinking under way, if there is one.
    fn logout_unreachable(&mut self) {
        if self.state.logout.is_some() {
            self.logout_failed();
        }
    }

    /// WhatsApp could not be told: erased here if that was wished, otherwise everything is as it was before.
    pub(super) fn logout_failed(&mut self) {
        let Some(logout) = self.state.logout.take() else { return };
        if logout.force {
            self.erase(false);
            return;
        }
        match (self.state.desired, logout.before) {
            (Desired::Stopped, _) => self.enter(Phase::Stopped),
            (Desired::Running, Some((failure, retry_at))) => self.enter(Phase::Failed { failure, retry_at }),
            (Desired::Running, None) => {}
        }
        self.effects.push(Effect::LogoutDone(LogoutEnd::Unreachable));
    }
}
