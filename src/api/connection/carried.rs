//! Answers that go on, carried by the connection itself once actix has written their head.
//!
//! For as long as actix writes an answer it holds 16 KiB of buffers and the state of its parser for the next request, and
//! an open page would cost mostly that. A stream of events is the last answer of its connection (`Connection: close`, so
//! that its end is the connection's), and what is left to do is to pass on what its body says and to see the client go.

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::ResponseHead;
use actix_web::http::header::CONTENT_TYPE;
use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// What nobody has to say on a connection whose last request is made; who says more is not heard out.
const IGNORED: usize = 16 * 1024;

/// Whether an answer is a stream of events.
pub(super) fn goes_on(head: &ResponseHead, body: &BoxBody) -> bool {
    body.size() == BodySize::Stream && head.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream")
}

/// Passes a body on until it ends, or its client goes, or takes nothing for as long as `stall`.
pub(super) async fn carry(socket: &TcpStream, mut body: BoxBody, stall: Duration) {
    let mut ignored = 0;
    loop {
        let part = tokio::select! {
            biased;
            read = ignore(socket) => {
                ignored += read;
                if read == 0 || ignored > IGNORED {
                    return;
                }
                continue;
            }
            part = next(&mut body) => part,
        };
        let Some(Ok(bytes)) = part else { return };
        if send(socket, &bytes, stall).await.is_err() {
            return;
        }
    }
}

async fn next(body: &mut BoxBody) -> Option<Result<Bytes, Box<dyn Error>>> {
    poll_fn(|cx| Pin::new(&mut *body).poll_next(cx)).await
}

/// Reads something that is not looked at; nothing once the client has closed its side.
async fn ignore(socket: &TcpStream) -> usize {
    loop {
        if socket.readable().await.is_err() {
            return 0;
        }
        match socket.try_read(&mut [0; 256]) {
            Ok(read) => return read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return 0,
        }
    }
}

async fn send(socket: &TcpStream, mut bytes: &[u8], stall: Duration) -> io::Result<()> {
    while !bytes.is_empty() {
        match socket.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                // Boxed: few clients are slow, and a future has room for all it may ever wait for.
                Box::pin(timeout(stall, socket.writable())).await??;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use actix_web::body::BodyStream;
    use futures_util::stream;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    const STALL: Duration = Duration::from_secs(30);

    async fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        (listener.accept().await.unwrap().0, client)
    }

    /// A body that says this, and then nothing more without ending.
    fn says(parts: Vec<Bytes>) -> BoxBody {
        let parts = stream::iter(parts.into_iter().map(Ok::<_, Infallible>));
        BoxBody::new(BodyStream::new(futures_util::StreamExt::chain(parts, stream::pending())))
    }

    #[tokio::test]
    async fn all_of_a_body_arrives_and_its_end_ends_the_answer() {
        let (socket, mut client) = pair().await;
        let long = Bytes::from(vec![7; 8 * 1024 * 1024]);
        let parts = stream::iter([Ok::<_, Infallible>(long.clone()), Ok(Bytes::from_static(b"end"))]);
        let body = BoxBody::new(BodyStream::new(parts));
        let carried = async {
            carry(&socket, body, STALL).await;
            drop(socket);
        };
        let mut arrived = Vec::new();
        let (read, ()) = tokio::join!(client.read_to_end(&mut arrived), carried);
        assert_eq!(read.unwrap(), long.len() + 3);
        assert_eq!((&arrived[..long.len()], &arrived[long.len()..]), (&long[..], &b"end"[..]));
    }

    #[tokio::test]
    async fn what_a_client_says_meanwhile_is_ignored_and_its_going_ends_the_answer() {
        let (socket, mut client) = pair().await;
        let saying = async {
            client.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
            let mut word = [0; 5];
            client.read_exact(&mut word).await.unwrap();
            assert_eq!(&word, b"hello");
            client.shutdown().await.unwrap();
        };
        tokio::join!(carry(&socket, says(vec![Bytes::from_static(b"hello")]), STALL), saying);
    }

    #[tokio::test]
    async fn who_goes_on_talking_is_not_heard_out() {
        let (socket, mut client) = pair().await;
        let talking = async {
            // It may be reset before all is said.
            let _ = client.write_all(&vec![0; 2 * IGNORED]).await;
        };
        tokio::join!(carry(&socket, says(Vec::new()), STALL), talking);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_is_given_up() {
        let (socket, _client) = pair().await;
        let parts = vec![Bytes::from(vec![0; 1024 * 1024]); 64];
        let begun = tokio::time::Instant::now();
        carry(&socket, says(parts), STALL).await;
        assert!(begun.elapsed() >= STALL);
    }
}
