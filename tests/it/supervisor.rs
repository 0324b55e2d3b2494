//! Sessions under a supervisor, with a WhatsApp that does what the test says and a clock that the test moves.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use wagate::domain::clock::{Clock, ManualClock};
use wagate::domain::instance::InstanceId;
use wagate::domain::session::{Desired, Reason, Status};
use wagate::engine::EngineEvent;
use wagate::supervisor::{QrRefusal, QrRefusalKind, SupervisorError};

use crate::support::database::TestDatabase;
use crate::support::node::{PATIENCE, TestNode, create, mark_linked, midnight, until};
use crate::support::scripted_engine::ScriptedEngine;

struct Scene {
    database: TestDatabase,
    clock: ManualClock,
    engine: ScriptedEngine,
    node: TestNode,
}

impl Scene {
    async fn new() -> Self {
        let database = TestDatabase::fresh().await;
        let clock = ManualClock::new(midnight());
        let engine = ScriptedEngine::new(Arc::new(clock.clone()));
        let node = TestNode::start_simple(database.store(), Arc::new(engine.clone()), &clock, 1).await;
        Self { database, clock, engine, node }
    }

    async fn create(&self, desired: Desired) -> InstanceId {
        let id = create(self.database.store(), desired, 1, 7).await[0];
        self.node.supervisor.wake(id);
        id
    }

    async fn linked(&self, desired: Desired, count: usize) -> Vec<InstanceId> {
        let ids = create(self.database.store(), Desired::Stopped, count, 7).await;
        mark_linked(self.database.store(), &ids).await;
        for id in &ids {
            self.engine.link(*id);
        }
        if desired == Desired::Running {
            sqlx::query("UPDATE session SET desired = 'running', status = 'WORKING'")
                .execute(self.database.pool())
                .await
                .expect("the sessions are updated");
            self.node.supervisor.wake(ids[0]);
        }
        ids
    }

    /// Moves the clock on, deadline by deadline, until the session stands there.
    async fn reaches(&self, id: InstanceId, status: Status) {
        until(&format!("{id} is {status}"), async || {
            if self.node.supervisor.view(id).await.expect("a view").status == status {
                return true;
            }
            self.clock.advance(TimeDelta::milliseconds(20));
            false
        })
        .await;
    }

    async fn qr_kind(&self, id: InstanceId) -> QrRefusalKind {
        match self.node.supervisor.qr(id, Duration::ZERO).await {
            Err(QrRefusal::Session { kind, .. }) => kind,
            other => panic!("expected a refusal, got {other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_created_instance_shows_a_code_is_scanned_and_works() {
    let scene = Scene::new().await;
    let id = scene.create(Desired::Running).await;
    scene.reaches(id, Status::ScanQrCode).await;
    let code = scene.node.supervisor.qr(id, Duration::ZERO).await.expect("a code");
    assert_eq!(code.attempt, 1);
    scene.engine.scan(id).await;
    scene.reaches(id, Status::Working).await;
    let view = scene.node.supervisor.view(id).await.expect("a view");
    assert!(view.linked && view.qr.is_none());
    assert_eq!(view.me.expect("a profile").number, "201012345678");
    assert_eq!(scene.qr_kind(id).await, QrRefusalKind::AlreadyLinked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_a_code_starts_an_unlinked_instance_that_rests_and_waits_for_the_code() {
    let scene = Scene::new().await;
    let id = scene.create(Desired::Stopped).await;
    let supervisor = scene.node.supervisor.clone();
    let code = tokio::time::timeout(PATIENCE, supervisor.qr(id, Duration::from_secs(5))).await.expect("in time");
    assert_eq!(code.expect("a code").attempt, 1);
    assert_eq!(supervisor.view(id).await.expect("a view").desired, Desired::Running);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forgotten_tab_that_polls_a_stopped_linked_instance_starts_nothing() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Stopped, 1).await[0];
    for _ in 0..50 {
        assert_eq!(scene.qr_kind(id).await, QrRefusalKind::AlreadyLinked);
        scene.clock.advance(TimeDelta::seconds(5));
    }
    assert_eq!(scene.engine.starts_in_all(), 0);
    let view = scene.node.supervisor.view(id).await.expect("a view");
    assert_eq!((view.status, view.desired), (Status::Stopped, Desired::Stopped));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stop_and_start_keep_the_link_and_are_idempotent() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Running, 1).await[0];
    scene.reaches(id, Status::Working).await;
    for _ in 0..2 {
        let view = scene.node.supervisor.stop(id).await.expect("stopped");
        assert_eq!((view.status, view.linked), (Status::Stopped, true));
    }
    assert_eq!(scene.engine.alive(id), 0);
    scene.node.supervisor.start(id).await.expect("started");
    scene.reaches(id, Status::Working).await;
    scene.node.supervisor.start(id).await.expect("started");
    assert_eq!((scene.engine.starts(id), scene.engine.most_at_once()), (2, 1));
    scene.node.supervisor.restart(id).await.expect("restarted");
    scene.reaches(id, Status::Working).await;
    assert_eq!((scene.engine.starts(id), scene.engine.most_at_once()), (3, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_whose_saver_gave_up_is_replaced_by_a_new_one() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Running, 1).await[0];
    scene.reaches(id, Status::Working).await;
    scene.engine.halt_saver(id);
    until("a new client has been started", async || {
        scene.clock.advance(TimeDelta::milliseconds(200));
        scene.engine.starts(id) == 2
    })
    .await;
    scene.reaches(id, Status::Working).await;
    assert_eq!((scene.engine.most_at_once(), scene.engine.alive(id)), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_logout_unlinks_deletes_the_keys_and_leaves_an_instance_that_can_show_a_new_code() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Running, 1).await[0];
    scene.reaches(id, Status::Working).await;
    let outcome = scene.node.supervisor.logout(id, false).await.expect("unlinked");
    assert!(outcome.unlinked_at_whatsapp);
    assert_eq!((outcome.view.status, outcome.view.linked), (Status::Stopped, false));
    assert!(scene.engine.was_wiped(id));
    let profile: Option<Vec<u8>> = sqlx::query_scalar("SELECT profile FROM session WHERE instance_id = $1")
        .bind(id.as_str())
        .fetch_one(scene.database.pool())
        .await
        .expect("the session is there");
    assert_eq!(profile, None);
    scene.node.supervisor.start(id).await.expect("started");
    scene.reaches(id, Status::ScanQrCode).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_linked_instance_connects_for_its_logout_and_changes_nothing_when_whatsapp_is_away() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Stopped, 1).await[0];
    scene.engine.set_reachable(false);
    let refused = scene.node.supervisor.logout(id, false).await;
    assert!(matches!(refused, Err(SupervisorError::Unreachable)), "{refused:?}");
    let view = scene.node.supervisor.view(id).await.expect("a view");
    assert_eq!((view.status, view.linked, view.desired), (Status::Stopped, true, Desired::Stopped));
    assert!(!scene.engine.was_wiped(id));

    scene.clock.advance(TimeDelta::seconds(1));
    let forced = scene.node.supervisor.logout(id, true).await.expect("erased here");
    assert!(!forced.unlinked_at_whatsapp && !forced.view.linked);
    assert!(scene.engine.was_wiped(id));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_instance_is_gone_and_its_id_is_retired() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Running, 1).await[0];
    scene.reaches(id, Status::Working).await;
    scene.node.supervisor.delete(id, false).await.expect("deleted");
    assert_eq!(scene.engine.alive(id), 0);
    let left: i64 = sqlx::query_scalar(
        "SELECT (SELECT count(*) FROM instance) + (SELECT count(*) FROM session) + (SELECT count(*) FROM instance_lease)",
    )
    .fetch_one(scene.database.pool())
    .await
    .expect("counted");
    let retired: i64 = sqlx::query_scalar("SELECT count(*) FROM retired_instance WHERE id = $1")
        .bind(id.as_str())
        .fetch_one(scene.database.pool())
        .await
        .expect("counted");
    assert_eq!((left, retired), (0, 1));
    assert!(matches!(scene.node.supervisor.view(id).await, Err(SupervisorError::NotFound)));
    assert!(matches!(scene.node.supervisor.start(id).await, Err(SupervisorError::NotFound)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_removed_on_the_phone_is_failed_and_a_request_for_a_code_starts_anew() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Running, 1).await[0];
    scene.reaches(id, Status::Working).await;
    scene.engine.tell(id, || EngineEvent::LoggedOut).await;
    scene.reaches(id, Status::Failed).await;
    let view = scene.node.supervisor.view(id).await.expect("a view");
    assert_eq!((view.reason, view.linked), (Some(Reason::LoggedOut), false));
    until("the keys are deleted", async || scene.engine.was_wiped(id)).await;
    let supervisor = scene.node.supervisor.clone();
    let asked = tokio::spawn(async move { supervisor.qr(id, Duration::from_secs(5)).await });
    scene.reaches(id, Status::ScanQrCode).await;
    assert!(asked.await.expect("asked").is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_for_a_code_says_502_worthy_when_whatsapp_is_away() {
    let scene = Scene::new().await;
    scene.engine.set_reachable(false);
    let id = scene.create(Desired::Running).await;
    until("an attempt failed", async || {
        scene.node.supervisor.view(id).await.expect("a view").reason == Some(Reason::UpstreamUnreachable)
    })
    .await;
    assert_eq!(scene.qr_kind(id).await, QrRefusalKind::UpstreamUnreachable);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_at_rest_keeps_no_actor_and_no_lease() {
    let scene = Scene::new().await;
    let id = scene.linked(Desired::Running, 1).await[0];
    scene.reaches(id, Status::Working).await;
    scene.node.supervisor.stop(id).await.expect("stopped");
    until("the lease is released", async || {
        scene.clock.advance(TimeDelta::seconds(10));
        let free: bool = sqlx::query_scalar("SELECT node_id IS NULL FROM instance_lease WHERE instance_id = $1")
            .bind(id.as_str())
            .fetch_one(scene.database.pool())
            .await
            .expect("the lease is there");
        free
    })
    .await;
    assert_eq!(scene.node.supervisor.view(id).await.expect("a view").status, Status::Stopped);
    scene.node.supervisor.start(id).await.expect("started");
    scene.reaches(id, Status::Working).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_hours_of_outage_every_linked_instance_returns_at_fifty_a_second_at_most_and_none_failed() {
    const COUNT: usize = 120;
    let scene = Scene::new().await;
    let ids = scene.linked(Desired::Running, COUNT).await;
    let supervisor = &scene.node.supervisor;
    let count = async |status: Status| {
        let views = supervisor.views(&ids).await.expect("views");
        assert!(views.iter().all(|view| view.status != Status::Failed));
        views.iter().filter(|view| view.status == status).count()
    };
    until("all work", async || {
        scene.clock.advance(TimeDelta::milliseconds(20));
        count(Status::Working).await == COUNT
    })
    .await;

    scene.engine.set_reachable(false);
    scene.engine.drop_all().await;
    let cut = scene.clock.now();
    let before = scene.engine.starts_in_all();
    until("six hours have passed", async || {
        scene.clock.advance(TimeDelta::seconds(20));
        scene.clock.now() - cut >= TimeDelta::hours(6)
    })
    .await;
    until("nobody believes to be connected", async || {
        scene.clock.advance(TimeDelta::seconds(1));
        count(Status::Starting).await == COUNT
    })
    .await;
    let attempts = scene.engine.starts_in_all() - before;
    assert!(attempts > 20, "{attempts} attempts: it went on trying");

    scene.engine.set_reachable(true);
    let back = scene.clock.now();
    let tick = TimeDelta::milliseconds(200);
    until("all work again", async || {
        scene.clock.advance(tick);
        count(Status::Working).await == COUNT
    })
    .await;
    assert!(scene.clock.now() - back < TimeDelta::minutes(20), "took {}", scene.clock.now() - back);
    assert_eq!((scene.engine.most_at_once(), scene.engine.alive_in_all()), (1, COUNT));
    for window in scene.engine.start_times().windows(51) {
        // A start is noted once its task runs: on a busy machine a tick or two after it was let through.
        assert!(window[50] - window[0] >= TimeDelta::seconds(1) - tick * 2, "more than 50 log-ins within a second");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_that_should_run_comes_back_after_a_restart_and_what_was_stopped_does_not() {
    let scene = Scene::new().await;
    let ids = scene.linked(Desired::Running, 3).await;
    for id in &ids {
        scene.reaches(*id, Status::Working).await;
    }
    scene.node.supervisor.stop(ids[2]).await.expect("stopped");
    let Scene { database, clock, engine, node } = scene;
    node.stop().await;
    assert_eq!(engine.alive_in_all(), 0);
    let nodes: i64 = sqlx::query_scalar("SELECT count(*) FROM node").fetch_one(database.pool()).await.expect("counted");
    assert_eq!(nodes, 0);
    let node = TestNode::start_simple(database.store(), Arc::new(engine.clone()), &clock, 2).await;
    let scene = Scene { database, clock, engine, node };
    for id in &ids[..2] {
        scene.reaches(*id, Status::Working).await;
    }
    assert_eq!(scene.engine.alive(ids[2]), 0);
    assert_eq!(scene.engine.most_at_once(), 1);
}
