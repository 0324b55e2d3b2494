//! The one port of the sandbox: `/ws/chat` is the network, everything else its control API.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_websockets::ServerBuilder;
use tracing::{debug, warn};

use super::connection::Connection;
use super::control::Control;
use super::fault::FaultKind;
use super::network::Network;

/// How the request of a client of the network begins.
const CHAT: &[u8] = b"GET /ws/chat";
/// A client that has not said what it wants by then is cut off.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// After a failed accept (no file descriptors left, say), a pause.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The task that accepts connections.
pub(super) struct Listener {
    pub(super) tcp: TcpListener,
    pub(super) local_addr: SocketAddr,
    pub(super) network: Arc<Network>,
    pub(super) tracker: TaskTracker,
}

impl Listener {
    /// Accepts connections until `token` is cancelled.
    pub(super) async fn run(self, token: CancellationToken) {
        while let Some(accepted) = token.run_until_cancelled(self.tcp.accept()).await {
            match accepted {
                Ok((stream, _)) => {
                    let control = Control::new(Arc::clone(&self.network), self.local_addr);
                    let serve = serve(stream, Arc::clone(&self.network), control, token.clone());
                    self.tracker.spawn(serve);
                }
                Err(error) => {
                    warn!(error = &error as &dyn std::error::Error, "the sandbox could not accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

async fn serve(stream: TcpStream, network: Arc<Network>, control: Control, token: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let head = tokio::time::timeout(HEAD_TIMEOUT, is_chat(&stream));
    match token.run_until_cancelled(head).await {
        Some(Ok(Ok(true))) => serve_chat(stream, network, token).await,
        Some(Ok(Ok(false))) => serve_control(stream, control, token).await,
        Some(Ok(Err(_)) | Err(_)) | None => {}
    }
}

/// Looks at the first bytes of a request without taking them.
async fn is_chat(stream: &TcpStream) -> std::io::Result<bool> {
    let mut head = [0; CHAT.len()];
    loop {
        let seen = stream.peek(&mut head).await?;
        if seen == 0 || !CHAT.starts_with(&head[..seen]) {
            return Ok(false);
        }
        if seen == CHAT.len() {
            return Ok(true);
        }
        // The head came in pieces, and the first stays readable: there is no event to wait for.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn serve_chat(mut stream: TcpStream, network: Arc<Network>, token: CancellationToken) {
    if let Some(strike) = network.strike_stranger(&[FaultKind::Refuse, FaultKind::HalfOpen]) {
        if strike.kind == FaultKind::Refuse {
            let refusal = b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            let _ = stream.write_all(refusal).await;
            return;
        }
        // Half open: accepted and left alone while the fault lasts.
        let mut faults = network.faults_changed.subscribe();
        while network.is_fault_active(strike.id) {
            let changed = async {
                match strike.until {
                    Some(until) => network.clock.sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = token.cancelled() => return,
                _ = faults.changed() => {}
                () = changed => {}
            }
        }
    }
    match token.run_until_cancelled(ServerBuilder::new().accept(stream)).await {
        Some(Ok((_, socket))) => Connection::new(network, &token).run(socket).await,
        Some(Err(error)) => debug!(error = &error as &dyn std::error::Error, "a WebSocket could not be opened"),
        None => {}
    }
}

async fn serve_control(stream: TcpStream, control: Control, token: CancellationToken) {
    let control = Arc::new(control);
    let service = service_fn(move |request| {
        let control = Arc::clone(&control);
        async move { Ok::<_, std::convert::Infallible>(control.answer(request).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Some(Err(error)) = token.run_until_cancelled(connection).await {
        debug!(error = &error as &dyn std::error::Error, "a control connection broke");
    }
}
