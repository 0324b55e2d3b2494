//! One actor for each instance that this node looks after: it feeds [`step`] with events, stores and publishes what
//! comes out, and performs the effects.
//!
//! The order is always: decide, store under the lease, publish, perform. A lease that turns out to be another's is found
//! before a client is started, and then the actor drops everything and writes no more. When the database is merely
//! away, what was decided is published all the same and stored again and again until it holds: the node's own lease,
//! which lapses then too, bounds for how long.

mod linking;
mod telling;

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::domain::session::{Effect, Event, LogoutEnd, RunEvent, Saved, SessionView, State, Status, step};
use crate::engine::{EngineError, EngineRun, RunId, RunSpec, Tagged};

use super::Deps;
use super::error::SupervisorError;
use super::gate::Permit;
use super::outbox::OutboxTask;
use super::persist::{Stored, erase, release};
use super::registry::{Command, Departure, Door};
use super::tally::Tally;
use super::translate;

use linking::{Linking, Reached};
use telling::Telling;

/// Events of a run that may wait here; beyond it the client waits.
const EVENTS: usize = 8;
/// An actor without anything to do leaves after this long, so that instances at rest cost nothing.
const IDLE: TimeDelta = TimeDelta::seconds(60);
/// A client that has not saved its state by then is ended without.
const SHUTDOWN_LIMIT: Duration = Duration::from_secs(15);

type Pending<T> = Option<Pin<Box<dyn Future<Output = T> + Send>>>;

pub(super) struct Actor {
    id: InstanceId,
    fence: Fence,
    deps: Arc<Deps>,
    state: State,
    telling: Telling,
    idle_since: DateTime<Utc>,
    rng: SmallRng,
    door: Arc<Door>,
    commands: mpsc::Receiver<Command>,
    view: watch::Sender<SessionView>,
    run: Option<Arc<dyn EngineRun>>,
    events: Option<mpsc::Receiver<Tagged>>,
    permit: Option<Permit>,
    admission: Pending<Permit>,
    answer: Pending<(u64, RunEvent)>,
    linking: Linking,
    outbox: Option<OutboxTask>,
    logouts: Vec<oneshot::Sender<(LogoutEnd, SessionView)>>,
    tenure_ended: CancellationToken,
    tally: Tally,
    end: Option<End>,
}

/// Why an actor leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Nothing to do.
    Idle,
    /// The node is stopping.
    Stopping,
    /// The lease is no longer ours.
    Lost,
    /// The instance is deleted.
    Erased,
}

enum Input {
    End(End),
    Command(Option<Command>),
    Admitted(Permit),
    Answer(u64, RunEvent),
    Linking(Reached),
    Engine(Option<Tagged>),
    Time,
}

impl Actor {
    /// An actor for an instance whose lease was just claimed, and its door.
    pub(super) fn new(
        deps: Arc<Deps>,
        (id, fence): (InstanceId, Fence),
        saved: Saved,
        tenure_ended: CancellationToken,
        seed: u64,
    ) -> (Self, Arc<Door>) {
        let now = deps.clock.now();
        let state = State::resume(saved.clone(), now);
        let (commands_in, commands) = mpsc::channel(8);
        let (view, view_out) = watch::channel(state.view(id, &deps.rules));
        let door = Arc::new(Door::new(commands_in, view_out, fence));
        let tally = Tally::new(deps.meter.clone(), &state, now);
        let actor = Self {
            id,
            fence,
            deps,
            state,
            telling: Telling::after(saved),
            idle_since: now,
            rng: SmallRng::seed_from_u64(seed),
            door: Arc::clone(&door),
            commands,
            view,
            run: None,
            events: None,
            permit: None,
            admission: None,
            answer: None,
            linking: Linking::default(),
            outbox: None,
            logouts: Vec::new(),
            tenure_ended,
            tally,
            end: None,
        };
        (actor, door)
    }

    /// Runs until there is nothing left to do, the node stops (`token`), or the lease is lost.
    pub(super) async fn run(mut self, token: CancellationToken) {
        let departure =
            Departure { registry: Arc::clone(&self.deps.registry), id: self.id, door: Arc::clone(&self.door) };
        self.decide(Event::Tick).await;
        let end = loop {
            if let Some(end) = self.end {
                break end;
            }
            match self.next(&token).await {
                Input::End(end) => break end,
                Input::Command(None) => break End::Idle,
                Input::Command(Some(command)) => self.command(command).await,
                Input::Admitted(permit) => self.admitted(permit).await,
                Input::Answer(run, event) => self.decide(Event::Run { run, event }).await,
                Input::Linking(reached) => self.reached(reached).await,
                Input::Engine(told) => self.told(told).await,
                Input::Time => self.time().await,
            }
        };
        self.leave(end).await;
        drop(departure);
    }

    async fn next(&mut self, token: &CancellationToken) -> Input {
        let wake_at = self.wake_at();
        let clock = Arc::clone(&self.deps.clock);
        tokio::select! {
            biased;
            () = self.tenure_ended.cancelled() => Input::End(End::Lost),
            () = token.cancelled() => Input::End(End::Stopping),
            command = self.commands.recv() => Input::Command(command),
            permit = when_ready(&mut self.admission) => Input::Admitted(permit),
            (run, event) = when_ready(&mut self.answer) => Input::Answer(run, event),
            reached = self.linking.next() => Input::Linking(reached),
            told = receive(&mut self.events) => Input::Engine(told),
            () = sleep_until(clock.as_ref(), wake_at) => Input::Time,
        }
    }

    fn wake_at(&self) -> Option<DateTime<Utc>> {
        let idle = self.state.rests_since().map(|at| at.max(self.idle_since) + IDLE);
        [self.state.deadline(&self.deps.rules), self.telling.again_at, idle].into_iter().flatten().min()
    }

    // Inputs.

    async fn command(&mut self, command: Command) {
        self.idle_since = self.deps.clock.now();
        match command {
            Command::Wish { event, reply } => {
                self.decide(event).await;
                let answer = match (self.end, self.telling.again_at) {
                    (Some(_), _) => return,
                    (None, Some(_)) => Err(SupervisorError::NotStored),
                    (None, None) => Ok(self.view.borrow().clone()),
                };
                // Nobody waiting for the answer is no reason to do anything else.
                let _ = reply.send(answer);
            }
            Command::RequestCode { number, reply } => self.request_code(number, reply).await,
            Command::AnswerPasskey { answer, reply } => self.answer_passkey(answer, reply).await,
            Command::Client { reply } => {
                let view = self.view.borrow().clone();
                let client = self.run.clone().filter(|_| view.status == Status::Working);
                // Whoever asked may have given up.
                let _ = reply.send(client.ok_or(Box::new(view)));
            }
            Command::Logout { force, reply } => {
                self.logouts.push(reply);
                self.decide(Event::Logout { force }).await;
            }
            Command::Erase { reply } => self.erase(reply).await,
        }
    }

    async fn admitted(&mut self, permit: Permit) {
        self.admission = None;
        self.permit = Some(permit);
        let run = self.deps.next_run.fetch_add(1, Ordering::Relaxed);
        self.decide(Event::Admitted { run }).await;
    }

    async fn told(&mut self, told: Option<Tagged>) {
        let Some(told) = told else {
            // The client ended without a word.
            self.events = None;
            if let Some(run) = &self.run {
                let run = run.run_id().0;
                self.decide(Event::Run { run, event: RunEvent::Disconnected }).await;
            }
            return;
        };
        let run = told.run_id.0;
        if self.state.phase.run() == Some(run) {
            let event = translate::told(self.id, told.event);
            self.decide(Event::Run { run, event }).await;
        } else {
            debug!(instance.id = %self.id, "a word of a former run was dropped");
        }
    }

    async fn time(&mut self) {
        let now = self.deps.clock.now();
        if self.telling.again_at.is_some_and(|at| now >= at) {
            self.store_and_publish().await;
        }
        if let Some(run) = self.run.clone() {
            let number = run.run_id().0;
            if run.is_saver_halted() {
                warn!(instance.id = %self.id, "the client no longer saves its state and is started again");
                self.decide(Event::Run { run: number, event: RunEvent::Broken }).await;
            } else if let Some(at) = run.last_data_received() {
                self.decide(Event::Run { run: number, event: RunEvent::Alive { at } }).await;
            }
        }
        self.decide(Event::Tick).await;
        let rests = self.state.rests_since().map(|at| at.max(self.idle_since) + IDLE);
        if rests.is_some_and(|at| now >= at) && self.telling.again_at.is_none() {
            self.end.get_or_insert(End::Idle);
        }
    }

    async fn erase(&mut self, reply: oneshot::Sender<Result<(), SupervisorError>>) {
        self.decide(Event::Stop).await;
        let done = unless(&self.tenure_ended, erase(&self.deps, self.id, self.fence)).await;
        match done.unwrap_or(Ok(Stored::LeaseLost)) {
            Ok(Stored::Held) => {
                info!(instance.id = %self.id, "instance erased");
                self.end = Some(End::Erased);
                let _ = reply.send(Ok(()));
            }
            // The dropped reply sends whoever asked to the new owner.
            Ok(Stored::LeaseLost) => self.end = Some(End::Lost),
            Err(error) => {
                let _ = reply.send(Err(error.into()));
            }
        }
    }

    // Decisions.

    async fn decide(&mut self, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            if self.end.is_some() {
                return;
            }
            self.state.asked_at = self.state.asked_at.max(self.door.asked_at());
            let now = self.deps.clock.now();
            let before = Tally::before(&self.state, &event);
            let (state, effects) = step(self.state.clone(), event.clone(), now, &self.deps.rules, &mut self.rng);
            self.state = state;
            self.tally.after(&before, &event, &self.state, now);
            self.store_and_publish().await;
            for effect in effects {
                if let Some(result) = self.perform(effect).await {
                    events.push_back(result);
                }
            }
        }
        self.tend_outbox();
    }

    /// A connected client sends what waits to be sent.
    fn tend_outbox(&mut self) {
        if self.outbox.is_none()
            && self.view.borrow().status == Status::Working
            && let Some(client) = &self.run
        {
            let (deps, mail) = (Arc::clone(&self.deps), Arc::clone(&self.door.mail));
            self.outbox = Some(OutboxTask::start(deps, (self.id, self.fence), Arc::clone(client), mail));
        }
    }

    // Effects.

    async fn perform(&mut self, effect: Effect) -> Option<Event> {
        // A lease that was lost a moment ago: only ending is allowed.
        if self.end.is_some() && !matches!(effect, Effect::End { .. }) {
            return None;
        }
        match effect {
            Effect::Queue => {
                self.admission = Some(Box::pin(self.deps.gate.clone().admit()));
                None
            }
            Effect::Begin { run } => self.begin(run).await,
            Effect::End { run: _ } => {
                self.end_run().await;
                None
            }
            Effect::Probe { run } => {
                let (id, clock) = (self.id, Arc::clone(&self.deps.clock));
                self.ask(run, move |client| async move {
                    let answer = client.probe().await;
                    translate::probed(id, answer, clock.now())
                });
                None
            }
            Effect::Unlink { run } => {
                let id = self.id;
                self.ask(run, move |client| async move { translate::unlinked(id, client.logout().await) });
                None
            }
            Effect::RequestCode { run, number } => {
                self.ask_for_code(run, number);
                None
            }
            Effect::AnswerPasskey { run } => {
                self.hand_in(run);
                None
            }
            Effect::Wipe => Some(self.wipe().await),
            Effect::Report { reached } => {
                if let Some(permit) = self.permit.take() {
                    self.deps.gate.report(&permit, reached);
                }
                None
            }
            Effect::LogoutDone(end) => {
                let view = self.view.borrow().clone();
                for reply in self.logouts.drain(..) {
                    let _ = reply.send((end, view.clone()));
                }
                None
            }
        }
    }

    async fn begin(&mut self, run: u64) -> Option<Event> {
        let (sender, events) = mpsc::channel(EVENTS);
        let spec = RunSpec { instance_id: self.id, fence: self.fence, run_id: RunId(run) };
        let started = unless(&self.tenure_ended, self.deps.engine.start(spec, sender)).await;
        let started = started.unwrap_or(Err(EngineError::LeaseLost));
        self.deps.meter.engine_started(started.is_ok());
        match started {
            Ok(client) => {
                self.run = Some(client);
                self.events = Some(events);
                None
            }
            Err(error) => {
                if let Some(event) = translate::not_started(self.id, &error) {
                    Some(Event::Run { run, event })
                } else {
                    self.end = Some(End::Lost);
                    None
                }
            }
        }
    }

    async fn end_run(&mut self) {
        // First the channel: a client that waits for room in it could not end.
        self.events = None;
        self.answer = None;
        self.linking = Linking::default();
        self.permit = None;
        let outbox = self.outbox.take();
        if let Some(outbox) = &outbox {
            outbox.close();
        }
        let Some(run) = self.run.take() else { return };
        let ended = if self.end == Some(End::Lost) {
            None
        } else {
            unless(&self.tenure_ended, timeout(SHUTDOWN_LIMIT, run.shutdown())).await
        };
        match ended {
            Some(Ok(())) => {}
            Some(Err(_)) => {
                warn!(instance.id = %self.id, "a client did not end in time");
                run.abort().await;
            }
            None => run.abort().await,
        }
        // Whoever waited for an acknowledgement over this connection has learned that none comes, and writes that down.
        if let Some(outbox) = outbox
            && self.end != Some(End::Lost)
        {
            unless(&self.tenure_ended, outbox.finished()).await;
        }
    }

    fn ask<F>(&mut self, run: u64, question: impl FnOnce(Arc<dyn EngineRun>) -> F)
    where
        F: Future<Output = RunEvent> + Send + 'static,
    {
        if let Some(client) = self.run.clone() {
            let answer = question(client);
            self.answer = Some(Box::pin(async move { (run, answer.await) }));
        }
    }

    async fn wipe(&mut self) -> Event {
        let wiped = unless(&self.tenure_ended, self.deps.engine.wipe(self.id, self.fence)).await;
        match wiped.unwrap_or(Err(EngineError::LeaseLost)) {
            Ok(()) => Event::Wiped,
            Err(EngineError::LeaseLost) => {
                self.end = Some(End::Lost);
                Event::WipeFailed
            }
            Err(error) => {
                warn!(
                    instance.id = %self.id,
                    error = &error as &dyn std::error::Error,
                    "the keys could not be deleted and will be"
                );
                Event::WipeFailed
            }
        }
    }

    // The end.

    async fn leave(&mut self, end: End) {
        // Whoever wrote to us meanwhile learns from the dropped reply that somebody else must be asked.
        self.commands.close();
        while self.commands.try_recv().is_ok() {}
        self.logouts.clear();
        self.admission = None;
        self.end = Some(end);
        match end {
            End::Lost => {
                self.end_run().await;
                warn!(instance.id = %self.id, "session dropped, its lease is no longer ours");
            }
            End::Erased => self.end_run().await,
            End::Idle | End::Stopping => {
                // A node that stops ends thousands of clients, each of which saves its state.
                let deps = Arc::clone(&self.deps);
                let turn = unless(&self.tenure_ended, deps.leaving.acquire()).await;
                self.end_run().await;
                if let Err(error) = release(&deps, self.id, self.fence).await {
                    warn!(instance.id = %self.id, error = &error as &dyn std::error::Error, "a lease was not released");
                }
                drop(turn);
                debug!(instance.id = %self.id, ?end, "session left");
            }
        }
    }
}

/// Does the work, unless the node may no longer act meanwhile: then whatever waits for a database that does not answer is
/// given up, so that the socket goes in time.
async fn unless<T>(lost: &CancellationToken, work: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        () = lost.cancelled() => None,
        done = work => Some(done),
    }
}

async fn when_ready<T>(pending: &mut Pending<T>) -> T {
    match pending {
        Some(future) => {
            let output = future.as_mut().await;
            *pending = None;
            output
        }
        None => std::future::pending().await,
    }
}

async fn receive(events: &mut Option<mpsc::Receiver<Tagged>>) -> Option<Tagged> {
    match events {
        Some(events) => events.recv().await,
        None => std::future::pending().await,
    }
}

async fn sleep_until(clock: &dyn crate::domain::clock::Clock, at: Option<DateTime<Utc>>) {
    match at {
        Some(at) => clock.sleep_until(at).await,
        None => std::future::pending().await,
    }
}
