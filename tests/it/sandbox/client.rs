//! A real client on an in-memory store, and the events it told.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::mpsc;
use wacore::iq::keepalive::KeepaliveSpec;
use wacore::net::{HttpClient, HttpRequest, HttpResponse};
use wacore::store::in_memory::InMemoryBackend;
use wacore::types::events::{ConnectFailureReason, Event, EventKind, InboundMessage};
use wacore::types::message::MessageCategory;
use wacore::types::presence::ReceiptType;
use whatsapp_rust::TokioRuntime;
use whatsapp_rust::bot::{Bot, BotHandle, EventDelivery};
use whatsapp_rust::transport::TokioWebSocketTransportFactory;

/// No event that a test waits for may take longer; a client's own pauses are 10 s and more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(8);

/// What the tests care about in an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    Code(String),
    Exhausted,
    Paired,
    PairError,
    Connected,
    Disconnected,
    LoggedOut { on_connect: bool },
    Locked,
    Replaced,
    Banned { seconds: i64 },
    Outdated,
    Other(EventKind),
}

/// What a client heard from others, in order.
#[derive(Debug, Clone)]
pub(crate) enum Heard {
    Message(InboundMessage),
    Receipt { ids: Vec<String>, kind: ReceiptType },
    Ack { id: String, error: Option<String> },
    Unreadable,
    Typing { from: String, state: String },
    Presence { from: String, available: bool },
    Group { group: String },
}

/// The device's store: it outlives its clients.
#[derive(Clone, Default)]
pub(crate) struct Store(Arc<InMemoryBackend>);

/// A running client.
pub(crate) struct Client {
    handle: BotHandle,
    events: mpsc::UnboundedReceiver<Told>,
    heard: mpsc::UnboundedReceiver<Heard>,
}

/// Reaches the media server of a sandbox, without its TLS, and nothing beyond this host.
struct MediaHttp;

#[async_trait]
impl HttpClient for MediaHttp {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let Some(rest) = request.url.strip_prefix("https://127.0.0.1:") else {
            anyhow::bail!("no test reaches the internet");
        };
        let url = format!("http://127.0.0.1:{rest}");
        let http = crate::support::network::http();
        let mut call = if request.method == "POST" { http.post(url) } else { http.get(url) };
        for (name, value) in &request.headers {
            call = call.header(name, value);
        }
        if let Some(body) = request.body {
            call = call.body(body);
        }
        let response = call.send().await?;
        let status_code = response.status().as_u16();
        Ok(HttpResponse { status_code, body: response.bytes().await?.to_vec() })
    }
}

impl Store {
    /// Starts a client of this device.
    pub(crate) async fn start(&self, websocket_url: &str) -> Client {
        let (sender, events) = mpsc::unbounded_channel();
        let (hear, heard) = mpsc::unbounded_channel();
        let bot = Bot::builder()
            .with_backend_arc(self.0.clone())
            .with_transport_factory(TokioWebSocketTransportFactory::new().with_url(websocket_url))
            .with_http_client(MediaHttp)
            .with_runtime(TokioRuntime)
            .with_version((2, 3000, 1_023_456_789))
            .with_wanted_pre_key_count(5)
            .skip_history_sync()
            .with_event_delivery(EventDelivery::Ordered { capacity: 4096 })
            .on_event(move |event, _client| {
                for said in heard_in(&event) {
                    let _ = hear.send(said);
                }
                let _ = sender.send(told(&event));
                async {}
            })
            .build()
            .await
            .unwrap();
        Client { handle: bot.spawn(), events, heard }
    }
}

fn heard_in(event: &Event) -> Vec<Heard> {
    match event {
        Event::Messages(batch) => batch.messages.iter().cloned().map(Heard::Message).collect(),
        Event::Receipt(receipt) => vec![Heard::Receipt {
            ids: receipt.message_ids.iter().map(ToString::to_string).collect(),
            kind: receipt.r#type.clone(),
        }],
        Event::ServerAck(ack) if ack.class.as_deref() == Some("message") => {
            vec![Heard::Ack { id: ack.id.clone(), error: ack.error.clone() }]
        }
        Event::UndecryptableMessage(_) => vec![Heard::Unreadable],
        Event::ChatPresence(typing) => {
            vec![Heard::Typing { from: typing.source.sender.to_string(), state: format!("{:?}", typing.state) }]
        }
        Event::Presence(presence) => {
            vec![Heard::Presence { from: presence.from.to_string(), available: !presence.unavailable }]
        }
        Event::GroupUpdate(update) => {
            vec![Heard::Group { group: update.group_jid.to_string() }]
        }
        _ => Vec::new(),
    }
}

fn told(event: &Event) -> Told {
    match event {
        Event::PairingQrCode(code) => Told::Code(code.code.clone()),
        Event::PairingQrCodesExhausted(_) => Told::Exhausted,
        Event::PairSuccess(_) => Told::Paired,
        Event::PairError(_) => Told::PairError,
        Event::Connected(_) => Told::Connected,
        Event::Disconnected(_) => Told::Disconnected,
        Event::LoggedOut(logged_out) if logged_out.reason == ConnectFailureReason::AccountLocked => Told::Locked,
        Event::LoggedOut(logged_out) => Told::LoggedOut { on_connect: logged_out.on_connect },
        Event::StreamReplaced(_) => Told::Replaced,
        Event::TemporaryBan(ban) => Told::Banned { seconds: ban.expire.num_seconds() },
        Event::ClientOutdated(_) => Told::Outdated,
        other => Told::Other(other.kind()),
    }
}

impl Client {
    /// Waits for the first event that `pick` picks, and throws those before it away.
    pub(crate) async fn wait<T>(&mut self, what: &str, mut pick: impl FnMut(&Told) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let waiting = async {
            while let Some(told) = self.events.recv().await {
                if let Some(picked) = pick(&told) {
                    return Some(picked);
                }
                passed.push(told);
            }
            None
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Some(picked)) => picked,
            Ok(None) => panic!("the client ended before {what}; it told {passed:?}"),
            Err(elapsed) => panic!("no {what}: {elapsed} ({PATIENCE:?}); the client told {passed:?}"),
        }
    }

    /// Waits for exactly this event.
    pub(crate) async fn wait_for(&mut self, expected: Told) {
        self.wait(&format!("{expected:?}"), |told| (*told == expected).then_some(())).await;
    }

    /// Waits for the next code.
    pub(crate) async fn code(&mut self) -> String {
        self.wait("code", |told| match told {
            Told::Code(code) => Some(code.clone()),
            _ => None,
        })
        .await
    }

    /// Waits for the first thing heard that `pick` picks, and throws those before it away.
    pub(crate) async fn hear<T>(&mut self, what: &str, mut pick: impl FnMut(&Heard) -> Option<T>) -> T {
        let mut passed = Vec::new();
        let waiting = async {
            while let Some(heard) = self.heard.recv().await {
                if let Some(picked) = pick(&heard) {
                    return Some(picked);
                }
                passed.push(heard);
            }
            None
        };
        match tokio::time::timeout(PATIENCE, waiting).await {
            Ok(Some(picked)) => picked,
            Ok(None) => panic!("the client ended before {what}; it heard {passed:?}"),
            Err(elapsed) => panic!("no {what}: {elapsed} ({PATIENCE:?}); the client heard {passed:?}"),
        }
    }

    /// Waits for the next message that somebody wrote; what an account's own devices tell each other is none.
    pub(crate) async fn message(&mut self) -> InboundMessage {
        self.hear("message", |heard| match heard {
            Heard::Message(message) if message.info.category != MessageCategory::Peer => Some(message.clone()),
            _ => None,
        })
        .await
    }

    /// What was heard and not yet waited for.
    pub(crate) fn heard_so_far(&mut self) -> Vec<Heard> {
        std::iter::from_fn(|| self.heard.try_recv().ok()).collect()
    }

    /// Every event told and not yet waited for.
    pub(crate) fn told_so_far(&mut self) -> Vec<Told> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }

    /// Whether the server answers a sign of life within a moment.
    pub(crate) async fn is_answered(&self) -> bool {
        let client = self.inner();
        let probe = client.execute(KeepaliveSpec::with_timeout(PATIENCE));
        matches!(tokio::time::timeout(Duration::from_millis(300), probe).await, Ok(Ok(())))
    }

    /// The client itself.
    pub(crate) fn inner(&self) -> Arc<whatsapp_rust::Client> {
        self.handle.client()
    }

    /// Ends it properly.
    pub(crate) async fn stop(self) {
        self.handle.shutdown().await;
    }
}
