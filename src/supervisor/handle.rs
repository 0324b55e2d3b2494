//! What the rest of the house asks of sessions.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::runtime;
use tokio::sync::{Mutex, Notify, Semaphore, oneshot, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::cluster::{Cluster, Owner, Tenure};
use crate::config::Config;
use crate::domain::clock::Clock;
use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::domain::session::{Desired, Event, LogoutEnd, Saved, SessionView, Status};
use crate::engine::{Engine, EngineRun};
use crate::media::library::Library;
use crate::store::vault::Vault;
use crate::store::{Store, StoreError, lease, node, session};
use crate::telemetry::metrics::{MessageMeter, SessionMeter};

use super::actor::Actor;
use super::error::{ClientRefusal, LogoutOutcome, SupervisorError};
use super::gate::Gate;
use super::reconcile::Reconciler;
use super::registry::{Command, Door, Registry};
use super::rules::{delta, pace, rules};
use super::{Deps, persist};

/// Clients ended at one time when the node stops; each takes a connection of the pool to save its state.
const LEAVING_AT_ONCE: usize = 16;
/// An actor that was just leaving is asked for again this often.
const TRIES: usize = 5;

/// How often a session that has no actor here is looked up while somebody waits for it. An actor that starts here is
/// noticed at once; this is for a session that rests (whoever starts it may ask another node) or that another node takes
/// on meanwhile, which only the database tells: one read of a row a second for each caller who waits like that.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

/// What a supervisor is made of.
pub struct SupervisorDeps {
    /// The truth.
    pub store: Store,
    /// The door to WhatsApp.
    pub engine: Arc<dyn Engine>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The numbers.
    pub config: Arc<Config>,
    /// This node among the others.
    pub cluster: Cluster,
    /// Seals profiles, events and messages.
    pub vault: Arc<Vault>,
    /// Holds the files of messages.
    pub library: Arc<Library>,
    /// What jitter is drawn from.
    pub seed: u64,
}

/// The sessions of a node, counted.
#[derive(Debug, Clone)]
pub struct Census {
    /// Those that have an actor here, by what they show.
    pub by_status: Vec<(Status, usize)>,
    /// Those of them that are meant to run.
    pub desired: usize,
    /// Those in line to reach WhatsApp.
    pub waiting: usize,
    /// Whether log-ins are held back, because WhatsApp fails everybody.
    pub breaker_open: bool,
}

/// The sessions of this node; cheap to clone.
#[derive(Clone)]
pub struct Supervisor {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) deps: Arc<Deps>,
    pub(super) cluster: Cluster,
    pub(super) interval: TimeDelta,
    pub(super) woken: Notify,
    pub(super) token: CancellationToken,
    /// One claim at a time, so that two requests do not take an instance from each other.
    pub(super) claims: Mutex<()>,
    tracker: TaskTracker,
    runtime: runtime::Handle,
    seeds: AtomicU64,
}

impl Supervisor {
    /// Starts the reconciler and the gate on the current runtime, where all actors will run too.
    ///
    /// When `token` fires every client is ended and every lease released; then the node resigns from the cluster.
    pub fn spawn(deps: SupervisorDeps, tracker: &TaskTracker, token: CancellationToken) -> Self {
        let SupervisorDeps { store, engine, clock, config, cluster, vault, library, seed } = deps;
        let meter = SessionMeter::default();
        let (gate, gate_task) = Gate::new(&config.session, Arc::clone(&clock), meter.clone());
        let deps = Arc::new(Deps {
            store,
            engine,
            clock,
            vault,
            library,
            rules: rules(&config),
            pace: pace(&config.limits),
            gate,
            registry: Arc::new(Registry::default()),
            next_run: AtomicU64::new(1),
            leaving: Semaphore::new(LEAVING_AT_ONCE),
            meter,
            messages: MessageMeter::default(),
        });
        let inner = Arc::new(Inner {
            deps,
            cluster,
            interval: delta(config.node.reconcile_interval),
            woken: Notify::new(),
            token: token.clone(),
            claims: Mutex::new(()),
            tracker: tracker.clone(),
            runtime: runtime::Handle::current(),
            seeds: AtomicU64::new(seed),
        });
        tracker.spawn(gate_task.run(token.clone()));
        tracker.spawn(Reconciler::new(Arc::clone(&inner)).run(token));
        Self { inner }
    }

    /// The session as it stands: from its actor if it runs here, otherwise as it was last written.
    pub async fn view(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.views(&[id]).await?.pop().ok_or(SupervisorError::NotFound)
    }

    /// The sessions of these instances, in their order; those that do not exist are left out.
    pub async fn views(&self, ids: &[InstanceId]) -> Result<Vec<SessionView>, SupervisorError> {
        let deps = &self.inner.deps;
        let here = |id: InstanceId| deps.registry.get(id).map(|door| door.view.borrow().clone());
        let mut views: Vec<(InstanceId, Option<SessionView>)> = ids.iter().map(|id| (*id, here(*id))).collect();
        let missing: Vec<InstanceId> = views.iter().filter(|(_, view)| view.is_none()).map(|(id, _)| *id).collect();
        if !missing.is_empty() {
            let node = self.inner.cluster.tenure().map(|tenure| tenure.node_id);
            let mut conn = self.inner.connection().await?;
            for row in session::read_many(&mut conn, &missing).await? {
                let view = persist::view(deps, &mut conn, &row, node).await;
                if let Some((_, place)) = views.iter_mut().find(|(id, _)| *id == row.instance_id) {
                    *place = Some(view);
                }
            }
        }
        Ok(views.into_iter().filter_map(|(_, view)| view).collect())
    }

    /// The session as it changes, if it has an actor here; the channel closes when that leaves.
    pub fn watch(&self, id: InstanceId) -> Option<watch::Receiver<SessionView>> {
        self.inner.deps.registry.get(id).map(|door| door.view.clone())
    }

    /// Who must be asked about an instance. For one that runs here it costs a look into a table.
    pub async fn owner_of(&self, id: InstanceId) -> Result<Owner, StoreError> {
        if self.inner.deps.registry.contains(id) {
            return Ok(Owner::Here);
        }
        self.inner.cluster.owner_of(id).await
    }

    /// Whom [`Self::owner_of`] named is not the owner, or cannot be reached: the next look goes to the database.
    pub fn forget_owner(&self, id: InstanceId) {
        self.inner.cluster.forget_owner(id);
    }

    /// It should run: idempotent, and the way out of every `FAILED`.
    pub async fn start(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.wish(id, Event::Start).await
    }

    /// It should rest. The link stays.
    pub async fn stop(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.wish(id, Event::Stop).await
    }

    /// It should run, over a fresh connection.
    pub async fn restart(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.wish(id, Event::Restart).await
    }

    /// Unlinks the device at WhatsApp and deletes its keys; afterwards the session is `STOPPED` and a request for a
    /// code, or `start`, begins anew. If WhatsApp cannot be told, nothing changes, unless `force`.
    ///
    /// A session that does not run is connected for it; the whole takes `engine.connect_timeout` at most.
    pub async fn logout(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError> {
        for _ in 0..TRIES {
            let door = self.inner.door(id).await?;
            let (reply, answer) = oneshot::channel();
            if door.commands.send(Command::Logout { force, reply }).await.is_err() {
                continue;
            }
            match answer.await {
                Ok((LogoutEnd::Unlinked { at_whatsapp }, view)) => {
                    return Ok(LogoutOutcome { view, unlinked_at_whatsapp: at_whatsapp });
                }
                Ok((LogoutEnd::Unreachable, _)) => return Err(SupervisorError::Unreachable),
                Err(_) => {}
            }
        }
        Err(SupervisorError::NotServing)
    }

    /// [`Self::logout`], then everything of the instance is erased and its id retired for good.
    pub async fn delete(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError> {
        let outcome = self.logout(id, force).await?;
        for _ in 0..TRIES {
            let door = self.inner.door(id).await?;
            let (reply, answer) = oneshot::channel();
            if door.commands.send(Command::Erase { reply }).await.is_ok()
                && let Ok(done) = answer.await
            {
                self.inner.cluster.forget_owner(id);
                return done.map(|()| outcome);
            }
        }
        Err(SupervisorError::NotServing)
    }

    /// The instance's client, connected a moment ago: what is asked of it may still fail.
    pub async fn client(&self, id: InstanceId) -> Result<Arc<dyn EngineRun>, ClientRefusal> {
        for _ in 0..TRIES {
            let door = self.inner.door(id).await?;
            let (reply, answer) = oneshot::channel();
            if door.commands.send(Command::Client { reply }).await.is_ok()
                && let Ok(answer) = answer.await
            {
                return answer.map_err(|view| ClientRefusal::NotConnected { view });
            }
        }
        Err(SupervisorError::NotServing.into())
    }

    /// Waits until the session stands in one of `statuses`, for `timeout` at most, and gives it as it stands then.
    pub async fn wait_for(
        &self,
        id: InstanceId,
        statuses: &[Status],
        timeout: Duration,
    ) -> Result<SessionView, SupervisorError> {
        let deps = &self.inner.deps;
        let until = deps.clock.now() + delta(timeout);
        loop {
            let view = self.view(id).await?;
            if statuses.contains(&view.status) || deps.clock.now() >= until {
                return Ok(view);
            }
            let changed = async {
                if let Some(door) = deps.registry.get(id) {
                    let mut view = door.view.clone();
                    // An actor that leaves closes the channel; what it left behind is looked at then.
                    if view.wait_for(|view| statuses.contains(&view.status)).await.is_err() {
                        door.gone.cancelled().await;
                    }
                } else {
                    tokio::select! {
                        _ = deps.registry.entered(id) => {}
                        () = deps.clock.sleep_until(deps.clock.now() + LOOK_AGAIN) => {}
                    }
                }
            };
            tokio::select! {
                () = changed => {}
                () = deps.clock.sleep_until(until) => {}
            }
        }
    }

    /// Counts the sessions that have an actor here.
    pub fn census(&self) -> Census {
        let deps = &self.inner.deps;
        let (waiting, breaker_open) = deps.gate.standing();
        let (by_status, desired) = deps.registry.census();
        Census { by_status, desired, waiting, breaker_open }
    }

    /// What happened to sessions on this node.
    pub fn meter(&self) -> &SessionMeter {
        &self.inner.deps.meter
    }

    /// What was sent from this node.
    pub fn message_meter(&self) -> &MessageMeter {
        &self.inner.deps.messages
    }

    /// Whether this node may take instances on: it is registered and its lease is trusted.
    pub fn holds_lease(&self) -> bool {
        self.inner.cluster.tenure().is_some()
    }

    /// Whether clients may still be started: `false` once the stop has begun.
    pub fn is_running(&self) -> bool {
        !self.inner.token.is_cancelled()
    }

    /// This instance may have to run: unless it has an actor here, the reconciler looks at once instead of at its next
    /// turn. To be called after the transaction that creates an instance has committed.
    pub fn wake(&self, id: InstanceId) {
        if !self.inner.deps.registry.contains(id) {
            self.inner.woken.notify_one();
        }
    }

    async fn wish(&self, id: InstanceId, event: Event) -> Result<SessionView, SupervisorError> {
        self.inner.wish(id, event).await
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }
}

impl Inner {
    pub(super) async fn connection(&self) -> Result<sqlx::pool::PoolConnection<sqlx::Postgres>, StoreError> {
        self.deps.store.acquire().await
    }

    pub(super) async fn wish(&self, id: InstanceId, event: Event) -> Result<SessionView, SupervisorError> {
        for _ in 0..TRIES {
            let door = self.door(id).await?;
            let (reply, answer) = oneshot::channel();
            if door.commands.send(Command::Wish { event: event.clone(), reply }).await.is_ok()
                && let Ok(answer) = answer.await
            {
                return answer;
            }
        }
        Err(SupervisorError::NotServing)
    }

    /// The door of the instance's actor; claims the lease and starts one if there is none.
    pub(super) async fn door(&self, id: InstanceId) -> Result<Arc<Door>, SupervisorError> {
        for _ in 0..TRIES {
            if let Some(door) = self.deps.registry.get(id) {
                if !door.commands.is_closed() {
                    return Ok(door);
                }
                door.gone.cancelled().await;
                continue;
            }
            let claims = self.claims.lock().await;
            if !self.deps.registry.contains(id) {
                return self.claim(id).await;
            }
            drop(claims);
        }
        Err(SupervisorError::NotServing)
    }

    async fn claim(&self, id: InstanceId) -> Result<Arc<Door>, SupervisorError> {
        let tenure = self.serving().ok_or(SupervisorError::NotServing)?;
        let mut conn = self.connection().await?;
        node::bury_expired(&mut conn).await?;
        drop(conn);
        let mut tx = self.deps.store.begin().await?;
        let fence = lease::claim(&mut tx, id, tenure.node_id).await?;
        let Some(row) = session::read(&mut tx, id).await? else { return Err(SupervisorError::NotFound) };
        let saved = persist::saved(&self.deps, &mut tx, &row).await;
        tx.commit().await.map_err(StoreError::while_("commit a claim"))?;
        match (fence, row.owner) {
            (Some(fence), _) => Ok(self.spawn(id, fence, saved, &tenure)),
            (None, Some((_, addr))) => Err(SupervisorError::Elsewhere { addr }),
            (None, None) => Err(SupervisorError::NotServing),
        }
    }

    /// The tenure under which instances may be taken on.
    pub(super) fn serving(&self) -> Option<Tenure> {
        if self.token.is_cancelled() { None } else { self.cluster.tenure() }
    }

    /// Starts an actor. The caller holds `claims` and has just claimed the lease.
    pub(super) fn spawn(&self, id: InstanceId, fence: Fence, saved: Saved, tenure: &Tenure) -> Arc<Door> {
        let seed = self.seeds.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        let (actor, door) = Actor::new(Arc::clone(&self.deps), (id, fence), saved, tenure.ended.clone(), seed);
        self.deps.registry.insert(id, Arc::clone(&door));
        self.cluster.forget_owner(id);
        // Never on the caller's runtime: an HTTP worker is a single thread.
        self.tracker.spawn_on(actor.run(self.token.clone()), &self.runtime);
        door
    }

    /// How many actors here are meant to run.
    pub(super) fn running(&self) -> usize {
        self.deps.registry.count(|door| door.view.borrow().desired == Desired::Running)
    }
}
