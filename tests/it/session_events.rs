//! What is told of a session while the database is away, and what a takeover tells.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use wagate::domain::clock::{Clock, ManualClock};
use wagate::domain::instance::InstanceId;
use wagate::domain::qr_code::QrValue;
use wagate::domain::session::{Desired, Status};
use wagate::engine::EngineEvent;

use crate::support::database::TestDatabase;
use crate::support::node::{TestNode, create, midnight, until};
use crate::support::scripted_engine::ScriptedEngine;

struct Scene {
    database: TestDatabase,
    clock: ManualClock,
    engine: ScriptedEngine,
    node: TestNode,
    id: InstanceId,
}

impl Scene {
    /// An instance that shows its first code.
    async fn scanning() -> Self {
        let database = TestDatabase::fresh().await;
        let clock = ManualClock::new(midnight());
        let engine = ScriptedEngine::new(Arc::new(clock.clone()));
        let node = TestNode::start_simple(database.store(), Arc::new(engine.clone()), &clock, 1).await;
        let id = create(database.store(), Desired::Running, 1, 7).await[0];
        node.supervisor.wake(id);
        let scene = Self { database, clock, engine, node, id };
        scene.reaches(Status::ScanQrCode).await;
        scene
    }

    async fn reaches(&self, status: Status) {
        until(&format!("it is {status}"), async || {
            self.clock.advance(TimeDelta::milliseconds(20));
            self.node.supervisor.view(self.id).await.expect("a view").status == status
        })
        .await;
    }

    /// The code rotates.
    async fn rotate(&self, value: &str, attempt: u32) {
        let expires_at = self.clock.now() + TimeDelta::seconds(20);
        self.engine.tell(self.id, || EngineEvent::QrCode { value: QrValue::new(value), expires_at, attempt }).await;
    }

    async fn shows(&self, value: &str) {
        until("the code is shown", async || {
            let code = self.node.supervisor.qr(self.id, Duration::ZERO).await;
            code.is_ok_and(|code| code.value.expose() == value)
        })
        .await;
    }

    async fn execute(&self, statement: &'static str) {
        sqlx::query(statement).execute(self.database.pool()).await.expect("it is done");
    }

    /// The kinds that the log holds, in its order.
    async fn told(&self) -> Vec<String> {
        let kinds = "SELECT kind FROM event WHERE instance_id = $1 ORDER BY seq";
        sqlx::query_scalar(kinds).bind(self.id.as_str()).fetch_all(self.database.pool()).await.expect("the log reads")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_code_is_shown_although_it_cannot_be_told_and_is_told_once_it_can() {
    let scene = Scene::scanning().await;
    assert_eq!(scene.told().await, ["session.status", "session.qr"]);
    // What is logged cannot be written; nothing else is wrong.
    scene.execute("ALTER TABLE event RENAME TO event_away").await;
    scene.rotate("2@second", 2).await;
    scene.shows("2@second").await;
    scene.rotate("2@third", 3).await;
    scene.shows("2@third").await;
    scene.execute("ALTER TABLE event_away RENAME TO event").await;
    until("both codes are told", async || {
        scene.clock.advance(TimeDelta::milliseconds(200));
        scene.told().await == ["session.status", "session.qr", "session.qr", "session.qr"]
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_status_that_came_while_nothing_could_be_stored_is_told_in_its_order() {
    let scene = Scene::scanning().await;
    scene.execute("ALTER TABLE event RENAME TO event_away").await;
    scene.engine.scan(scene.id).await;
    scene.reaches(Status::Working).await;
    scene.execute("ALTER TABLE event_away RENAME TO event").await;
    until("all is told", async || {
        scene.clock.advance(TimeDelta::milliseconds(200));
        // The first code's two, then pairing and WORKING.
        scene.told().await.len() == 4
    })
    .await;
    let numbers: Vec<i64> = sqlx::query_scalar("SELECT seq FROM event ORDER BY seq")
        .fetch_all(scene.database.pool())
        .await
        .expect("the log reads");
    assert_eq!(numbers, [1, 2, 3, 4]);
    let stored: String = sqlx::query_scalar("SELECT status FROM session")
        .fetch_one(scene.database.pool())
        .await
        .expect("the session reads");
    assert_eq!(stored, "WORKING");
}
