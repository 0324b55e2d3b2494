//! One client's connection: how long either side may wait for the other, when nothing more is read, and how it ends.
//!
//! actix leaves four ways open to hold a connection without using it (read in actix-http 3.20, `h1/dispatcher.rs`):
//!
//! - It times the head of the first request only. A connection that has brought one and then begins another, a byte now
//!   and then, is open for as long as its client likes.
//! - A body that was given up is read on to its end, if it comes in chunks; one of a known length for a second, however
//!   much comes in it.
//! - Whoever takes nothing of an answer that is written bit by bit is waited for without end; but who takes a long one
//!   slowly is cut off, because the time for the next request runs from when it was put into a buffer.
//! - A connection that it refused for a head out of form it drops at once. If bytes are unread then, the system resets
//!   the connection, and a client that was still sending never sees why.
//!
//! So the socket is wrapped: to actix, [`Guarded`] reads as ended once its time is up or its answer says that the
//! connection closes. And the socket outlives actix's use of it, to carry an answer that goes on ([`carried`]), and to be
//! closed as RFC 9112 §9.6 asks: our side first, then what the client still sends is thrown away for a moment, and then
//! the rest.

mod carried;

use std::cell::{Cell, RefCell};
use std::convert::Infallible;
use std::io;
use std::mem;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use actix_http::ConnectionType;
use actix_web::body::{BodySize, BodyStream, BoxBody, MessageBody};
use actix_web::dev::ResponseHead;
use bytes::Bytes;
use futures_util::stream;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

/// How long a connection may be idle between two requests.
const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// How long a client may take nothing of an answer.
const STALL: Duration = Duration::from_secs(30);

/// How long a client has to take the last answer in and close its side.
const LINGER: Duration = Duration::from_secs(2);

/// How much of what it sends meanwhile is thrown away. Whatever is more stays in the system's buffers, where it stops
/// the client.
const DISCARDED: usize = 256 * 1024;

/// What the parts of a connection share: its socket, its requests, and who closes it. They are all of one thread.
#[derive(Clone)]
pub(super) struct Connection(Rc<Shared>);

struct Shared {
    head_timeout: Duration,
    phase: Cell<Phase>,
    /// Whether the client has not taken what was last to be written.
    stalled: Cell<bool>,
    /// When the client must have done what is waited for.
    deadline: Cell<Option<Instant>>,
    /// Whether it reads as ended.
    ended: Cell<bool>,
    /// Whether the client has closed its side.
    left: Cell<bool>,
    /// Who waits for bytes.
    reader: RefCell<Option<Waker>>,
    /// The socket, once actix has let go of it.
    socket: Cell<Option<TcpStream>>,
    /// The body of the last answer, if it goes on after that.
    body: Cell<Option<BoxBody>>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// A request is under way, or the first is awaited, which actix times.
    Request,
    /// Nothing has come of the next request.
    Idle,
    /// The next head has begun.
    Head,
}

impl Connection {
    /// Takes charge of a socket.
    pub(super) fn open(socket: TcpStream, head_timeout: Duration) -> (Self, Guarded) {
        let connection = Self(Rc::new(Shared {
            head_timeout,
            phase: Cell::new(Phase::Request),
            stalled: Cell::new(false),
            deadline: Cell::new(None),
            ended: Cell::new(false),
            left: Cell::new(false),
            reader: RefCell::new(None),
            socket: Cell::new(None),
            body: Cell::new(None),
        }));
        let guarded = Guarded { socket: Some(socket), timer: None, connection: connection.clone() };
        (connection, guarded)
    }

    /// A head is complete: its request is under way until its answer's body is dropped.
    pub(super) fn request(&self) -> UnderWay {
        self.enter(Phase::Request, None);
        UnderWay(self.clone())
    }

    /// Carries an answer that goes on after actix has written its head.
    pub(super) async fn carry(&self) {
        let Some(body) = self.0.body.take() else { return };
        let Some(socket) = self.0.socket.take() else { return };
        carried::carry(&socket, body, STALL).await;
        self.0.socket.set(Some(socket));
    }

    /// Closes the connection, after actix is done with it.
    pub(super) async fn close(self) {
        let Some(mut socket) = self.0.socket.take() else { return };
        if self.0.left.get() || socket.shutdown().await.is_err() {
            return;
        }
        let deadline = Instant::now() + LINGER;
        let mut discarded = 0;
        let mut buffer = vec![0; 4096];
        while discarded < DISCARDED {
            match timeout_at(deadline, socket.read(&mut buffer)).await {
                Ok(Ok(read)) if read > 0 => discarded += read,
                _ => return,
            }
        }
        sleep_until(deadline).await;
    }

    fn enter(&self, phase: Phase, patience: Option<Duration>) {
        self.0.phase.set(phase);
        // While an answer is stalled that is what is waited for.
        if !self.0.stalled.get() {
            self.0.deadline.set(patience.map(|patience| Instant::now() + patience));
        }
    }

    /// Nothing more is read: what comes is no request.
    fn end(&self) {
        self.0.ended.set(true);
        if let Some(reader) = self.0.reader.take() {
            reader.wake();
        }
    }

    /// The first byte of a head begins its time.
    fn read_some(&self) {
        match self.0.phase.get() {
            Phase::Idle => self.enter(Phase::Head, Some(self.0.head_timeout)),
            Phase::Request | Phase::Head => {}
        }
    }

    fn wrote_nothing(&self) {
        if !self.0.stalled.replace(true) {
            self.0.deadline.set(Some(Instant::now() + STALL));
        }
    }

    /// A long answer may still be on its way when its request is done: the time for the next head runs from its end.
    fn wrote_some(&self) {
        let stalled = self.0.stalled.replace(false);
        match self.0.phase.get() {
            Phase::Request if stalled => self.0.deadline.set(None),
            Phase::Request => {}
            Phase::Idle | Phase::Head => self.enter(Phase::Idle, Some(KEEP_ALIVE)),
        }
    }
}

/// A request under way.
pub(super) struct UnderWay(Connection);

impl UnderWay {
    /// The body of its answer, as far as actix is concerned.
    pub(super) fn answered(self, head: &mut ResponseHead, mut body: BoxBody) -> Answer {
        if carried::goes_on(head, &body) {
            head.set_connection_type(ConnectionType::Close);
            head.no_chunking(true);
            let nothing = BodyStream::new(stream::empty::<Result<Bytes, Infallible>>());
            self.0.0.body.set(Some(mem::replace(&mut body, BoxBody::new(nothing))));
        }
        if head.connection_type() == ConnectionType::Close {
            self.0.end();
        }
        Answer { body, _under_way: self }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle, Some(KEEP_ALIVE));
    }
}

/// The body of an answer; its end is the end of its request.
pub(super) struct Answer {
    body: BoxBody,
    _under_way: UnderWay,
}

impl MessageBody for Answer {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

/// The socket as actix reads and writes it.
pub(super) struct Guarded {
    /// Until it is dropped.
    socket: Option<TcpStream>,
    /// Rings at the deadline or before, and then sees whether it has moved: most move with every request.
    timer: Option<Pin<Box<Sleep>>>,
    connection: Connection,
}

impl Guarded {
    pub(super) fn connection(&self) -> Connection {
        self.connection.clone()
    }

    fn socket(&mut self) -> Pin<&mut TcpStream> {
        Pin::new(self.socket.as_mut().expect("it is taken only by the drop"))
    }

    /// Whether the client is late; if not, the task is woken when it is.
    fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(deadline) = self.connection.0.deadline.get() {
            let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
            if timer.deadline() > deadline || timer.is_elapsed() {
                timer.as_mut().reset(deadline);
            }
            ready!(timer.as_mut().poll(cx));
            if deadline <= Instant::now() {
                return Poll::Ready(());
            }
        }
        Poll::Pending
    }
}

impl AsyncRead for Guarded {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.connection.0.ended.get() {
            return Poll::Ready(Ok(()));
        }
        // Before the bytes: who sends without a pause can be late too.
        if self.poll_late(cx).is_ready() {
            self.connection.0.ended.set(true);
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        let Poll::Ready(outcome) = self.socket().poll_read(cx, buffer) else {
            self.connection.0.reader.replace(Some(cx.waker().clone()));
            return Poll::Pending;
        };
        outcome?;
        if buffer.filled().len() > before {
            self.connection.read_some();
        } else {
            self.connection.0.left.set(true);
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = self.socket().poll_write(cx, bytes) {
            self.connection.wrote_some();
            return Poll::Ready(written);
        }
        self.connection.wrote_nothing();
        self.poll_late(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Every answer is flushed after it was written, and nothing else would set the timer of a client that is silent.
        if self.poll_late(cx).is_ready() {
            self.connection.end();
        }
        self.socket().poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // It is closed once actix has let go of it.
        Poll::Ready(Ok(()))
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.connection.0.socket.set(self.socket.take());
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    const HEAD: Duration = Duration::from_secs(15);

    /// A connection, and its client.
    async fn pair() -> (Connection, Guarded, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (connection, guarded) = Connection::open(listener.accept().await.unwrap().0, HEAD);
        (connection, guarded, client)
    }

    fn patience(connection: &Connection) -> Option<Duration> {
        connection.0.deadline.get().map(|deadline| deadline - Instant::now())
    }

    #[tokio::test(start_paused = true)]
    async fn each_side_has_its_time_for_what_is_its_turn() {
        let (connection, _guarded, _client) = pair().await;
        assert_eq!(patience(&connection), None, "actix times the first head");
        let request = connection.request();
        connection.read_some();
        assert_eq!(patience(&connection), None, "a body is timed by who reads it");
        drop(request);
        assert_eq!(patience(&connection), Some(KEEP_ALIVE));
        connection.read_some();
        assert_eq!(patience(&connection), Some(HEAD));
        tokio::time::advance(Duration::from_secs(1)).await;
        connection.read_some();
        assert_eq!(patience(&connection), HEAD.checked_sub(Duration::from_secs(1)), "a second byte wins no time");
        drop(connection.request());
        assert_eq!(patience(&connection), Some(KEEP_ALIVE));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_a_long_answer_slowly_is_waited_for_as_long_as_something_is_taken() {
        let (connection, _guarded, _client) = pair().await;
        drop(connection.request());
        for _ in 0..10 {
            connection.wrote_nothing();
            assert_eq!(patience(&connection), Some(STALL));
            tokio::time::advance(STALL / 2).await;
            connection.wrote_nothing();
            connection.read_some();
            assert_eq!(patience(&connection), Some(STALL / 2), "only what is taken counts");
            connection.wrote_some();
            assert_eq!(patience(&connection), Some(KEEP_ALIVE));
        }
        let stream = connection.request();
        connection.wrote_nothing();
        assert_eq!(patience(&connection), Some(STALL), "also of one that is still being made");
        connection.wrote_some();
        assert_eq!(patience(&connection), None);
        drop(stream);
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_nothing_of_an_answer_is_given_up() {
        let (connection, mut guarded, _client) = pair().await;
        let _stream = connection.request();
        let part = vec![0; 64 * 1024];
        let refused = loop {
            if let Err(error) = guarded.write_all(&part).await {
                break error;
            }
        };
        assert_eq!(refused.kind(), io::ErrorKind::TimedOut);
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_late_with_a_head_reads_as_gone() {
        let (connection, mut guarded, mut client) = pair().await;
        drop(connection.request());
        client.write_all(b"GET /").await.unwrap();
        let mut read = Vec::new();
        guarded.read_to_end(&mut read).await.unwrap();
        assert_eq!(read, b"GET /");
        assert!(connection.0.ended.get() && !connection.0.left.get());
    }
}
