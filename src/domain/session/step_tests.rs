//! The table of session states, row by row.

use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use crate::domain::instance::InstanceId;
use crate::domain::link_code::{LinkCode, VALIDITY};
use crate::domain::phone_number::PhoneNumber;
use crate::domain::profile::Profile;
use crate::domain::qr_code::QrValue;

use super::*;

pub(super) const RULES: Rules = Rules {
    first_code_deadline: TimeDelta::seconds(30),
    max_stalls: 20,
    pairing_deadline: TimeDelta::seconds(60),
    login_deadline: TimeDelta::seconds(45),
    liveness_timeout: TimeDelta::seconds(60),
    probe_after: TimeDelta::seconds(40),
    demand_window: TimeDelta::seconds(60),
    max_rounds: 10,
    rounds_cooldown: TimeDelta::minutes(15),
    backoff_min: TimeDelta::seconds(1),
    backoff_max: TimeDelta::seconds(300),
    ban_grace_min: TimeDelta::minutes(10),
    ban_grace_max: TimeDelta::minutes(30),
    replaced_retry: TimeDelta::seconds(60),
    logout_deadline: TimeDelta::seconds(25),
};

pub(super) fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::UNIX_EPOCH + TimeDelta::days(20_000) + TimeDelta::seconds(seconds)
}

pub(super) fn number() -> PhoneNumber {
    PhoneNumber::parse("201012345678").unwrap()
}

pub(super) fn link_code(expires_at: DateTime<Utc>) -> Arc<LinkCode> {
    Arc::new(LinkCode::new("ABCDEFGH", number(), expires_at).unwrap())
}

fn me() -> Profile {
    Profile { number: "201012345678".into(), lid: None, push_name: None }
}

/// One session and the time; admits it through the gate at once.
struct Scene {
    state: State,
    now: DateTime<Utc>,
    rng: StdRng,
    run: u64,
    effects: Vec<Effect>,
}

impl Scene {
    fn resume(desired: Desired, status: Status, reason: Option<Reason>, linked: bool) -> Self {
        let me = linked.then(me);
        let saved = Saved { reason, linked, me, ..Saved::new(desired, status, at(0)) };
        Self::take_over(saved, at(0))
    }

    fn take_over(saved: Saved, now: DateTime<Utc>) -> Self {
        let mut scene =
            Self { state: State::resume(saved, now), now, rng: StdRng::seed_from_u64(7), run: 0, effects: Vec::new() };
        scene.on(Event::Tick);
        scene
    }

    /// The process ends, and another one goes on from what was stored.
    fn restart(self) -> Self {
        Self::take_over(self.state.saved(), self.now)
    }

    fn fresh() -> Self {
        Self::resume(Desired::Running, Status::Starting, None, false)
    }

    fn linked() -> Self {
        Self::resume(Desired::Running, Status::Working, None, true)
    }

    fn working() -> Self {
        let mut scene = Self::linked();
        scene.tell(RunEvent::Connected { profile: me() });
        scene
    }

    fn scanning() -> Self {
        let mut scene = Self::fresh();
        scene.tell(RunEvent::TransportUp);
        scene.code(1);
        scene
    }

    fn on(&mut self, event: Event) {
        let (state, effects) = step(self.state.clone(), event, self.now, &RULES, &mut self.rng);
        self.state = state;
        for effect in effects {
            self.effects.push(effect);
            match effect {
                Effect::Queue => {
                    self.run += 1;
                    self.on(Event::Admitted { run: self.run });
                }
                Effect::Wipe => self.on(Event::Wiped),
                Effect::Begin { .. }
                | Effect::End { .. }
                | Effect::Probe { .. }
                | Effect::Unlink { .. }
                | Effect::RequestCode { .. }
                | Effect::AnswerPasskey { .. }
                | Effect::Report { .. }
                | Effect::LogoutDone(_) => {}
            }
        }
    }

    fn tell(&mut self, event: RunEvent) {
        let run = self.state.phase.run().expect("a run to speak of");
        self.on(Event::Run { run, event });
    }

    fn code(&mut self, attempt: u32) {
        let expires_at = self.now + TimeDelta::seconds(if attempt == 1 { 60 } else { 20 });
        self.tell(RunEvent::Code { value: QrValue::new(format!("2@{attempt}")), expires_at, attempt });
    }

    /// A whole round of codes, asked for or not.
    fn round(&mut self, asked: bool) {
        self.tell(RunEvent::TransportUp);
        self.code(1);
        self.now += TimeDelta::seconds(160);
        if asked {
            self.on(Event::Demand);
        }
        self.tell(RunEvent::CodesExhausted { disconnected: true });
    }

    fn meet_deadline(&mut self) {
        self.now = self.state.deadline(&RULES).expect("a deadline");
        self.on(Event::Tick);
    }

    fn pass(&mut self, by: TimeDelta) {
        let target = self.now + by;
        while self.state.deadline(&RULES).is_some_and(|deadline| deadline <= target) {
            self.meet_deadline();
        }
        self.now = target;
    }

    fn shown(&self) -> (Status, Option<Reason>) {
        self.state.shown()
    }

    fn view(&self) -> SessionView {
        self.state.view(InstanceId::parse("7K2M9QX4T0AB").unwrap(), &RULES)
    }

    fn took(&mut self, effect: Effect) -> bool {
        std::mem::take(&mut self.effects).contains(&effect)
    }
}

#[test]
fn an_unlinked_run_without_a_code_is_restarted_after_thirty_seconds_and_stalls_after_twenty() {
    let mut scene = Scene::fresh();
    for attempt in 1..=20 {
        let started = scene.now;
        scene.tell(RunEvent::TransportUp);
        scene.meet_deadline();
        assert_eq!(scene.now - started, TimeDelta::seconds(30));
        if attempt < 20 {
            assert_eq!(scene.shown(), (Status::Starting, Some(Reason::Recovering)), "{attempt}");
            scene.meet_deadline();
        }
    }
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::Stalled)));
    assert_eq!(scene.state.deadline(&RULES), None);
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Starting);
}

#[test]
fn an_unreachable_whatsapp_is_tried_for_ever_linked_or_not() {
    for mut scene in [Scene::fresh(), Scene::linked()] {
        let start = scene.now;
        for _ in 0..500 {
            scene.tell(RunEvent::ConnectFailed);
            assert_eq!(scene.shown(), (Status::Starting, Some(Reason::UpstreamUnreachable)));
            let view = scene.view();
            assert!(view.recovering && view.upstream_failing);
            assert!(view.next_change_at.unwrap() <= scene.now + RULES.backoff_max);
            scene.meet_deadline();
        }
        assert!(scene.now - start > TimeDelta::hours(6));
        scene.tell(RunEvent::TransportUp);
        assert!(!scene.view().upstream_failing);
    }
}

#[test]
fn a_run_that_never_reaches_whatsapp_counts_as_unreachable_and_not_as_a_stall() {
    let mut scene = Scene::fresh();
    for _ in 0..30 {
        scene.meet_deadline();
        assert_eq!(scene.shown(), (Status::Starting, Some(Reason::UpstreamUnreachable)));
        scene.meet_deadline();
    }
}

#[test]
fn a_scanned_session_is_pairing_until_it_is_connected_and_no_demand_disturbs_it() {
    let mut scene = Scene::scanning();
    scene.tell(RunEvent::PairSuccess { profile: me() });
    assert_eq!(scene.shown(), (Status::Starting, Some(Reason::Pairing)));
    scene.effects.clear();
    scene.on(Event::Demand);
    scene.tell(RunEvent::TransportUp);
    assert_eq!(scene.effects, []);
    scene.tell(RunEvent::Connected { profile: me() });
    assert_eq!(scene.shown(), (Status::Working, None));
    assert_eq!(scene.view().me, Some(me()));
}

#[test]
fn a_pairing_that_does_not_finish_reconnects_or_shows_a_new_code_as_the_keys_decide() {
    let mut scene = Scene::scanning();
    scene.tell(RunEvent::PairSuccess { profile: me() });
    let scanned = scene.now;
    scene.meet_deadline();
    assert_eq!(scene.now - scanned, TimeDelta::seconds(60));
    assert_eq!(scene.shown(), (Status::Starting, Some(Reason::Reconnecting)));
    scene.meet_deadline();
    scene.code(1);
    assert_eq!(scene.shown(), (Status::ScanQrCode, None));
    assert!(!scene.view().linked);
}

#[test]
fn rounds_go_on_while_somebody_asks_ten_at_most_and_then_rest_a_quarter_of_an_hour() {
    let mut scene = Scene::fresh();
    for round in 1..=10 {
        assert_eq!(scene.view().status, Status::Starting, "{round}");
        scene.round(true);
    }
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::QrNotScanned)));
    assert!(!scene.view().recovering);
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Failed, "refused");
    scene.now += RULES.rounds_cooldown;
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Starting);
    scene.round(true);
    assert_eq!(scene.view().status, Status::Starting, "ten more rounds");
}

#[test]
fn a_restart_forgets_neither_the_rounds_nor_the_refusal_that_follows_them() {
    let mut scene = Scene::fresh();
    for _ in 1..=9 {
        scene.round(true);
    }
    let mut scene = scene.restart();
    scene.round(true);
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::QrNotScanned)));
    let opens_at = scene.now + RULES.rounds_cooldown;

    let mut scene = scene.restart();
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::QrNotScanned)));
    assert_eq!((scene.view().recovering, scene.view().next_change_at), (false, Some(opens_at)));
    scene.now = opens_at - TimeDelta::milliseconds(1);
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Failed, "refused");
    scene.now = opens_at;
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Starting);
}

#[test]
fn an_explicit_start_opens_the_rounds_again_at_once() {
    let mut scene = Scene::fresh();
    for _ in 1..=10 {
        scene.round(true);
    }
    scene.on(Event::Start);
    scene.round(true);
    assert_eq!(scene.view().status, Status::Starting);
}

#[test]
fn codes_that_nobody_asked_for_run_out_and_a_demand_brings_new_ones() {
    let mut scene = Scene::fresh();
    scene.round(false);
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::QrNotScanned)));
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Starting);
}

#[test]
fn a_quiet_connection_is_probed_in_time_and_dropped_when_nothing_answers() {
    let mut scene = Scene::working();
    let run = scene.state.phase.run().unwrap();
    scene.effects.clear();
    scene.meet_deadline();
    assert!(scene.took(Effect::Probe { run }));
    assert_eq!(scene.now, at(40));
    scene.now = at(41);
    scene.tell(RunEvent::Alive { at: at(41) });
    scene.meet_deadline();
    assert_eq!(scene.now, at(81));
    assert_eq!(scene.view().status, Status::Working);
    scene.meet_deadline();
    assert_eq!(scene.now, at(101), "sixty seconds after the last data");
    assert_eq!(scene.shown(), (Status::Starting, Some(Reason::Reconnecting)));
    assert!(scene.took(Effect::End { run }));
}

#[test]
fn a_dropped_connection_reconnects_within_a_second() {
    let mut scene = Scene::working();
    scene.now += TimeDelta::hours(1);
    scene.tell(RunEvent::Alive { at: scene.now });
    scene.tell(RunEvent::Disconnected);
    assert_eq!(scene.shown(), (Status::Starting, Some(Reason::Reconnecting)));
    assert!(scene.state.deadline(&RULES).unwrap() <= scene.now + TimeDelta::seconds(1));
}

#[test]
fn logged_out_from_the_phone_deletes_the_keys_and_a_demand_starts_anew() {
    let mut scene = Scene::working();
    scene.tell(RunEvent::LoggedOut);
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::LoggedOut)));
    assert!(!scene.view().linked && scene.view().me.is_none());
    assert!(scene.took(Effect::Wipe));
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Starting);
}

#[test]
fn nothing_starts_before_the_keys_are_deleted() {
    let mut scene = Scene::working();
    let run = scene.state.phase.run().unwrap();
    let (state, _) =
        step(scene.state.clone(), Event::Run { run, event: RunEvent::LoggedOut }, scene.now, &RULES, &mut scene.rng);
    let (state, effects) = step(state, Event::Demand, scene.now, &RULES, &mut scene.rng);
    assert_eq!(effects, []);
    let (state, _) = step(state, Event::WipeFailed, scene.now, &RULES, &mut scene.rng);
    let due = state.deadline(&RULES).unwrap();
    let (state, effects) = step(state, Event::Tick, due, &RULES, &mut scene.rng);
    assert_eq!(effects, [Effect::Wipe]);
    let (_, effects) = step(state, Event::Wiped, due, &RULES, &mut scene.rng);
    assert_eq!(effects, [Effect::Queue]);
}

#[test]
fn a_ban_is_tried_once_after_its_end_plus_ten_to_thirty_minutes() {
    let mut scene = Scene::working();
    scene.tell(RunEvent::Banned { expires_in: TimeDelta::hours(2) });
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::Banned)));
    let retry_at = scene.state.saved().retry_at.unwrap();
    let wait = retry_at - scene.now;
    assert!(wait >= TimeDelta::minutes(130) && wait <= TimeDelta::minutes(150), "{wait}");
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Failed);
    scene.meet_deadline();
    assert_eq!(scene.now, retry_at);
    assert_eq!(scene.view().status, Status::Starting);
    scene.tell(RunEvent::Banned { expires_in: TimeDelta::hours(2) });
    assert_eq!(scene.state.saved().retry_at, None, "tried once");
    scene.on(Event::Start);
    assert_eq!(scene.view().status, Status::Starting);
}

#[test]
fn a_replaced_device_retries_once_after_a_minute() {
    let mut scene = Scene::working();
    scene.tell(RunEvent::Replaced);
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::Replaced)));
    assert!(scene.view().linked);
    let failed = scene.now;
    scene.meet_deadline();
    assert_eq!(scene.now - failed, TimeDelta::seconds(60));
    scene.tell(RunEvent::Connected { profile: me() });
    scene.tell(RunEvent::Replaced);
    assert_eq!(scene.state.deadline(&RULES), None);
}

#[test]
fn a_restart_gives_no_second_automatic_retry() {
    let mut scene = Scene::working();
    scene.tell(RunEvent::Replaced);
    let mut scene = scene.restart();
    assert!(scene.view().recovering, "the retry is still to come");
    scene.meet_deadline();
    let mut scene = scene.restart();
    scene.tell(RunEvent::Connected { profile: me() });
    scene.tell(RunEvent::Replaced);
    assert_eq!((scene.view().recovering, scene.view().next_change_at), (false, None));
}

#[test]
fn restricted_and_outdated_wait_for_an_explicit_start() {
    for (event, reason) in
        [(RunEvent::Restricted, Reason::Restricted), (RunEvent::ClientOutdated, Reason::ClientOutdated)]
    {
        let mut scene = Scene::working();
        scene.tell(event);
        assert_eq!(scene.shown(), (Status::Failed, Some(reason)));
        scene.pass(TimeDelta::days(2));
        scene.on(Event::Demand);
        assert_eq!(scene.shown(), (Status::Failed, Some(reason)));
        scene.on(Event::Start);
        assert_eq!(scene.view().status, Status::Starting);
    }
}

#[test]
fn a_client_that_no_longer_saves_is_replaced_by_a_new_one() {
    let mut scene = Scene::working();
    let run = scene.state.phase.run().unwrap();
    scene.tell(RunEvent::Broken);
    assert!(scene.took(Effect::End { run }));
    scene.meet_deadline();
    assert!(scene.state.phase.run().unwrap() > run);
}

#[test]
fn words_of_a_former_run_are_dropped() {
    let mut scene = Scene::scanning();
    let old = scene.state.phase.run().unwrap();
    scene.on(Event::Restart);
    scene.on(Event::Run {
        run: old,
        event: RunEvent::Code { value: QrValue::new("2@late"), expires_at: at(60), attempt: 1 },
    });
    assert_eq!(scene.shown(), (Status::Starting, None));
}

#[test]
fn stop_keeps_the_link_and_a_demand_does_not_wake_it() {
    let mut scene = Scene::working();
    scene.on(Event::Stop);
    assert_eq!(scene.shown(), (Status::Stopped, None));
    assert!(scene.view().linked);
    scene.effects.clear();
    scene.on(Event::Demand);
    assert_eq!(scene.effects, []);
    assert_eq!(scene.state.desired, Desired::Stopped);
}

#[test]
fn a_demand_starts_a_stopped_unlinked_session_and_makes_it_desired() {
    let mut scene = Scene::resume(Desired::Stopped, Status::Stopped, None, false);
    scene.on(Event::Demand);
    assert_eq!(scene.view().status, Status::Starting);
    assert_eq!(scene.state.desired, Desired::Running);
}

#[test]
fn start_is_idempotent() {
    let mut scene = Scene::working();
    scene.effects.clear();
    scene.on(Event::Start);
    assert_eq!(scene.effects, []);
    assert_eq!(scene.view().status, Status::Working);
}

#[test]
fn a_logout_is_confirmed_by_whatsapp_before_the_keys_go() {
    let mut scene = Scene::working();
    let run = scene.state.phase.run().unwrap();
    scene.effects.clear();
    scene.on(Event::Logout { force: false });
    assert_eq!(scene.effects, [Effect::Unlink { run }]);
    assert_eq!(scene.view().status, Status::Working);
    scene.tell(RunEvent::Disconnected);
    scene.tell(RunEvent::Unlinked);
    assert_eq!(scene.shown(), (Status::Stopped, None));
    assert!(!scene.view().linked);
    assert!(scene.took(Effect::LogoutDone(LogoutEnd::Unlinked { at_whatsapp: true })));
}

#[test]
fn a_stopped_session_connects_for_its_logout_and_rests_again_when_whatsapp_is_away() {
    for force in [false, true] {
        let mut scene = Scene::resume(Desired::Stopped, Status::Stopped, None, true);
        scene.on(Event::Logout { force });
        assert_eq!(scene.view().status, Status::Starting);
        scene.tell(RunEvent::ConnectFailed);
        assert_eq!(scene.shown(), (Status::Stopped, None));
        assert_eq!(scene.view().linked, !force);
        let end = if force { LogoutEnd::Unlinked { at_whatsapp: false } } else { LogoutEnd::Unreachable };
        assert!(scene.took(Effect::LogoutDone(end)));
    }
}

#[test]
fn a_logout_has_a_deadline() {
    let mut scene = Scene::working();
    scene.on(Event::Logout { force: false });
    scene.now += RULES.logout_deadline;
    scene.on(Event::Tick);
    assert!(scene.took(Effect::LogoutDone(LogoutEnd::Unreachable)));
    assert_eq!(scene.shown(), (Status::Working, None));
}

#[test]
fn after_a_restart_of_the_gateway_everything_but_what_finally_failed_runs_again() {
    for status in [Status::Starting, Status::ScanQrCode, Status::Working, Status::PasskeyRequired] {
        let scene = Scene::resume(Desired::Running, status, None, true);
        assert_eq!(scene.shown(), (Status::Starting, Some(Reason::Reconnecting)));
        assert!(scene.state.phase.run().is_some());
    }
    let scene = Scene::resume(Desired::Running, Status::Failed, Some(Reason::Banned), true);
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::Banned)));
    assert!(scene.state.phase.run().is_none());
}

#[test]
fn a_passkey_that_never_comes_ends_the_round() {
    let mut scene = Scene::scanning();
    scene.tell(RunEvent::PasskeyRequired { options: json!({ "challenge": "AQID" }) });
    assert_eq!(scene.shown(), (Status::PasskeyRequired, None));
    scene.tell(RunEvent::PasskeyConfirmationRequired { code: "ABCD-EFGH".into() });
    assert_eq!(scene.shown(), (Status::PasskeyConfirmationRequired, None));
    scene.meet_deadline();
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::QrNotScanned)));
}

#[test]
fn the_end_of_the_codes_to_scan_ends_no_code_to_type() {
    let mut scene = Scene::scanning();
    scene.pass(TimeDelta::seconds(50));
    scene.code(2);
    scene.on(Event::RequestCode { number: number() });
    let run = scene.run;
    assert!(scene.took(Effect::RequestCode { run, number: number() }));
    scene.tell(RunEvent::LinkCode(link_code(scene.now + VALIDITY)));
    scene.on(Event::RequestCode { number: number() });
    assert!(!scene.took(Effect::RequestCode { run, number: number() }), "asked twice, one code");
    scene.pass(TimeDelta::seconds(20));
    scene.tell(RunEvent::CodesExhausted { disconnected: false });
    let view = scene.view();
    assert_eq!((view.status, view.qr.is_some(), view.link_code.is_some()), (Status::ScanQrCode, false, true));
    scene.pass(TimeDelta::seconds(159));
    assert_eq!(scene.shown(), (Status::ScanQrCode, None));
    assert!(!scene.took(Effect::End { run }));
    scene.on(Event::Demand);
    scene.pass(TimeDelta::seconds(12));
    assert!(scene.took(Effect::End { run }));
    assert_eq!(scene.shown().0, Status::Starting, "the next round, since somebody still asks");
}

#[test]
fn without_a_code_to_type_or_with_the_client_gone_the_round_is_over() {
    for (typed, disconnected) in [(false, false), (true, true)] {
        let mut scene = Scene::scanning();
        if typed {
            scene.on(Event::RequestCode { number: number() });
            scene.tell(RunEvent::LinkCode(link_code(scene.now + VALIDITY)));
        }
        scene.tell(RunEvent::CodesExhausted { disconnected });
        assert_eq!(scene.shown(), (Status::Failed, Some(Reason::QrNotScanned)));
    }
}

#[test]
fn a_code_for_another_phone_takes_the_former_ones_place() {
    let mut scene = Scene::scanning();
    scene.on(Event::RequestCode { number: number() });
    scene.tell(RunEvent::LinkCode(link_code(scene.now + VALIDITY)));
    let other = PhoneNumber::parse("4917012345678").unwrap();
    scene.on(Event::RequestCode { number: other });
    let run = scene.run;
    assert!(scene.took(Effect::RequestCode { run, number: other }));
    assert!(scene.view().link_code.is_none());
}

#[test]
fn a_code_to_type_that_is_written_off_leaves_those_to_scan() {
    let mut scene = Scene::scanning();
    scene.on(Event::RequestCode { number: number() });
    scene.tell(RunEvent::LinkCode(link_code(scene.now + VALIDITY)));
    scene.tell(RunEvent::LinkCodeEnded);
    let view = scene.view();
    assert_eq!((view.status, view.qr.is_some(), view.link_code.is_some()), (Status::ScanQrCode, true, false));
}

#[test]
fn a_code_to_type_is_asked_for_only_where_one_can_be_scanned() {
    for mut scene in [Scene::fresh(), Scene::working()] {
        scene.on(Event::RequestCode { number: number() });
        assert!(!scene.effects.iter().any(|effect| matches!(effect, Effect::RequestCode { .. })));
    }
}

#[test]
fn an_assertion_that_is_refused_may_be_handed_in_again_and_a_failed_confirmation_ends_it() {
    let mut scene = Scene::scanning();
    let run = scene.run;
    let options = json!({ "challenge": "AQID" });
    scene.tell(RunEvent::PasskeyRequired { options });
    let asked = |scene: &Scene| scene.effects.iter().filter(|effect| **effect == Effect::AnswerPasskey { run }).count();
    scene.on(Event::AnswerPasskey);
    scene.on(Event::AnswerPasskey);
    assert_eq!((asked(&scene), scene.view().passkey.unwrap().answered), (1, true), "one at a time");
    scene.tell(RunEvent::PasskeyRefused);
    assert_eq!(scene.shown(), (Status::PasskeyRequired, None));
    scene.on(Event::AnswerPasskey);
    assert_eq!(asked(&scene), 2);
    scene.code(2);
    assert_eq!(scene.shown(), (Status::PasskeyRequired, None), "the client's codes go on and mean nothing");
    scene.tell(RunEvent::PasskeyConfirmationRequired { code: "ABCD-EFGH".into() });
    scene.on(Event::AnswerPasskey);
    scene.tell(RunEvent::PasskeyRefused);
    assert_eq!(scene.shown(), (Status::Failed, Some(Reason::PairingRejected)));
}

#[test]
fn a_new_connection_knows_nothing_of_a_code_to_type() {
    let mut scene = Scene::scanning();
    scene.on(Event::RequestCode { number: number() });
    scene.tell(RunEvent::LinkCode(link_code(scene.now + VALIDITY)));
    scene.tell(RunEvent::TransportUp);
    let view = scene.view();
    assert_eq!((view.status, view.qr.is_some(), view.link_code.is_some()), (Status::ScanQrCode, true, false));
}

#[test]
fn a_new_connection_knows_nothing_of_a_passkey_asked_over_the_last() {
    let mut scene = Scene::scanning();
    scene.tell(RunEvent::PasskeyRequired { options: json!({}) });
    scene.tell(RunEvent::TransportUp);
    assert_eq!(scene.shown(), (Status::Starting, None));
    scene.code(3);
    assert_eq!(scene.shown(), (Status::ScanQrCode, None));
}

#[test]
fn a_restart_remembers_until_when_strangers_are_out_of_reach() {
    let mut scene = Scene::working();
    scene.tell(RunEvent::ReachoutTimelock { until: at(600) });
    let mut scene = scene.restart();
    scene.tell(RunEvent::Connected { profile: me() });
    assert_eq!(scene.state.shown(), (Status::Working, Some(Reason::ReachoutTimelock)));
    scene.now = at(600);
    scene.tell(RunEvent::Alive { at: at(600) });
    scene.on(Event::Tick);
    assert_eq!(scene.state.shown(), (Status::Working, None));
    assert_eq!(scene.state.saved().timelock_until, None);
}

#[test]
fn what_one_account_may_not_do_is_not_held_against_the_next() {
    for end in [RunEvent::LoggedOut, RunEvent::PairFailed] {
        let mut scene = Scene::working();
        scene.tell(RunEvent::ReachoutTimelock { until: at(600) });
        scene.tell(end);
        assert_eq!(scene.state.saved().timelock_until, None);
    }
    let mut scene = Scene::working();
    scene.tell(RunEvent::ReachoutTimelock { until: at(600) });
    // The link was gone without anybody having said so.
    scene.code(1);
    assert_eq!(scene.state.saved().timelock_until, None);
}
