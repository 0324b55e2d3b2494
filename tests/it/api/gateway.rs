//! A gateway on a port of its own, and clients of it.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use chrono::{DateTime, TimeZone, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use reqwest::header::HeaderMap;
use reqwest::{Method, StatusCode};
use secrecy::SecretBox;
use serde_json::{Value, json};
use uuid::Uuid;
use wagate::api::{self, ApiParts, ApiState};
use wagate::app;
use wagate::cluster::forward::Forwarder;
use wagate::cluster::passport::NodeSecret;
use wagate::config::Config;
use wagate::domain::account::AccountId;
use wagate::domain::clock::ManualClock;
use wagate::domain::instance::InstanceId;
use wagate::domain::token::{Scope, Token, TokenKind};
use wagate::limit::Ticks;
use wagate::media::fetch::Fetcher;
use wagate::media::library::Library;
use wagate::outside::target::Guard;
use wagate::store::account::{self, Account};
use wagate::store::token::{self, Holder};
use wagate::store::vault::Vault;
use wagate::web;
use wagate::webhook::sender::Sender;
use wagate::webhook::target::SystemNames;

use super::script::Script;
use crate::support::database::TestDatabase;

pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) database: TestDatabase,
    pub(crate) script: Arc<Script>,
    pub(crate) state: Data<ApiState>,
    pub(crate) clock: ManualClock,
    pub(crate) vault: Arc<Vault>,
    /// An account and its key.
    pub(crate) account: AccountId,
    pub(crate) key: Token,
    ticks: Arc<AtomicU64>,
    server: ServerHandle,
    client: reqwest::Client,
}

/// An answer, read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
}

/// A created instance.
pub(crate) struct Created {
    pub(crate) id: InstanceId,
    pub(crate) token: String,
}

impl Gateway {
    pub(crate) async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        // Another test of this process may have installed it.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let database = TestDatabase::fresh().await;
        let now = Utc.with_ymd_and_hms(2026, 11, 24, 21, 0, 0).unwrap();
        let clock = ManualClock::new(now);
        let script = Arc::new(Script::default());
        *script.now.lock() = now;
        let ticks = Arc::new(AtomicU64::new(0));
        let hand = Arc::clone(&ticks);
        let mut config = Config::defaults();
        configure(&mut config);
        let folder = tempfile::tempdir().unwrap();
        let vault = Arc::new(Vault::open(&config.vault, folder.path(), database.pool()).await.unwrap());
        let library =
            Library::open(&config.media, folder.path(), database.store().clone(), Arc::clone(&vault)).unwrap();
        let state = Data::new(
            ApiState::new(ApiParts {
                config: &config,
                store: database.store().clone(),
                fetcher: Fetcher::new(Guard::default(), library.spool().clone(), Arc::new(SystemNames))
                    .expect("a client is built"),
                library: Arc::new(library),
                vault: Arc::clone(&vault),
                sessions: script.clone(),
                clock: Arc::new(clock.clone()),
                ticks: Ticks::from_fn(move || Duration::from_millis(hand.load(Ordering::SeqCst))),
                rng: StdRng::seed_from_u64(7),
                forwarder: Forwarder::new(Duration::from_secs(30), NodeSecret::new(SecretBox::default())).unwrap(),
                webhooks: Sender::new(&config.webhook, Arc::new(SystemNames)).unwrap(),
                server_name: "node-1".into(),
                node: Arc::new(|| None),
                public_url: match config.server.public_url.as_str() {
                    "" => "https://wa.example.com".into(),
                    url => url.to_owned(),
                },
            })
            .unwrap()
            .with_pages(&web::routes()),
        );
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let served = state.clone();
        let server = api::serve(listener, &config.server, 1, move || app::configure_public(&served)).unwrap();
        let handle = server.handle();
        tokio::spawn(server);
        // What a browser is led to is a test's to see.
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
        let (account, key) = (AccountId(Uuid::from_u128(1)), key(TokenKind::Account, 1));
        let gateway =
            Self { address, database, script, state, clock, vault, account, key, ticks, server: handle, client };
        gateway.add_account(account, &gateway.key, |_| {}).await;
        gateway
    }

    pub(crate) async fn add_account(&self, id: AccountId, key: &Token, change: impl FnOnce(&mut Account)) {
        let mut account = Account {
            id,
            name: "shop".into(),
            require_header_auth: false,
            allow_get_control: false,
            max_instances: None,
        };
        change(&mut account);
        let mut conn = self.database.store().acquire().await.unwrap();
        account::insert(&mut conn, &account, self.now()).await.unwrap();
        drop(conn);
        self.add_token(key, Holder::Account(id), &[], None).await;
    }

    pub(crate) async fn add_token(
        &self,
        token: &Token,
        holder: Holder,
        scopes: &[Scope],
        expires_at: Option<DateTime<Utc>>,
    ) -> Uuid {
        let id = Uuid::new_v4();
        let mut conn = self.database.store().acquire().await.unwrap();
        token::insert(&mut conn, id, token, holder, scopes, self.now(), expires_at).await.unwrap();
        id
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        wagate::domain::clock::Clock::now(&self.clock)
    }

    /// Moves the limiters' time.
    pub(crate) fn advance_ticks(&self, by: Duration) {
        self.ticks.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        self.client.request(method, format!("http://{}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        Answer::of(self.request("GET", path).bearer_auth(token)).await
    }

    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        Answer::of(self.request("POST", path).bearer_auth(token).json(&body)).await
    }

    /// Creates an instance through the API, with the account's key.
    pub(crate) async fn create(&self) -> Created {
        self.create_with(self.key.expose()).await
    }

    pub(crate) async fn create_with(&self, key: &str) -> Created {
        let answer = self.post("/v2/session/create", key, json!({"name": "shop-7"})).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let created = answer.json();
        Created {
            id: InstanceId::parse(created["instance_id"].as_str().unwrap()).unwrap(),
            token: created["access_token"].as_str().unwrap().to_owned(),
        }
    }

    /// What the audit log holds: action, kind of token, address.
    pub(crate) async fn audit(&self) -> Vec<(String, String, String)> {
        sqlx::query_as("SELECT action, actor, address FROM audit_log ORDER BY id")
            .fetch_all(self.database.pool())
            .await
            .unwrap()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        // The request to stop is sent at once; nobody needs to see it done.
        drop(self.server.stop(false));
    }
}

impl Answer {
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        Self { status, headers, body: response.bytes().await.unwrap().to_vec() }
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {}", self.text()))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    /// Status and code of an error.
    pub(crate) fn error(&self) -> (u16, String) {
        (self.status.as_u16(), self.json()["code"].as_str().unwrap_or_default().to_owned())
    }
}

/// A token that only its seed decides.
pub(crate) fn key(kind: TokenKind, seed: u64) -> Token {
    Token::generate(kind, &mut StdRng::seed_from_u64(1_000 + seed))
}

/// Waits for a condition that another task brings about.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let deadline = std::time::Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(std::time::Instant::now() < deadline, "the condition came true in time");
        tokio::task::yield_now().await;
    }
}
