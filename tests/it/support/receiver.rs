//! A receiver of webhooks that answers as a test wants it.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::wait::until;

/// A request as it came.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) path: String,
    pub(crate) headers: HashMap<String, String>,
    pub(crate) body: Vec<u8>,
}

impl Received {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn seq(&self) -> i64 {
        self.json()["seq"].as_i64().unwrap()
    }
}

/// What a receiver does with a request.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// It answers.
    Status(u16),
    /// It answers with a header.
    With(u16, &'static str),
    /// It never answers.
    Hang,
    /// It answers 200 and never ends its body.
    SlowBody,
    /// It answers 200 and a megabyte.
    HugeBody,
}

type Script = Box<dyn FnMut(&Received) -> Reply + Send>;

/// A server on a port of its own.
pub(crate) struct Receiver {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
    _accepting: AbortOnDropHandle<()>,
}

struct Shared {
    received: Mutex<Vec<Received>>,
    script: Mutex<Script>,
    connections: Mutex<usize>,
}

impl Receiver {
    /// One that answers 200.
    pub(crate) async fn start() -> Self {
        Self::scripted(|_| Reply::Status(200)).await
    }

    pub(crate) async fn scripted(script: impl FnMut(&Received) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            received: Mutex::default(),
            script: Mutex::new(Box::new(script)),
            connections: Mutex::new(0),
        });
        let serving = Arc::clone(&shared);
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                *serving.connections.lock() += 1;
                connections.spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { address, shared, _accepting: AbortOnDropHandle::new(accepting) }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/hook?key=1", self.address)
    }

    /// From now on it answers so.
    pub(crate) fn answer(&self, script: impl FnMut(&Received) -> Reply + Send + 'static) {
        *self.shared.script.lock() = Box::new(script);
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().clone()
    }

    pub(crate) fn connections(&self) -> usize {
        *self.shared.connections.lock()
    }

    /// The numbers of the events that came, in the order in which they came.
    pub(crate) fn seqs(&self) -> Vec<i64> {
        self.received().iter().map(Received::seq).collect()
    }

    /// Waits until so many requests have come.
    pub(crate) async fn has(&self, count: usize) -> Vec<Received> {
        until(&format!("{count} requests came"), || async {
            let received = self.received();
            (received.len() >= count).then_some(received)
        })
        .await
    }
}

async fn serve(mut stream: TcpStream, shared: Arc<Shared>) {
    let mut buffer = Vec::new();
    while let Some(received) = read(&mut stream, &mut buffer).await {
        let reply = (shared.script.lock())(&received);
        shared.received.lock().push(received);
        let answer = match reply {
            Reply::Status(status) => format!("HTTP/1.1 {status} X\r\nContent-Length: 2\r\n\r\nok"),
            Reply::With(status, header) => format!("HTTP/1.1 {status} X\r\n{header}\r\nContent-Length: 0\r\n\r\n"),
            Reply::Hang => return std::future::pending().await,
            Reply::SlowBody => {
                let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nslow").await;
                return std::future::pending().await;
            }
            Reply::HugeBody => {
                let body = "x".repeat(1024 * 1024);
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            }
        };
        if stream.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<Received> {
    let end = loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, buffer).await?;
    };
    let head = String::from_utf8(buffer[..end].to_vec()).unwrap();
    let mut lines = head.lines();
    let path = lines.next()?.split(' ').nth(1)?.to_owned();
    let headers: HashMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length: usize = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    while buffer.len() < end + length {
        more(stream, buffer).await?;
    }
    let body = buffer[end..end + length].to_vec();
    buffer.drain(..end + length);
    Some(Received { path, headers, body })
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> Option<()> {
    let mut chunk = [0; 4096];
    match tokio::time::timeout(Duration::from_mins(2), stream.read(&mut chunk)).await {
        Ok(Ok(read @ 1..)) => {
            buffer.extend_from_slice(&chunk[..read]);
            Some(())
        }
        Ok(_) | Err(_) => None,
    }
}
