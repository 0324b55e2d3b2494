//! Arbitrary orders of events: whatever the world does, these hold.

use std::collections::BTreeSet;

use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::Value;

use crate::domain::profile::Profile;
use crate::domain::qr_code::QrValue;

use super::step_tests::{RULES, at, link_code, number};
use super::*;

#[derive(Debug, Clone)]
enum Move {
    Owner(Event),
    Told { stale: bool, event: RunEvent },
    Pass(i64),
    ToDeadline,
    Admit,
    Wiped(bool),
}

fn profile() -> Profile {
    Profile { number: "201012345678".into(), lid: None, push_name: None }
}

fn moves() -> impl Strategy<Value = Vec<Move>> {
    let owner = prop_oneof![
        Just(Event::Start),
        Just(Event::Stop),
        Just(Event::Restart),
        Just(Event::Demand),
        Just(Event::RequestCode { number: number() }),
        Just(Event::AnswerPasskey),
        any::<bool>().prop_map(|force| Event::Logout { force }),
    ];
    let told = prop_oneof![
        Just(RunEvent::TransportUp),
        Just(RunEvent::ConnectFailed),
        (1_u32..7).prop_map(|attempt| RunEvent::Code {
            value: QrValue::new(format!("2@{attempt}")),
            expires_at: at(0) + TimeDelta::seconds(i64::from(attempt) * 20),
            attempt,
        }),
        any::<bool>().prop_map(|disconnected| RunEvent::CodesExhausted { disconnected }),
        (0_i64..200).prop_map(|s| RunEvent::LinkCode(link_code(at(s)))),
        Just(RunEvent::LinkCodeEnded),
        Just(RunEvent::PairSuccess { profile: profile() }),
        Just(RunEvent::PairFailed),
        Just(RunEvent::Connected { profile: profile() }),
        Just(RunEvent::Disconnected),
        Just(RunEvent::LoggedOut),
        Just(RunEvent::Replaced),
        (0_i64..100_000).prop_map(|s| RunEvent::Banned { expires_in: TimeDelta::seconds(s) }),
        Just(RunEvent::Restricted),
        Just(RunEvent::ClientOutdated),
        Just(RunEvent::Refused),
        Just(RunEvent::PasskeyRequired { options: Value::Null }),
        Just(RunEvent::PasskeyConfirmationRequired { code: "ABCD-EFGH".into() }),
        Just(RunEvent::PasskeyRefused),
        Just(RunEvent::Broken),
        (-100_i64..100).prop_map(|s| RunEvent::Alive { at: at(s) }),
        Just(RunEvent::ProbeFailed),
        Just(RunEvent::Unlinked),
        Just(RunEvent::UnlinkFailed),
    ];
    let one = prop_oneof![
        3 => owner.prop_map(Move::Owner),
        8 => (prop::bool::weighted(0.15), told).prop_map(|(stale, event)| Move::Told { stale, event }),
        2 => (0_i64..400).prop_map(Move::Pass),
        5 => Just(Move::ToDeadline),
        5 => Just(Move::Admit),
        3 => any::<bool>().prop_map(Move::Wiped),
    ];
    prop::collection::vec(one, 1..120)
}

/// A world that performs the effects and knows what really exists.
struct World {
    state: State,
    now: DateTime<Utc>,
    rng: StdRng,
    alive: BTreeSet<u64>,
    next_run: u64,
    queued: bool,
    wiping: bool,
    /// When data last really came over the current run.
    proven_at: Option<DateTime<Utc>>,
}

impl World {
    fn new(linked: bool, desired: Desired, seed: u64) -> Self {
        let saved = Saved {
            desired,
            status: if desired == Desired::Running { Status::Starting } else { Status::Stopped },
            reason: None,
            since: at(0),
            linked,
            me: None,
            retry_at: None,
            rounds: 0,
            refused_until: None,
            retried: false,
            timelock_until: None,
        };
        Self {
            state: State::resume(saved, at(0)),
            now: at(0),
            rng: StdRng::seed_from_u64(seed),
            alive: BTreeSet::new(),
            next_run: 1,
            queued: false,
            wiping: false,
            proven_at: None,
        }
    }

    fn make(&mut self, one: Move) {
        match one {
            Move::Owner(event) => self.apply(event),
            Move::Told { stale, mut event } => {
                let run = match (stale, self.state.phase.run()) {
                    (false, Some(run)) => run,
                    (true, _) | (false, None) => self.next_run.saturating_sub(2),
                };
                if let RunEvent::Alive { at: told_at } = &mut event {
                    *told_at = self.now + (*told_at - at(0));
                }
                if let RunEvent::Code { expires_at, .. } = &mut event {
                    *expires_at = self.now + (*expires_at - at(0));
                }
                if self.state.phase.run() == Some(run) {
                    match &event {
                        RunEvent::Connected { .. } => self.proven_at = Some(self.now),
                        RunEvent::Alive { at } => self.proven_at = self.proven_at.max(Some((*at).min(self.now))),
                        _ => {}
                    }
                }
                self.apply(Event::Run { run, event });
            }
            // Time passes in whole deadlines: the actor is woken at each.
            Move::Pass(seconds) => {
                let target = self.now + TimeDelta::seconds(seconds);
                let mut wakes = 0;
                while let Some(deadline) = self.state.deadline(&RULES).filter(|deadline| *deadline <= target) {
                    self.now = self.now.max(deadline);
                    self.apply(Event::Tick);
                    wakes += 1;
                    assert!(wakes < 10_000, "the clock stands still at {:?}", self.state);
                }
                self.now = target;
            }
            Move::ToDeadline => {
                if let Some(deadline) = self.state.deadline(&RULES) {
                    self.now = self.now.max(deadline);
                    self.apply(Event::Tick);
                }
            }
            Move::Admit => {
                if std::mem::take(&mut self.queued) {
                    let run = self.next_run;
                    self.next_run += 1;
                    self.apply(Event::Admitted { run });
                }
            }
            Move::Wiped(well) => {
                if std::mem::take(&mut self.wiping) {
                    self.apply(if well { Event::Wiped } else { Event::WipeFailed });
                }
            }
        }
    }

    fn apply(&mut self, event: Event) {
        let before = self.state.clone();
        let told = event.clone();
        let (state, effects) = step(before.clone(), event, self.now, &RULES, &mut self.rng);
        self.state = state;
        for effect in effects {
            match effect {
                Effect::Queue => self.queued = true,
                Effect::Begin { run } => {
                    assert!(self.alive.is_empty(), "two runs at once");
                    assert!(self.state.wipe_at.is_none(), "a run on keys that are to be deleted");
                    assert!(self.alive.insert(run));
                    self.proven_at = None;
                }
                Effect::End { run } => assert!(self.alive.remove(&run), "ended a run that was not there"),
                Effect::Probe { run }
                | Effect::Unlink { run }
                | Effect::RequestCode { run, .. }
                | Effect::AnswerPasskey { run } => {
                    assert!(self.alive.contains(&run) || before.phase.run() == Some(run));
                }
                Effect::Wipe => {
                    assert!(self.alive.is_empty(), "deleted the keys of a living run");
                    self.wiping = true;
                }
                Effect::Report { .. } => {}
                Effect::LogoutDone(LogoutEnd::Unlinked { .. }) => assert!(!self.state.linked),
                Effect::LogoutDone(LogoutEnd::Unreachable) => assert_eq!(self.state.linked, before.linked),
            }
        }
        self.check(&before, &told);
    }

    fn check(&self, before: &State, told: &Event) {
        let state = &self.state;
        let view = state.view(crate::domain::instance::InstanceId::parse("7K2M9QX4T0AB").unwrap(), &RULES);

        // What exists is what the state says exists.
        assert_eq!(self.alive.iter().next().copied(), state.phase.run());
        assert!(self.alive.len() <= 1);

        // Every state has a deadline or an exit.
        match &state.phase {
            Phase::Queued => assert!(self.queued, "in line without having asked"),
            Phase::Stopped | Phase::Failed { retry_at: None, .. } => {
                assert!(state.rests_since().is_some() || state.deadline(&RULES).is_some());
            }
            Phase::Waiting { .. }
            | Phase::Connecting { .. }
            | Phase::Scanning { .. }
            | Phase::Passkey { .. }
            | Phase::Pairing { .. }
            | Phase::Working { .. }
            | Phase::Failed { .. } => assert!(state.deadline(&RULES).is_some(), "no deadline in {state:?}"),
        }

        // WORKING only while proven alive.
        if let Phase::Working { proven_at, .. } = state.phase {
            assert_eq!(Some(proven_at), self.proven_at);
            if matches!(told, Event::Tick) {
                assert!(self.now < proven_at + RULES.liveness_timeout);
            }
            assert!(state.deadline(&RULES).unwrap() <= proven_at + RULES.liveness_timeout);
            assert!(view.linked && view.liveness.connected);
        } else {
            assert!(!view.liveness.connected);
        }

        // A code to scan, or one to type that outlives it, if and only if that is shown.
        assert!(view.qr.is_none() || view.status == Status::ScanQrCode);
        assert!(view.link_code.is_none() || view.status == Status::ScanQrCode);
        assert!(view.status != Status::ScanQrCode || view.qr.is_some() || state.deadline(&RULES).is_some());
        let is_asked = matches!(view.status, Status::PasskeyRequired | Status::PasskeyConfirmationRequired);
        assert_eq!(view.passkey.is_some(), is_asked);
        assert!(!(view.qr.is_some() && view.linked));

        // Linked never stalls, and waiting for WhatsApp never fails anybody.
        if let (Status::Failed, Some(reason)) = (view.status, view.reason) {
            assert!(!(view.linked && reason == Reason::Stalled));
            assert_ne!(reason, Reason::UpstreamUnreachable);
        }

        // A stopped session runs for its unlinking only.
        if state.desired == Desired::Stopped && state.logout.is_none() {
            assert!(matches!(state.phase, Phase::Stopped), "{state:?}");
        }

        // A request for a code touches nothing that is linked.
        if matches!(told, Event::Demand) && before.linked {
            assert_eq!(state.saved(), before.saved());
            assert_eq!(state.phase.run(), before.phase.run());
        }

        // `since` moves with what is shown, and only then.
        assert_eq!(
            state.since != before.since || state.since == self.now,
            state.shown() != before.shown() || state.since == self.now
        );

        // What is stored comes back as what was shown, wherever it is final.
        if matches!(view.status, Status::Failed | Status::Stopped) && state.logout.is_none() {
            assert_eq!(State::resume(state.saved(), self.now).saved(), state.saved());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_invariants_hold(linked: bool, running: bool, seed: u64, moves in moves()) {
        let mut world = World::new(linked, if running { Desired::Running } else { Desired::Stopped }, seed);
        for one in moves {
            world.make(one);
        }
    }

    /// However it got there: once WhatsApp can be reached and is kind, a session that should run is WORKING or shows a code.
    #[test]
    fn what_should_run_gets_there_once_the_owner_says_so(linked: bool, seed: u64, moves in moves()) {
        let mut world = World::new(linked, Desired::Running, seed);
        for one in moves {
            world.make(one);
        }
        world.make(Move::Wiped(true));
        world.make(Move::Owner(Event::Start));
        for _ in 0..40 {
            if matches!(world.state.phase, Phase::Working { .. } | Phase::Scanning { .. }) && world.state.logout.is_none() {
                break;
            }
            match world.state.phase {
                Phase::Queued => world.make(Move::Admit),
                Phase::Connecting { .. } | Phase::Pairing { .. } | Phase::Passkey { .. } | Phase::Scanning { .. } | Phase::Working { .. } => {
                    let event = if world.state.logout.is_some_and(|logout| logout.asked) {
                        RunEvent::UnlinkFailed
                    } else {
                        RunEvent::Connected { profile: profile() }
                    };
                    world.make(Move::Told { stale: false, event });
                }
                Phase::Waiting { .. } => {
                    world.make(Move::ToDeadline);
                    world.make(Move::Wiped(true));
                }
                Phase::Stopped | Phase::Failed { .. } => world.make(Move::Owner(Event::Start)),
            }
        }
        prop_assert!(matches!(world.state.phase, Phase::Working { .. } | Phase::Scanning { .. }), "{:?}", world.state);
    }
}
