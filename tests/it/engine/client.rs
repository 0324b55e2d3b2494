//! The client against the sandbox: from the first code to the linked device, and the bad days.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::TimeDelta;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use url::Url;
use wagate::config;
use wagate::domain::clock::{Clock, SystemClock};
use wagate::domain::instance::InstanceId;
use wagate::domain::lease::Fence;
use wagate::domain::profile::Profile;
use wagate::engine::whatsapp::{Network, WhatsApp};
use wagate::engine::{Engine, EngineError, EngineEvent, EngineRun, RunId, RunSpec, Tagged};
use wagate::sandbox::{DeviceId, FaultKind, FaultSpec, SandboxHandle};

use super::House;

/// Longer than anything here takes on a busy machine; a test that waits for it has failed.
const DEADLINE: Duration = Duration::from_secs(30);

/// A gateway's engine, a network, and one instance.
pub(super) struct Scene {
    pub(super) house: House,
    pub(super) sandbox: SandboxHandle,
    engine: WhatsApp,
    pub(super) id: InstanceId,
    fence: Fence,
}

/// A run and what it says.
pub(super) struct Client {
    pub(super) run: Arc<dyn EngineRun>,
    events: mpsc::Receiver<Tagged>,
    id: RunId,
}

impl Scene {
    pub(super) async fn new() -> Self {
        let sandbox = crate::sandbox::start().await;
        let house = House::new().await;
        let (id, fence) = house.instance("7K2M9QX4T0AB").await;
        let engine = engine(&house, &sandbox.websocket_url(), Arc::new(SystemClock), Handle::current());
        Self { house, sandbox, engine, id, fence }
    }

    pub(super) async fn start(&self) -> Client {
        start(&self.engine, self.id, self.fence).await.unwrap()
    }

    /// Links the instance and leaves it connected.
    pub(super) async fn linked(&self) -> (Client, DeviceId, String) {
        let mut client = self.start().await;
        let phone = self.sandbox.add_phone(None, Some("Nadia")).unwrap();
        let (value, ..) = client.code().await;
        let device = self.sandbox.scan(&phone.number, &value).await.unwrap();
        let profile = client.connected().await;
        assert_eq!(profile.number, phone.number);
        (client, device, phone.number)
    }

    fn logins(&self, device: &DeviceId) -> u64 {
        crate::sandbox::view(&self.sandbox, device).logins
    }

    /// Everything of the instance in the database.
    async fn state(&self) -> Vec<Vec<u8>> {
        sqlx::query_scalar("SELECT scope || key || value FROM engine_state ORDER BY 1")
            .fetch_all(self.house.pool())
            .await
            .unwrap()
    }
}

impl Client {
    async fn next(&mut self) -> Option<EngineEvent> {
        let tagged = tokio::time::timeout(DEADLINE, self.events.recv()).await.expect("the client says something")?;
        assert_eq!(tagged.run_id, self.id);
        Some(tagged.event)
    }

    /// The next event that is not about the transport.
    async fn said(&mut self) -> EngineEvent {
        loop {
            match self.next().await.expect("the client is not done") {
                EngineEvent::TransportUp => {}
                event => return event,
            }
        }
    }

    pub(super) async fn code(&mut self) -> (String, chrono::DateTime<chrono::Utc>, u32) {
        match self.said().await {
            EngineEvent::QrCode { value, expires_at, attempt } => (value.expose().to_owned(), expires_at, attempt),
            event => panic!("a code was expected, not {event:?}"),
        }
    }

    /// Waits for the log-in; on the way to it the client says nothing but that the device was paired.
    async fn connected(&mut self) -> Profile {
        loop {
            match self.said().await {
                EngineEvent::Connected { profile } => return profile,
                EngineEvent::PairSuccess { .. } => {}
                event => panic!("a log-in was expected, not {event:?}"),
            }
        }
    }

    /// Ends the run, and fails if anything is said after that or was left unsaid before.
    pub(super) async fn stop(mut self) {
        tokio::time::timeout(DEADLINE, self.run.shutdown()).await.expect("the run ends");
        if let Some(event) = self.next().await {
            panic!("nothing was expected, not {event:?}");
        }
    }
}

fn engine(house: &House, url: &str, clock: Arc<dyn Clock>, runtime: Handle) -> WhatsApp {
    let config = config::Engine {
        connect_timeout: Duration::from_millis(500),
        request_timeout: Duration::from_secs(2),
        prekeys: 20,
        ..config::Config::defaults().engine
    };
    let network = Network::Sandbox(Url::parse(url).unwrap());
    let store = house.database.store().clone();
    WhatsApp::new(store, Arc::clone(&house.vault), &network, config, clock, runtime).unwrap()
}

async fn start(engine: &WhatsApp, id: InstanceId, fence: Fence) -> Result<Client, EngineError> {
    static RUNS: AtomicU64 = AtomicU64::new(1);
    let run_id = RunId(RUNS.fetch_add(1, Ordering::Relaxed));
    let (sender, events) = mpsc::channel(64);
    let run = engine.start(RunSpec { instance_id: id, fence, run_id }, sender).await?;
    assert_eq!(run.run_id(), run_id);
    Ok(Client { run, events, id: run_id })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_round_has_six_codes_and_then_ends() {
    let scene = Scene::new().await;
    scene.sandbox.set_rotation_factor(200.0);
    let mut client = scene.start().await;
    let mut values = Vec::new();
    for expected in 1..=6 {
        let (value, _, attempt) = client.code().await;
        assert_eq!(attempt, expected);
        assert!(!values.contains(&value));
        values.push(value);
    }
    match client.said().await {
        EngineEvent::QrCodesExhausted { disconnected } => assert!(disconnected),
        event => panic!("the end was expected, not {event:?}"),
    }
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_code_expires_when_the_client_rotates_it() {
    let scene = Scene::new().await;
    let before = SystemClock.now();
    let mut client = scene.start().await;
    let (value, expires_at, attempt) = client.code().await;
    let lives = expires_at - before;
    assert!(lives > TimeDelta::seconds(59) && lives < TimeDelta::seconds(65), "{lives}");
    assert_eq!(attempt, 1);
    assert_eq!(value.split(',').count(), 5);
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linked_instance_comes_back_without_a_scan() {
    let scene = Scene::new().await;
    let (client, device, number) = scene.linked().await;
    client.stop().await;
    assert_eq!(scene.engine.linked(scene.id).await.unwrap().unwrap().number, number);

    let mut client = scene.start().await;
    assert_eq!(client.connected().await.number, number);
    let view = crate::sandbox::view(&scene.sandbox, &device);
    assert_eq!((view.logins, view.live_sockets, view.most_live_sockets), (2, 1, 1));
    client.stop().await;

    // Nor does it matter that the process is another one.
    let engine = engine(&scene.house, &scene.sandbox.websocket_url(), Arc::new(SystemClock), Handle::current());
    let mut client = start(&engine, scene.id, scene.fence).await.unwrap();
    let profile = client.connected().await;
    assert_eq!(profile.push_name.as_deref(), Some("Nadia"));
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_was_shut_down_in_the_qr_phase_says_nothing_more() {
    let scene = Scene::new().await;
    scene.sandbox.set_rotation_factor(50.0);
    let mut client = scene.start().await;
    client.code().await;
    client.run.shutdown().await;
    // The queue is closed, not merely quiet: whoever could still write to it is gone.
    while let Some(event) = client.next().await {
        assert!(matches!(event, EngineEvent::QrCode { .. }), "{event:?}");
    }
}

#[tokio::test]
async fn the_tasks_of_a_run_live_on_the_given_runtime_and_end_with_it() {
    let scene = Scene::new().await;
    let main = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let url = scene.sandbox.websocket_url();
    let engine = engine(&scene.house, &url, Arc::new(SystemClock), main.handle().clone());
    let mut client = start(&engine, scene.id, scene.fence).await.unwrap();
    client.code().await;
    let alive = || main.metrics().num_alive_tasks();
    assert!(alive() > 3, "{}", alive());
    client.stop().await;
    // The socket's reader belongs to the transport and ends by itself once that is dropped.
    let deadline = tokio::time::Instant::now() + DEADLINE;
    while alive() > 0 {
        assert!(tokio::time::Instant::now() < deadline, "{} tasks are left", alive());
        tokio::task::yield_now().await;
    }
    main.shutdown_background();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn logging_out_unlinks_the_device_and_a_wipe_leaves_nothing() {
    let scene = Scene::new().await;
    let (mut client, _, _) = scene.linked().await;
    client.run.logout().await.unwrap();
    assert!(scene.sandbox.devices().is_empty());
    assert!(!scene.state().await.is_empty(), "a log-out deletes nothing here");
    assert!(matches!(client.said().await, EngineEvent::LoggedOut));
    client.stop().await;

    let wrapped = "SELECT wrapped FROM instance_key";
    let old_key: Vec<u8> = sqlx::query_scalar(wrapped).fetch_one(scene.house.pool()).await.unwrap();
    scene.engine.wipe(scene.id, scene.fence).await.unwrap();
    assert_eq!(scene.house.rows(scene.id).await, 0);
    let new_key: Vec<u8> = sqlx::query_scalar(wrapped).fetch_one(scene.house.pool()).await.unwrap();
    assert_ne!(old_key, new_key);
    assert_eq!(scene.engine.linked(scene.id).await.unwrap(), None);

    let mut client = scene.start().await;
    client.code().await;
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_out_that_nobody_answers_is_an_error_and_changes_nothing() {
    let scene = Scene::new().await;
    let (client, device, number) = scene.linked().await;
    scene.sandbox.add_fault(&FaultSpec::device(FaultKind::Silent, device));
    let error = client.run.logout().await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
    client.run.shutdown().await;
    assert_eq!(scene.engine.linked(scene.id).await.unwrap().unwrap().number, number);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_probe_tells_a_live_connection_from_a_deaf_one() {
    let scene = Scene::new().await;
    let (client, device, _) = scene.linked().await;
    client.run.probe().await.unwrap();
    let age = SystemClock.now() - client.run.last_data_received().unwrap();
    assert!(age < TimeDelta::seconds(10), "{age}");
    assert!(!client.run.is_saver_halted());
    scene.sandbox.add_fault(&FaultSpec::device(FaultKind::HalfOpen, device));
    let error = client.run.probe().await.unwrap_err();
    assert!(matches!(error, EngineError::Unreachable { .. }), "{error}");
    client.run.shutdown().await;
}

/// Brings a fault upon a connected client and gives what it says; then it must not come back by itself.
async fn struck_by(kind: FaultKind) -> EngineEvent {
    let scene = Scene::new().await;
    let (mut client, device, _) = scene.linked().await;
    scene.sandbox.add_fault(&FaultSpec::device(kind, device.clone()));
    let event = client.said().await;
    client.stop().await;
    if scene.sandbox.devices().iter().any(|view| view.device == device.to_string()) {
        assert_eq!(scene.logins(&device), 1);
    }
    event
}

/// As [`struck_by`], at the next log-in.
async fn met_by(kind: FaultKind) -> EngineEvent {
    let scene = Scene::new().await;
    let (client, device, _) = scene.linked().await;
    client.stop().await;
    scene.sandbox.add_fault(&FaultSpec::device(kind, device));
    let mut client = scene.start().await;
    let event = client.said().await;
    client.stop().await;
    event
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_connection_is_told_once_and_not_mended_by_the_client() {
    let event = struck_by(FaultKind::Drop).await;
    assert!(matches!(event, EngineEvent::Disconnected { .. }), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_removed_on_the_phone_is_logged_out() {
    let event = struck_by(FaultKind::Logout).await;
    assert!(matches!(event, EngineEvent::LoggedOut), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_device_that_another_connection_replaced_says_so() {
    let event = struck_by(FaultKind::Replace).await;
    assert!(matches!(event, EngineEvent::StreamReplaced), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_ban_comes_with_its_length() {
    let event = met_by(FaultKind::Ban).await;
    assert!(
        matches!(event, EngineEvent::TemporaryBan { expires_in } if expires_in > Duration::from_secs(1)),
        "{event:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_outdated_client_is_told_from_a_refused_one() {
    let event = met_by(FaultKind::Outdated).await;
    assert!(matches!(event, EngineEvent::ClientOutdated), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_locked_account_is_restricted_and_not_merely_logged_out() {
    let event = met_by(FaultKind::Restrict).await;
    assert!(matches!(&event, EngineEvent::Restricted { code } if code == "403"), "{event:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_connection_is_a_failed_one() {
    let scene = Scene::new().await;
    scene.sandbox.add_fault(&FaultSpec::everybody(FaultKind::Refuse));
    let mut client = scene.start().await;
    // Without a TransportUp before it.
    let event = client.next().await.unwrap();
    assert!(matches!(event, EngineEvent::ConnectFailed { .. }), "{event:?}");
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_never_answers_is_given_up_in_time() {
    let scene = Scene::new().await;
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/ws/chat", deaf.local_addr().unwrap());
    let engine = engine(&scene.house, &url, Arc::new(SystemClock), Handle::current());
    let mut client = start(&engine, scene.id, scene.fence).await.unwrap();
    match client.next().await.unwrap() {
        EngineEvent::ConnectFailed { cause } => assert!(cause.contains("no connection within"), "{cause}"),
        event => panic!("a failure was expected, not {event:?}"),
    }
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_owner_that_lost_its_lease_mid_run_writes_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.start().await;
    let phone = scene.sandbox.add_phone(None, None).unwrap();
    let (value, ..) = client.code().await;
    // The lease is taken in one go with the last write under it: what stands there now must stand.
    scene.house.lose_lease(scene.id).await;
    let before = scene.state().await;
    scene.sandbox.scan(&phone.number, &value).await.unwrap();
    let event = client.said().await;
    assert!(matches!(event, EngineEvent::PairSuccess { .. }), "{event:?}");
    client.run.shutdown().await;
    assert_eq!(scene.state().await, before);

    let refused = start(&scene.engine, scene.id, scene.fence).await.err().unwrap();
    assert!(matches!(refused, EngineError::LeaseLost), "{refused}");
    let refused = scene.engine.wipe(scene.id, scene.fence).await.unwrap_err();
    assert!(matches!(refused, EngineError::LeaseLost), "{refused}");
    assert_eq!(scene.state().await, before);
}
