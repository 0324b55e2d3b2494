//! What strangers and broken clients send: bytes that no HTTP library would, through a real socket.

mod bodies;
mod connections;
mod echo;
mod heads;
mod logs;
#[cfg(feature = "sandbox")]
mod slow;
mod strangers;

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// How long an answer may take on a slow, busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A harmless request that asks for the connection to be closed after it.
const LAST: &[u8] = b"GET /health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Sends bytes and reads until the gateway closes the connection.
async fn exchange(address: SocketAddr, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    // A gateway that has refused already may reset the connection under what is still being written.
    let _ = connection.write_all(bytes).await;
    read_to_close(&mut connection).await
}

/// Everything until the connection is closed; a reset closes it too.
async fn read_to_close(connection: &mut (impl AsyncRead + Unpin)) -> String {
    let mut answer = Vec::new();
    let reading = async {
        let mut buffer = [0; 8192];
        while let Ok(read) = connection.read(&mut buffer).await
            && read > 0
        {
            answer.extend_from_slice(&buffer[..read]);
        }
    };
    let closed = timeout(PATIENCE, reading).await.is_ok();
    let text = String::from_utf8_lossy(&answer).into_owned();
    assert!(closed, "the connection was left open after {text:?}");
    text
}

/// The statuses of all answers in what a connection brought.
fn statuses(text: &str) -> Vec<u16> {
    let answers = text.split("HTTP/1.1 ").skip(1);
    answers.map(|answer| answer[..3].parse().unwrap_or_else(|_| panic!("no status in {text:?}"))).collect()
}
