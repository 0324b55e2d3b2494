//! What a poll for a code costs, and what drawing one costs.
//!
//! Two servers in one run, one worker each: the gateway's whole path of `/v2/auth/qr-image` (framing, credential, limits,
//! tenant, session, cached rendition) with its limits raised, and a bare actix handler that returns the same bytes. A few
//! keep-alive connections load one, then the other, in turns, so that whatever else the machine does meets both.
//!
//! `cargo bench --bench gateway --features sandbox`, with `DATABASE_URL` naming a migrated database, or any PostgreSQL
//! server in which one may be made.

#![expect(clippy::print_stdout, reason = "a bench reports")]

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::dev::Server;
use actix_web::web::{self, Data};
use actix_web::{App, HttpResponse, HttpServer};
use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::TimeDelta;
use rand::SeedableRng;
use rand::rngs::StdRng;
use secrecy::SecretBox;
use sqlx::postgres::PgPoolOptions;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;
use wagate::api::directory::Directory;
use wagate::api::sessions::{Readiness, Sending, Sessions};
use wagate::api::{self, ApiParts, ApiState};
use wagate::cluster::Owner;
use wagate::cluster::forward::Forwarder;
use wagate::cluster::passport::NodeSecret;
use wagate::config::Config;
use wagate::domain::account::AccountId;
use wagate::domain::chat_id::ChatId;
use wagate::domain::clock::{Clock, SystemClock};
use wagate::domain::contact::{ChatMark, NumberCheck};
use wagate::domain::group::{Change, Changed, Group};
use wagate::domain::instance::InstanceId;
use wagate::domain::link_code::LinkCode;
use wagate::domain::media_reference::MediaReference;
use wagate::domain::message_id::MessageId;
use wagate::domain::outgoing::{Pace, Target, Typing};
use wagate::domain::passkey::PasskeyAnswer;
use wagate::domain::phone_number::PhoneNumber;
use wagate::domain::qr_code::{QrCode, QrValue};
use wagate::domain::session::{SessionView, Status};
use wagate::domain::token::{Scope, Token, TokenKind};
use wagate::limit::Ticks;
use wagate::media::fetch::Fetcher;
use wagate::media::library::Library;
use wagate::media::spool::{Arriving, Spooled};
use wagate::outside::target::Guard;
use wagate::qr::{Matrix, render};
use wagate::store::account::{self, Account};
use wagate::store::instance::{self, Instance};
use wagate::store::outbound::Outbound;
use wagate::store::token::{self, Holder};
use wagate::store::vault::Vault;
use wagate::store::{MIGRATOR, Store, StoreError};
use wagate::supervisor::{
    DirectoryRefusal, FileRefusal, Kept, Letter, LogoutOutcome, PaceView, PasskeyRefusal, QrRefusal, SendRefusal,
    SupervisorError,
};
use wagate::webhook::sender::Sender;
use wagate::webhook::target::SystemNames;

const ROUNDS: usize = 7;
const CONNECTIONS: u32 = 16;
const REQUESTS_A_CONNECTION: u32 = 1_000;
const DRAWINGS: usize = 500;

/// One session with a code that outlives the run; nothing else is asked of it.
struct OneCode(Arc<QrCode>);

#[async_trait]
impl Directory for OneCode {
    async fn check_numbers(&self, _: InstanceId, _: &[PhoneNumber]) -> Result<Vec<NumberCheck>, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn profile_picture(&self, _: InstanceId, _: &ChatId) -> Result<Option<String>, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn mark_chat(&self, _: InstanceId, _: &ChatId, _: ChatMark) -> Result<(), DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn groups(&self, _: InstanceId) -> Result<Vec<Group>, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn group(&self, _: InstanceId, _: &ChatId) -> Result<Group, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn create_group(&self, _: InstanceId, _: &str, _: &[ChatId]) -> Result<Group, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn invite_code(&self, _: InstanceId, _: &ChatId) -> Result<String, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn revoke_invite_code(&self, _: InstanceId, _: &ChatId) -> Result<String, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn change_members(
        &self,
        _: InstanceId,
        _: &ChatId,
        _: Change,
        _: &[ChatId],
    ) -> Result<Vec<Changed>, DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }

    async fn leave_group(&self, _: InstanceId, _: &ChatId) -> Result<(), DirectoryRefusal> {
        Err(DirectoryRefusal::Failed)
    }
}

#[async_trait]
impl Sessions for OneCode {
    async fn qr(&self, _: InstanceId, _: Duration) -> Result<Arc<QrCode>, QrRefusal> {
        Ok(Arc::clone(&self.0))
    }

    async fn view(&self, _: InstanceId) -> Result<SessionView, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn views(&self, _: &[InstanceId]) -> Result<Vec<SessionView>, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn request_code(&self, _: InstanceId, _: PhoneNumber, _: Duration) -> Result<Arc<LinkCode>, QrRefusal> {
        Err(SupervisorError::NotFound.into())
    }

    async fn answer_passkey(&self, _: InstanceId, _: PasskeyAnswer) -> Result<SessionView, PasskeyRefusal> {
        Err(SupervisorError::NotFound.into())
    }

    fn watch(&self, _: InstanceId) -> Option<tokio::sync::watch::Receiver<SessionView>> {
        None
    }

    async fn start(&self, _: InstanceId) -> Result<SessionView, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn stop(&self, _: InstanceId) -> Result<SessionView, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn restart(&self, _: InstanceId) -> Result<SessionView, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn logout(&self, _: InstanceId, _: bool) -> Result<LogoutOutcome, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn delete(&self, _: InstanceId, _: bool) -> Result<LogoutOutcome, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn addresses(&self, _: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, SupervisorError> {
        Ok(vec![chat.clone()])
    }

    async fn wait_for(&self, _: InstanceId, _: &[Status], _: Duration) -> Result<SessionView, SupervisorError> {
        Err(SupervisorError::NotFound)
    }

    async fn download(&self, _: InstanceId, _: &MediaReference, _: Arriving) -> Result<Spooled, FileRefusal> {
        Err(FileRefusal::Gone)
    }

    async fn owner_of(&self, _: InstanceId) -> Result<Owner, StoreError> {
        Ok(Owner::Here)
    }

    fn forget_owner(&self, _: InstanceId) {}

    fn readiness(&self) -> Readiness {
        Readiness { lease: true, engine: true }
    }
}

#[async_trait]
impl Sending for OneCode {
    async fn send(&self, _: InstanceId, _: Letter, _: Option<Kept<'_>>) -> Result<Outbound, SendRefusal> {
        Err(SendRefusal::NotFound)
    }

    async fn retry(&self, _: InstanceId, _: &MessageId, _: TimeDelta) -> Result<Outbound, SendRefusal> {
        Err(SendRefusal::NotFound)
    }

    async fn message(&self, _: InstanceId, _: &MessageId) -> Result<Outbound, SendRefusal> {
        Err(SendRefusal::NotFound)
    }

    async fn mark_seen(&self, _: InstanceId, _: &ChatId, _: &[Target]) -> Result<(), SendRefusal> {
        Err(SendRefusal::Unreachable)
    }

    async fn show_typing(&self, _: InstanceId, _: &ChatId, _: Typing) -> Result<(), SendRefusal> {
        Err(SendRefusal::Unreachable)
    }

    async fn pace(&self, _: InstanceId) -> Result<PaceView, SendRefusal> {
        Err(SendRefusal::Unreachable)
    }

    async fn set_pace(&self, _: InstanceId, _: Pace) -> Result<PaceView, SendRefusal> {
        Err(SendRefusal::Unreachable)
    }
}

fn main() {
    wagate::app::install_crypto_provider();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime can be built");
    runtime.block_on(run());
}

async fn run() {
    let (microseconds, body_length) = cold_render();
    println!(
        "cold render       {microseconds:>9.1} µs median of {DRAWINGS}: matrix, PNG at scale 8, base64, body of {body_length} bytes"
    );

    let (gateway, key, body) = gateway().await;
    let bare = bare(body);
    let get =
        format!("GET /v2/auth/qr-image HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", key.expose());
    let post = format!(
        "POST /v2/auth/qr-image HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 2\r\n\r\n{{}}",
        key.expose()
    );
    for (name, request) in [("GET", get), ("POST", post)] {
        let (mut through, mut beside) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let (a, b) = (load(gateway, &request).await, load(bare, &request).await);
            // The first round warms both up.
            if round > 0 {
                through.push(a);
                beside.push(b);
            }
        }
        let (through, beside) = (median(through), median(beside));
        println!("qr-image, {name:<4}    {through:>9.0} requests/s through the gateway");
        println!("same bytes, {name:<4}  {beside:>9.0} requests/s from a bare handler");
        println!("ratio, {name:<4}       {:>9.2}", through / beside);
    }
}

/// Median microseconds and the length of the body.
fn cold_render() -> (f64, usize) {
    let mut length = 0;
    let times = (0..DRAWINGS).map(|number| {
        let value = value(number);
        let start = Instant::now();
        let png = render::png(&Matrix::encode(&value).expect("a code holds it"), render::DEFAULT_SCALE);
        let body = format!(r#"{{"qr":"data:image/png;base64,{}"}}"#, STANDARD.encode(png));
        let time = start.elapsed();
        length = length.max(std::hint::black_box(body).len());
        time.as_secs_f64() * 1e6
    });
    (median(times.collect()), length)
}

/// A value as WhatsApp gives it, 183 characters long.
fn value(seed: usize) -> String {
    let mut rng = StdRng::seed_from_u64(seed as u64);
    let mut part = |length: usize| {
        let mut bytes = vec![0; length];
        rand::Rng::fill_bytes(&mut rng, &mut bytes);
        STANDARD.encode(bytes)
    };
    format!("2@{},{},{},{},1", &part(33)[..44], part(32), part(32), part(32))
}

/// The gateway's address, a key, and the body it answers with.
async fn gateway() -> (SocketAddr, Token, Bytes) {
    let mut config = Config::defaults();
    config.limits.api_per_second = 1_000_000;
    config.limits.api_burst = 100_000_000;
    config.limits.qr_per_second = 1_000_000;
    config.limits.qr_burst = 100_000_000;
    let now = SystemClock.now();
    let mut rng = StdRng::seed_from_u64(u64::try_from(now.timestamp_micros()).unwrap_or_default());
    let url = std::env::var("DATABASE_URL").expect("DATABASE_URL names a database");
    let pool = PgPoolOptions::new().max_connections(4).connect(&url).await.expect("the database answers");
    MIGRATOR.run(&pool).await.expect("the migrations apply");
    let folder = tempfile::tempdir().expect("a folder is made");
    let vault = Arc::new(Vault::open(&config.vault, folder.path(), &pool).await.expect("the vault opens"));
    let store = Store::new(pool);
    let library = Library::open(&config.media, folder.path(), store.clone(), Arc::clone(&vault)).expect("it opens");
    let (key, id) = add_instance(&store, &mut rng).await;
    let code = Arc::new(QrCode::new(QrValue::new(value(0)), now + TimeDelta::hours(1), 1));
    let parts = ApiParts {
        config: &config,
        store,
        vault,
        fetcher: Fetcher::new(Guard::default(), library.spool().clone(), Arc::new(SystemNames))
            .expect("a client is built"),
        library: Arc::new(library),
        sessions: Arc::new(OneCode(code)),
        clock: Arc::new(SystemClock),
        ticks: Ticks::monotonic(),
        rng,
        forwarder: Forwarder::new(Duration::from_secs(1), NodeSecret::new(SecretBox::default()))
            .expect("a client is built"),
        webhooks: Sender::new(&config.webhook, Arc::new(SystemNames)).expect("a client is built"),
        server_name: "bench".into(),
        node: Arc::new(|| None),
        public_url: "http://127.0.0.1".into(),
    };
    let state = Data::new(ApiState::new(parts).expect("no proxies are trusted"));
    let address = serve(|listener| {
        HttpServer::new(move || App::new().configure(api::configure(&state)))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .expect("the listener is ours")
            .run()
    });
    let client = format!("GET /v2/auth/qr-image?instance_id={id}");
    let head = format!("{client} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {}\r\n\r\n", key.expose());
    let mut connection = TcpStream::connect(address).await.expect("it listens");
    let body = exchange(&mut connection, head.as_bytes(), &mut Vec::new()).await;
    (address, key, body)
}

async fn add_instance(store: &Store, rng: &mut StdRng) -> (Token, InstanceId) {
    let now = SystemClock.now();
    let account = AccountId(Uuid::new_v4());
    let id = InstanceId::generate(rng);
    let key = Token::generate(TokenKind::Instance, rng);
    let mut tx = store.begin().await.expect("the database answers");
    let owner = Account {
        id: account,
        name: "bench".into(),
        require_header_auth: false,
        allow_get_control: false,
        max_instances: None,
    };
    account::insert(&mut tx, &owner, now).await.expect("a fresh account");
    let (metadata, config) = (serde_json::json!({}), serde_json::json!({}));
    let instance = Instance { id, name: "bench".into(), metadata, config, created_at: now };
    instance::insert(&mut tx, account, &instance).await.expect("a fresh instance");
    let holder = Holder::Instance(account, id);
    token::insert(&mut tx, Uuid::new_v4(), &key, holder, &Scope::ALL, now, None).await.expect("a fresh token");
    tx.commit().await.expect("the database answers");
    (key, id)
}

/// The address of a handler that only answers, and reads a body as it must.
fn bare(body: Bytes) -> SocketAddr {
    serve(move |listener| {
        HttpServer::new(move || {
            let body = body.clone();
            App::new().default_service(web::to(move |_: Bytes| {
                let body = body.clone();
                async move { HttpResponse::Ok().insert_header(("content-type", "application/json")).body(body) }
            }))
        })
        .workers(1)
        .disable_signals()
        .listen(listener)
        .expect("the listener is ours")
        .run()
    })
}

fn serve(server: impl FnOnce(TcpListener) -> Server) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(server(listener));
    address
}

/// Requests a second that a fixed number of connections get through, one request at a time each.
async fn load(address: SocketAddr, request: &str) -> f64 {
    let request: Arc<[u8]> = Arc::from(request.as_bytes());
    let start = Instant::now();
    let connections: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let request = Arc::clone(&request);
            tokio::spawn(async move {
                let mut connection = TcpStream::connect(address).await.expect("it listens");
                connection.set_nodelay(true).expect("a socket takes the option");
                let mut buffer = Vec::with_capacity(16 * 1024);
                for _ in 0..REQUESTS_A_CONNECTION {
                    exchange(&mut connection, &request, &mut buffer).await;
                }
            })
        })
        .collect();
    for connection in connections {
        connection.await.expect("every request was answered");
    }
    f64::from(CONNECTIONS * REQUESTS_A_CONNECTION) / start.elapsed().as_secs_f64()
}

/// Sends a request and reads its whole answer, which must be a 200.
async fn exchange(connection: &mut TcpStream, request: &[u8], buffer: &mut Vec<u8>) -> Bytes {
    buffer.clear();
    connection.write_all(request).await.expect("the connection lives");
    loop {
        let read = connection.read_buf(buffer).await.expect("the connection lives");
        assert_ne!(read, 0, "the connection was closed");
        let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
        let head = std::str::from_utf8(&buffer[..end]).expect("a head is ASCII");
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        let length = head.split("content-length: ").nth(1).and_then(|rest| rest.split("\r\n").next());
        let length: usize = length.and_then(|length| length.parse().ok()).expect("a length is told");
        if buffer.len() >= end + 4 + length {
            return Bytes::copy_from_slice(&buffer[end + 4..end + 4 + length]);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
