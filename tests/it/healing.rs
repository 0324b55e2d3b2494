//! The healer: whatever was wrong is over, and the session comes back by itself, within its deadlines, over one socket.
//! What must be counted exactly is counted on a scripted WhatsApp and a clock that the test moves.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::json;
use sqlx::{Connection as _, PgConnection};
use wagate::config::Config;
use wagate::domain::clock::{Clock, ManualClock};
use wagate::domain::instance::InstanceId;
use wagate::domain::session::{Desired, Reason, Status};
use wagate::engine::EngineEvent;
use wagate::store::embedded::{Embedded, EmbeddedConfig};

use crate::support::database::{TestDatabase, scratch};
use crate::support::gateway::Gateway;
use crate::support::node::{TestNode, create, mark_linked, midnight, until as holds};
use crate::support::scripted_engine::ScriptedEngine;
use crate::support::wait::until;

/// Deadlines and pauses of a few seconds at most.
fn hasty(config: &mut Config) {
    config.session.backoff_min = Duration::from_millis(20);
    config.session.backoff_max = Duration::from_millis(200);
    config.session.first_code_deadline = Duration::from_secs(5);
    config.session.login_deadline = Duration::from_secs(5);
    config.session.liveness_timeout = Duration::from_secs(3);
    config.session.breaker_failures = 1_000_000;
    config.engine.connect_timeout = Duration::from_secs(1);
    config.engine.request_timeout = Duration::from_secs(1);
}

async fn shows(gateway: &Gateway, instance: &str, reason: &str) {
    until(&format!("{instance} shows {reason}"), || async {
        (gateway.client.info(instance).await["reason"] == reason).then_some(())
    })
    .await;
}

/// It works, and never had two sockets.
async fn works_over_one_socket(gateway: &Gateway, instance: &str, number: &str) {
    gateway.client.reaches(instance, "WORKING").await;
    let device = gateway.network.device_of(number).await.expect("it is linked");
    assert_eq!(device["most_live_sockets"], 1, "{device}");
}

/// An unlinked instance that a fault keeps from its first code shows `reason`, and one once the fault is over.
async fn an_unlinked_instance_waits_out(fault: &str, reason: &str) {
    let gateway = Gateway::with(hasty).await;
    let fault = gateway.network.fault(&json!({ "kind": fault })).await;
    let instance = gateway.client.create("waits").await;
    shows(&gateway, &instance, reason).await;
    assert_eq!(gateway.client.info(&instance).await["status"], "STARTING");
    gateway.network.mend(&fault).await;
    gateway.client.reaches(&instance, "SCAN_QR_CODE").await;
    let number = gateway.network.phone().await;
    gateway.client.scan(&gateway.network, &instance, &number).await;
    works_over_one_socket(&gateway, &instance, &number).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_instance_waits_out_a_network_that_refuses() {
    an_unlinked_instance_waits_out("refuse", "upstream_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_instance_waits_out_a_silent_network() {
    an_unlinked_instance_waits_out("silent", "recovering").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_instance_waits_out_a_half_open_network() {
    an_unlinked_instance_waits_out("half_open", "upstream_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlinked_instance_waits_out_a_network_without_codes() {
    an_unlinked_instance_waits_out("no_code", "recovering").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_drops_while_a_code_is_shown_brings_another_code() {
    let gateway = Gateway::with(hasty).await;
    let instance = gateway.client.create("dropped").await;
    let (lost, _) = gateway.client.code(&instance).await;
    gateway.network.fault(&json!({ "kind": "drop" })).await;
    until("another code is shown", || async { (gateway.client.code(&instance).await.0 != lost).then_some(()) }).await;
    let number = gateway.network.phone().await;
    assert_eq!(gateway.network.scan(&number, &lost).await.0, StatusCode::CONFLICT);
    gateway.client.scan(&gateway.network, &instance, &number).await;
    works_over_one_socket(&gateway, &instance, &number).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_connection_is_made_again_even_where_no_codes_are_given() {
    let gateway = Gateway::with(hasty).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let logins = |device: &serde_json::Value| device["logins"].as_u64().expect("a number");
    let before = logins(&gateway.network.device_of(&number).await.unwrap());
    gateway.network.fault(&json!({ "kind": "no_code" })).await;
    gateway.network.fault(&json!({ "kind": "drop" })).await;
    until("it has logged in again", || async {
        (logins(&gateway.network.device_of(&number).await?) > before).then_some(())
    })
    .await;
    works_over_one_socket(&gateway, &instance, &number).await;
    gateway.stop().await;
}

/// A linked instance that no data reaches any more is not WORKING, and is again once the fault is over.
async fn a_deaf_connection_is_left(fault: &str, reason: &str) {
    let gateway = Gateway::with(hasty).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    let fault = gateway.network.fault(&json!({ "kind": fault })).await;
    let deaf = gateway.client.reaches(&instance, "STARTING").await;
    assert_eq!((&deaf["linked"], &deaf["liveness"]["connected"]), (&json!(true), &json!(false)));
    shows(&gateway, &instance, reason).await;
    gateway.network.mend(&fault).await;
    works_over_one_socket(&gateway, &instance, &number).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_connection_is_left_within_the_liveness_timeout_and_made_again() {
    a_deaf_connection_is_left("silent", "reconnecting").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_half_open_connection_is_left_within_the_liveness_timeout_and_made_again() {
    a_deaf_connection_is_left("half_open", "upstream_unreachable").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_that_was_logged_out_fails_and_the_same_phone_links_it_again() {
    let gateway = Gateway::with(hasty).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    gateway.network.fault(&json!({ "kind": "logout" })).await;
    let failed = gateway.client.reaches(&instance, "FAILED").await;
    assert_eq!((&failed["reason"], &failed["linked"]), (&json!("logged_out"), &json!(false)));
    gateway.client.scan(&gateway.network, &instance, &number).await;
    works_over_one_socket(&gateway, &instance, &number).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ban_that_has_run_out_is_tried_again_without_anybody_asking() {
    let gateway = Gateway::with(|config| {
        hasty(config);
        // What is left of the ban is told in whole seconds, rounded down; the one retry must not come before its end.
        config.session.ban_grace_min = Duration::from_millis(1500);
        config.session.ban_grace_max = Duration::from_secs(2);
    })
    .await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    gateway.network.fault(&json!({ "kind": "ban", "seconds": 5 })).await;
    shows(&gateway, &instance, "banned").await;
    works_over_one_socket(&gateway, &instance, &number).await;
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_lists_the_device_under_the_configured_name_and_the_session_learns_the_account_s() {
    let gateway = Gateway::with(|config| config.engine.device_name = "Shop gateway".into()).await;
    let (instance, number) = gateway.client.linked(&gateway.network).await;
    assert_eq!(gateway.network.device_of(&number).await.unwrap()["name"], "Shop gateway");
    let learned = until("the account's name is known", || async {
        let name = gateway.client.info(&instance).await["me"]["pushName"].clone();
        name.is_string().then_some(name)
    })
    .await;
    assert_ne!(learned, "Shop gateway", "the stand-in is never told as the account's name");
    gateway.stop().await;
}

// The database.

/// Sessions on a private PostgreSQL that the test stops and starts.
struct Outage {
    folder: tempfile::TempDir,
    embedded: Option<Embedded>,
    gateway: Gateway,
    unlinked: String,
    linked: String,
    number: String,
}

impl Outage {
    async fn prepare(change: impl FnOnce(&mut Config)) -> Self {
        use std::os::unix::fs::PermissionsExt;

        let folder = tempfile::tempdir_in(scratch()).unwrap();
        // As root the server runs as another user, who must be able to pass through.
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).unwrap();
        let embedded = start_postgres(&folder).await;
        let url = embedded.url();
        let gateway = Gateway::with(|config| {
            hasty(config);
            config.database.url = url.into();
            config.database.acquire_timeout = Duration::from_secs(1);
            change(config);
        })
        .await;
        let unlinked = gateway.client.create("unlinked").await;
        gateway.client.reaches(&unlinked, "SCAN_QR_CODE").await;
        let (linked, number) = gateway.client.linked(&gateway.network).await;
        Self { folder, embedded: Some(embedded), gateway, unlinked, linked, number }
    }

    async fn ready(&self) -> bool {
        let answer = reqwest::get(format!("{}/health/ready", self.gateway.url)).await;
        answer.is_ok_and(|answer| answer.status().is_success())
    }

    async fn stop_postgres(&mut self) {
        self.embedded.take().expect("it runs").stop().await;
    }

    async fn all_is_as_before(mut self) {
        self.embedded = Some(start_postgres(&self.folder).await);
        until("the gateway is ready", || async { self.ready().await.then_some(()) }).await;
        self.gets("/v2/session/info", &self.unlinked, "SCAN_QR_CODE").await;
        self.gets("/v2/session/info", &self.linked, "WORKING").await;
        works_over_one_socket(&self.gateway, &self.linked, &self.number).await;
        // Not only in memory: what happens now is stored.
        self.gets("/v2/session/stop", &self.unlinked, "STOPPED").await;
        self.gateway.stop().await;
        self.embedded.take().expect("it runs").stop().await;
    }

    /// A crash of a backend, after which PostgreSQL ends all the others and starts anew.
    async fn crash_postgres(&self) {
        let url = self.embedded.as_ref().expect("it runs").url();
        let pids = until("PostgreSQL tells its backends", || async {
            let mut conn = PgConnection::connect(&url).await.ok()?;
            sqlx::query_scalar::<_, i32>("SELECT pid FROM pg_stat_activity WHERE application_name = 'wagate'")
                .fetch_all(&mut conn)
                .await
                .ok()
        })
        .await;
        for pid in pids {
            // Those that come after the first may be gone by then.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }

    /// Asks until the answer shows a status. The pool may still hold connections that the outage broke: a request that
    /// meets one is told to come back.
    async fn gets(&self, path: &str, instance: &str, wanted: &str) {
        until(&format!("{path} of {instance} shows {wanted}"), || async {
            let (status, body) = self.gateway.client.post(path, &json!({ "instance_id": instance })).await;
            assert_ne!(status, StatusCode::INTERNAL_SERVER_ERROR, "{body}");
            (status == StatusCode::OK && body["status"] == wanted).then_some(())
        })
        .await;
    }
}

async fn start_postgres(folder: &tempfile::TempDir) -> Embedded {
    let config = EmbeddedConfig { fsync: false, ..EmbeddedConfig::new(folder.path().join("postgres")) };
    Embedded::start(config).await.expect("the private PostgreSQL starts")
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_while_the_database_crashes_is_told_to_come_back_and_gets_nothing_worse() {
    let mut outage = Outage::prepare(|config| {
        config.limits.api_per_second = 1_000_000;
        config.limits.api_burst = 1_000_000;
        config.limits.messages_per_minute = 6000;
    })
    .await;
    let it = json!({ "instance_id": outage.linked });
    let with = |more: serde_json::Value| {
        let mut body = it.clone();
        body.as_object_mut().unwrap().append(&mut more.as_object().unwrap().clone());
        body
    };
    let text = with(json!({ "chatId": outage.gateway.network.phone().await, "message": "amid it all" }));
    let asks = [
        (Method::POST, "/v2/session/info", it.clone()),
        (Method::POST, "/v2/session/list", json!({})),
        (Method::POST, "/v2/session/create", json!({ "start": false })),
        (Method::POST, "/v2/session/token", with(json!({ "expires_in": 3600 }))),
        (Method::POST, "/v2/session/stop", json!({ "instance_id": outage.unlinked })),
        (Method::POST, "/v2/session/start", json!({ "instance_id": outage.unlinked })),
        (Method::POST, "/v2/send/text", text),
        (Method::POST, "/v2/account", json!({ "name": "shop" })),
        (Method::GET, "/v2/audit", json!({})),
        (Method::GET, "/v2/usage", json!({})),
    ];
    let is_over = Arc::new(AtomicBool::new(false));
    let asking = asks.map(|(method, path, body)| {
        let (client, is_over) = (outage.gateway.client.clone(), Arc::clone(&is_over));
        tokio::spawn(async move {
            let mut answers = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let (status, told) = client.call(method.clone(), path, &body).await;
                answers.push((path, status, told["code"].clone()));
            }
            answers
        })
    });
    for _ in 0..4 {
        outage.crash_postgres().await;
        until("the gateway is ready", || async { outage.ready().await.then_some(()) }).await;
    }
    is_over.store(true, Ordering::Relaxed);
    let mut answers = Vec::new();
    for asking in asking {
        answers.extend(asking.await.unwrap());
    }
    let told: BTreeSet<String> = answers
        .iter()
        .filter(|(_, status, _)| !status.is_success())
        .map(|(path, status, code)| format!("{path} {status} {code}"))
        .collect();
    assert!(!told.is_empty(), "no request met a broken connection");
    let is_known = |told: &String| told.ends_with("503 Service Unavailable \"database_unavailable\"");
    assert!(told.iter().all(is_known), "{told:#?}");

    outage.gets("/v2/session/start", &outage.unlinked, "SCAN_QR_CODE").await;

    outage.stop_postgres().await;
    let answer = outage.gateway.client.ask("/v2/session/list", &json!({}), &[]).await;
    assert_eq!(
        (answer.status(), &answer.headers()["retry-after"]),
        (StatusCode::SERVICE_UNAVAILABLE, &"2".parse().unwrap())
    );
    assert_eq!(answer.json::<serde_json::Value>().await.unwrap()["code"], "database_unavailable");
    outage.all_is_as_before().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_short_outage_of_the_database_everything_goes_on() {
    let mut outage = Outage::prepare(|_| {}).await;
    outage.stop_postgres().await;
    until("the gateway is not ready", || async { (!outage.ready().await).then_some(()) }).await;
    // A session that changes while it cannot be stored.
    outage.gateway.network.fault(&json!({ "kind": "drop" })).await;
    outage.all_is_as_before().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_outage_that_outlasts_the_lease_every_session_comes_back_by_itself() {
    let mut outage = Outage::prepare(|config| {
        config.node.lease_renew_interval = Duration::from_millis(500);
        config.node.lease_renew_timeout = Duration::from_millis(500);
        config.node.lease_trust = Duration::from_secs(4);
        config.node.lease_ttl = Duration::from_secs(5);
    })
    .await;
    outage.stop_postgres().await;
    until("the socket is dropped, for another node might own it by now", || async {
        (outage.gateway.network.device_of(&outage.number).await?["connected"] == false).then_some(())
    })
    .await;
    outage.all_is_as_before().await;
}

// What outlives a restart.

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_does_not_open_the_codes_that_too_many_rounds_have_closed() {
    let mut gateway = Gateway::with(|config| {
        hasty(config);
        config.session.max_rounds = 1;
    })
    .await;
    gateway.network.hurry(100).await;
    let instance = gateway.client.create("tireless").await;
    shows(&gateway, &instance, "qr_not_scanned").await;
    let ask = json!({ "instance_id": instance });
    for _ in 0..2 {
        let (status, body) = gateway.client.post("/v2/auth/qr", &ask).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}");
        assert_eq!((&body["session_status"], &body["recovering"]), (&json!("FAILED"), &json!(false)));
        gateway.restart().await;
    }
    let (status, body) = gateway.client.post("/v2/session/start", &ask).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    gateway.client.code(&instance).await;
    gateway.stop().await;
}

// On a scripted WhatsApp.

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

    async fn linked(&self) -> InstanceId {
        let ids = create(self.database.store(), Desired::Stopped, 1, 7).await;
        mark_linked(self.database.store(), &ids).await;
        self.engine.link(ids[0]);
        ids[0]
    }

    /// Moves the clock on until that holds.
    async fn passes_until(&self, what: &str, mut condition: impl AsyncFnMut() -> bool) {
        holds(what, async || {
            self.clock.advance(TimeDelta::seconds(2));
            condition().await
        })
        .await;
    }

    async fn reaches(&self, id: InstanceId, status: Status) {
        let view = async || self.node.supervisor.view(id).await.expect("a view").status == status;
        self.passes_until(&format!("{id} is {status}"), view).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unlinked_instance_is_given_up_after_exactly_twenty_starts_without_a_code() {
    let scene = Scene::new().await;
    scene.engine.set_mute(true);
    let id = create(scene.database.store(), Desired::Running, 1, 7).await[0];
    scene.node.supervisor.wake(id);
    scene.reaches(id, Status::Failed).await;
    assert_eq!(scene.node.supervisor.view(id).await.expect("a view").reason, Some(Reason::Stalled));
    assert_eq!((scene.engine.starts(id), scene.engine.alive(id), scene.engine.most_at_once()), (20, 0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_instance_that_cannot_log_in_is_never_given_up() {
    let scene = Scene::new().await;
    scene.engine.set_mute(true);
    let id = scene.linked().await;
    scene.node.supervisor.start(id).await.expect("started");
    scene
        .passes_until("it was started more often than an unlinked one would be", async || {
            let view = scene.node.supervisor.view(id).await.expect("a view");
            assert_eq!((view.status, view.linked), (Status::Starting, true));
            scene.engine.starts(id) > 25
        })
        .await;
    scene.engine.set_mute(false);
    scene.reaches(id, Status::Working).await;
    assert_eq!(scene.engine.most_at_once(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_node_gives_a_replaced_device_no_second_retry() {
    let scene = Scene::new().await;
    let id = scene.linked().await;
    scene.node.supervisor.start(id).await.expect("started");
    scene.reaches(id, Status::Working).await;
    scene.engine.tell(id, || EngineEvent::StreamReplaced).await;
    holds("it says so", async || scene.node.supervisor.view(id).await.expect("a view").status == Status::Failed).await;
    scene.reaches(id, Status::Working).await;

    let Scene { database, clock, engine, node } = scene;
    node.stop().await;
    let node = TestNode::start_simple(database.store(), Arc::new(engine.clone()), &clock, 2).await;
    let scene = Scene { database, clock, engine, node };
    scene.reaches(id, Status::Working).await;
    scene.engine.tell(id, || EngineEvent::StreamReplaced).await;
    holds("it says so", async || scene.node.supervisor.view(id).await.expect("a view").status == Status::Failed).await;
    let view = scene.node.supervisor.view(id).await.expect("a view");
    assert_eq!((view.recovering, view.next_change_at), (false, None));
    scene.node.supervisor.start(id).await.expect("started");
    scene.reaches(id, Status::Working).await;
}

// Waiting for a state.

/// Waits until a waiter of [`wait_for`] has looked once and sleeps.
async fn is_parked(clock: &ManualClock) {
    let next_look = clock.now() + TimeDelta::seconds(1);
    holds("somebody waits", async || clock.next_deadline() == Some(next_look)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_an_instance_that_nobody_runs_is_told_as_soon_as_it_starts_here() {
    let scene = Scene::new().await;
    let id = create(scene.database.store(), Desired::Stopped, 1, 7).await[0];
    let supervisor = scene.node.supervisor.clone();
    let waiting =
        tokio::spawn(async move { supervisor.wait_for(id, &[Status::ScanQrCode], Duration::from_secs(25)).await });
    is_parked(&scene.clock).await;
    scene.node.supervisor.start(id).await.expect("started");
    // The clock stands still: neither the next look nor the timeout can have ended it.
    let view = waiting.await.expect("it ends").expect("a view");
    assert_eq!(view.status, Status::ScanQrCode);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_an_instance_that_another_node_takes_on_is_told_at_the_next_look() {
    let scene = Scene::new().await;
    let other = TestNode::start_simple(scene.database.store(), Arc::new(scene.engine.clone()), &scene.clock, 2).await;
    let id = create(scene.database.store(), Desired::Stopped, 1, 7).await[0];
    let supervisor = scene.node.supervisor.clone();
    let waiting =
        tokio::spawn(async move { supervisor.wait_for(id, &[Status::ScanQrCode], Duration::from_secs(25)).await });
    is_parked(&scene.clock).await;
    other.supervisor.start(id).await.expect("started");
    holds("the other node shows a code", async || {
        other.supervisor.view(id).await.expect("a view").status == Status::ScanQrCode
    })
    .await;
    assert!(!waiting.is_finished());
    scene.clock.advance(TimeDelta::seconds(1));
    let view = waiting.await.expect("it ends").expect("a view");
    assert_eq!((view.status, view.recovering, view.next_change_at), (Status::ScanQrCode, false, None));
    other.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_ends_with_the_state_or_at_its_timeout_with_whatever_stands_then() {
    let gateway = Gateway::with(|config| {
        // The create itself starts the session: the reconciler has no part in it.
        config.node.reconcile_interval = Duration::from_hours(1);
    })
    .await;
    let instance = gateway.client.create("waited for").await;
    let ask = json!({ "instance_id": instance, "wait_for": "SCAN_QR_CODE,FAILED", "timeout": 25 });
    let (status, body) = gateway.client.post("/v2/session/info", &ask).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("SCAN_QR_CODE")), "{body}");
    let ask = json!({ "instance_id": instance, "wait_for": "WORKING", "timeout": 1 });
    let (status, body) = gateway.client.post("/v2/session/info", &ask).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("SCAN_QR_CODE")), "{body}");
    gateway.stop().await;
}
