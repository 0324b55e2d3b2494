//! Server-Sent Events as a client takes them.

use std::collections::VecDeque;
use std::time::Duration;

use reqwest::{Response, StatusCode};
use serde_json::Value;
use tokio::time::timeout;

use super::wait::PATIENCE;

/// What a stream brought.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Frame {
    Event {
        id: i64,
        kind: String,
        data: Value,
    },
    /// Only where the client stands.
    Progress(i64),
    Heartbeat,
}

/// An open stream.
pub(crate) struct EventStream {
    response: Response,
    unread: Vec<u8>,
    frames: VecDeque<Frame>,
    /// The number that a client which is cut off now comes back with.
    pub(crate) last_id: Option<i64>,
    /// All that came, as it came.
    pub(crate) text: String,
}

impl EventStream {
    /// Takes an answer that must be a stream.
    pub(crate) async fn of(request: reqwest::RequestBuilder) -> Self {
        let response = request.header("accept", "text/event-stream").send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["connection"], "close");
        let mut stream =
            Self { response, unread: Vec::new(), frames: VecDeque::new(), last_id: None, text: String::new() };
        let first = stream.frame().await.expect("it tells where it begins");
        assert!(matches!(first, Frame::Progress(_)), "{first:?}");
        stream
    }

    /// The next frame; `None` if the stream has ended.
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
        loop {
            if let Some(frame) = self.frames.pop_front() {
                if let Frame::Event { id, .. } | Frame::Progress(id) = &frame {
                    self.last_id = Some(*id);
                }
                return Some(frame);
            }
            let chunk = timeout(PATIENCE, self.response.chunk()).await.expect("something comes in time");
            // A node that stops may cut the connection instead of ending the answer.
            let chunk = chunk.unwrap_or_default()?;
            self.unread.extend_from_slice(&chunk);
            while let Some(end) = self.unread.windows(2).position(|two| two == b"\n\n") {
                let frame: Vec<u8> = self.unread.drain(..end + 2).collect();
                let frame = String::from_utf8(frame).unwrap();
                self.frames.push_back(parse(&frame));
                self.text.push_str(&frame);
            }
        }
    }

    /// The next event: its number, kind and envelope. Silence in between is passed over.
    pub(crate) async fn event(&mut self) -> (i64, String, Value) {
        loop {
            match self.frame().await.expect("the stream goes on") {
                Frame::Event { id, kind, data } => return (id, kind, data),
                Frame::Progress(_) | Frame::Heartbeat => {}
            }
        }
    }

    /// Everything up to and with the first event that is `wanted`.
    pub(crate) async fn until(&mut self, wanted: impl Fn(&str, &Value) -> bool) -> Vec<(i64, String, Value)> {
        let mut events = Vec::new();
        loop {
            let event = self.event().await;
            let found = wanted(&event.1, &event.2);
            events.push(event);
            if found {
                return events;
            }
        }
    }

    /// Reads to the end, which must come within `patience`; the events until then.
    pub(crate) async fn ends_within(mut self, patience: Duration) -> Vec<(i64, String, Value)> {
        let rest = async {
            let mut events = Vec::new();
            while let Some(frame) = self.frame().await {
                if let Frame::Event { id, kind, data } = frame {
                    events.push((id, kind, data));
                }
            }
            events
        };
        timeout(patience, rest).await.unwrap_or_else(|_| panic!("the stream goes on after {patience:?}"))
    }
}

fn parse(frame: &str) -> Frame {
    let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
    let id = field("id").map(|id| id.parse().unwrap());
    match (id, field("event"), field("data")) {
        (Some(id), Some(kind), Some(data)) => {
            Frame::Event { id, kind: kind.to_owned(), data: serde_json::from_str(data).unwrap() }
        }
        (Some(id), None, None) => Frame::Progress(id),
        (None, None, None) if frame.starts_with(':') => Frame::Heartbeat,
        other => panic!("{other:?} in {frame:?}"),
    }
}
