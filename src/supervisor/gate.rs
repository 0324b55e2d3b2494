//! The one way to WhatsApp of a node: every session that is about to connect stands in line here.
//!
//! First the breaker decides, then the rate. The line is served by one task in the order of arrival; whoever left it is
//! passed by without using up a turn.

use std::collections::VecDeque;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use tokio::sync::{Notify, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config;
use crate::domain::clock::Clock;
use crate::telemetry::metrics::SessionMeter;

use super::breaker::{Breaker, BreakerRules};
use super::rules::delta;

/// Leave for one attempt to reach WhatsApp.
#[derive(Debug)]
pub(super) struct Permit {
    generation: u64,
}

/// The line; cheap to clone.
#[derive(Clone)]
pub(super) struct Gate {
    shared: Arc<Shared>,
}

/// Serves the line.
pub(super) struct GateTask {
    shared: Arc<Shared>,
}

struct Shared {
    clock: Arc<dyn Clock>,
    line: Mutex<Line>,
    moved: Notify,
    meter: SessionMeter,
}

struct Line {
    waiting: VecDeque<oneshot::Sender<Permit>>,
    breaker: Breaker,
    next_turn: DateTime<Utc>,
    spacing: TimeDelta,
}

enum Turn {
    /// Somebody went; look again.
    Went,
    /// Nobody may go before then.
    NotBefore(DateTime<Utc>),
    /// Nobody is there.
    Empty,
}

impl Gate {
    pub(super) fn new(rules: &config::Session, clock: Arc<dyn Clock>, meter: SessionMeter) -> (Self, GateTask) {
        let breaker = Breaker::new(BreakerRules {
            failures: rules.breaker_failures,
            share: rules.breaker_share,
            window: delta(rules.breaker_window),
            probe_interval: delta(rules.breaker_probe_interval),
        });
        // Rounded up: the rate is never exceeded.
        let rate = i64::from(rules.logins_per_second.max(1));
        let spacing = TimeDelta::microseconds((1_000_000 + rate - 1) / rate);
        let next_turn = clock.now();
        let line = Line { waiting: VecDeque::new(), breaker, next_turn, spacing };
        let shared = Arc::new(Shared { clock, line: Mutex::new(line), moved: Notify::new(), meter });
        (Self { shared: Arc::clone(&shared) }, GateTask { shared })
    }

    /// Stands in line. Dropping the future leaves it.
    pub(super) async fn admit(self) -> Permit {
        let (turn, mine) = oneshot::channel();
        self.shared.line.lock().waiting.push_back(turn);
        self.shared.moved.notify_one();
        match mine.await {
            Ok(permit) => permit,
            // The gate closed for good: the node is stopping, and so is whoever waits here.
            Err(_) => std::future::pending().await,
        }
    }

    /// How many stand in line, and whether the breaker is open.
    pub(super) fn standing(&self) -> (usize, bool) {
        let line = self.shared.line.lock();
        (line.waiting.iter().filter(|turn| !turn.is_closed()).count(), line.breaker.is_open())
    }

    /// Tells how the attempt went. Not telling is allowed: it counts as neither.
    pub(super) fn report(&self, permit: &Permit, reached: bool) {
        self.shared.meter.upstream_attempted(reached);
        let mut line = self.shared.line.lock();
        if line.breaker.report(permit.generation, reached, self.shared.clock.now()) {
            if line.breaker.is_open() {
                warn!("WhatsApp cannot be reached, log-ins are held back but for a probe");
            } else {
                info!("WhatsApp can be reached again, log-ins go on");
            }
            drop(line);
            self.shared.moved.notify_one();
        }
    }
}

impl GateTask {
    /// Runs until `token` fires.
    pub(super) async fn run(self, token: CancellationToken) {
        loop {
            let moved = self.shared.moved.notified();
            let turn = self.shared.line.lock().next(self.shared.clock.now());
            match turn {
                Turn::Went => {}
                Turn::NotBefore(at) => tokio::select! {
                    () = token.cancelled() => break,
                    () = moved => {}
                    () = self.shared.clock.sleep_until(at) => {}
                },
                Turn::Empty => tokio::select! {
                    () = token.cancelled() => break,
                    () = moved => {}
                },
            }
        }
        self.shared.line.lock().waiting.clear();
    }
}

impl Line {
    fn next(&mut self, now: DateTime<Utc>) -> Turn {
        while self.waiting.front().is_some_and(oneshot::Sender::is_closed) {
            self.waiting.pop_front();
        }
        if self.waiting.is_empty() {
            self.waiting.shrink_to(64);
            return Turn::Empty;
        }
        // The time may have been set back: nobody waits longer than one turn for that.
        let turn = self.next_turn.min(now + self.spacing);
        let at = self.breaker.not_before().map_or(turn, |probe| probe.max(turn));
        if now < at {
            return Turn::NotBefore(at);
        }
        if let Some(first) = self.waiting.pop_front() {
            let generation = self.breaker.admit(now);
            if first.send(Permit { generation }).is_ok() {
                self.next_turn = now + self.spacing;
            }
        }
        Turn::Went
    }
}

#[cfg(test)]
mod tests {
    use tokio::task::yield_now;

    use super::*;
    use crate::config::Config;
    use crate::domain::clock::ManualClock;

    type Admitted = Arc<Mutex<Vec<(DateTime<Utc>, Permit)>>>;

    struct Scene {
        clock: ManualClock,
        gate: Gate,
        admitted: Admitted,
        token: CancellationToken,
    }

    impl Scene {
        fn new() -> Self {
            let clock = ManualClock::new(DateTime::UNIX_EPOCH + TimeDelta::days(20_000));
            let (gate, task) = Gate::new(&Config::defaults().session, Arc::new(clock.clone()), SessionMeter::default());
            let token = CancellationToken::new();
            tokio::spawn(task.run(token.clone()));
            Self { clock, gate, admitted: Arc::default(), token }
        }

        fn enter(&self, count: usize) {
            for _ in 0..count {
                let (gate, clock, admitted) = (self.gate.clone(), self.clock.clone(), Arc::clone(&self.admitted));
                tokio::spawn(async move {
                    let permit = gate.admit().await;
                    admitted.lock().push((clock.now(), permit));
                });
            }
        }

        /// Lets `by` pass in the steps somebody waits for.
        async fn pass(&self, by: TimeDelta) {
            let target = self.clock.now() + by;
            loop {
                for _ in 0..50 {
                    yield_now().await;
                }
                match self.clock.next_deadline().filter(|deadline| *deadline <= target) {
                    Some(deadline) if deadline > self.clock.now() => self.clock.advance(deadline - self.clock.now()),
                    Some(_) => {}
                    None => break,
                }
            }
            self.clock.advance(target - self.clock.now());
        }

        fn count(&self) -> usize {
            self.admitted.lock().len()
        }
    }

    #[tokio::test]
    async fn at_most_fifty_a_second_go_in_any_second() {
        let scene = Scene::new();
        scene.enter(200);
        scene.pass(TimeDelta::seconds(5)).await;
        let times: Vec<_> = scene.admitted.lock().iter().map(|(at, _)| *at).collect();
        assert_eq!(times.len(), 200);
        for window in times.windows(51) {
            assert!(window[50] - window[0] >= TimeDelta::seconds(1));
        }
    }

    #[tokio::test]
    async fn an_outage_lets_one_probe_through_every_five_seconds_until_one_arrives() {
        let scene = Scene::new();
        scene.enter(20);
        scene.pass(TimeDelta::seconds(1)).await;
        let first: Vec<_> = scene.admitted.lock().drain(..).collect();
        for (_, permit) in &first {
            scene.gate.report(permit, false);
        }
        scene.enter(100);
        scene.pass(TimeDelta::seconds(60)).await;
        assert_eq!(scene.count(), 12);
        let probe = scene.admitted.lock().pop().unwrap().1;
        scene.gate.report(&probe, true);
        scene.pass(TimeDelta::seconds(2)).await;
        assert_eq!(scene.count(), 99);
        scene.token.cancel();
    }

    #[tokio::test]
    async fn whoever_leaves_the_line_uses_up_no_turn() {
        let scene = Scene::new();
        scene.enter(1);
        scene.pass(TimeDelta::milliseconds(1)).await;
        for _ in 0..100 {
            let waiting = tokio::spawn(scene.gate.clone().admit());
            yield_now().await;
            waiting.abort();
        }
        scene.enter(1);
        scene.pass(TimeDelta::milliseconds(20)).await;
        assert_eq!(scene.count(), 2);
    }
}
