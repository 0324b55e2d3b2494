//! Server-Sent Events as they are written (HTML Living Standard, 9.2.5).

use bytes::Bytes;
use serde::Serialize;

/// Some frames that are sent together.
#[derive(Debug, Default)]
pub(in crate::api) struct Frames(Vec<u8>);

impl Frames {
    /// An event; a client that comes back names the `id` of the last one it took. `kind` must be one line.
    pub(in crate::api) fn event(&mut self, id: i64, kind: &str, data: &impl Serialize) {
        self.0.extend_from_slice(format!("id: {id}\nevent: {kind}\ndata: ").as_bytes());
        // Compact JSON has no line breaks but escaped ones.
        serde_json::to_writer(&mut self.0, data).expect("our documents have no keys but text");
        self.0.extend_from_slice(b"\n\n");
    }

    /// An event that no client comes back to.
    pub(in crate::api) fn passing(&mut self, kind: &str, data: &impl Serialize) {
        self.0.extend_from_slice(format!("event: {kind}\ndata: ").as_bytes());
        serde_json::to_writer(&mut self.0, data).expect("our documents have no keys but text");
        self.0.extend_from_slice(b"\n\n");
    }

    /// Where the client stands, without an event: what lies before it was none that it wants.
    pub(in crate::api) fn progress(&mut self, id: i64) {
        self.0.extend_from_slice(format!("id: {id}\n\n").as_bytes());
    }

    /// How long a client waits before it comes back.
    pub(in crate::api) fn retry(&mut self, milliseconds: u32) {
        self.0.extend_from_slice(format!("retry: {milliseconds}\n").as_bytes());
    }

    /// A line that every client passes over, and that proves the connection to both sides.
    pub(in crate::api) fn heartbeat(&mut self) {
        self.0.extend_from_slice(b":\n\n");
    }

    /// Whether there are any.
    pub(in crate::api) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Frames> for Bytes {
    fn from(frames: Frames) -> Self {
        frames.0.into()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_break_in_an_event_is_no_line_break_of_the_stream() {
        let mut frames = Frames::default();
        frames.retry(2_000);
        frames.progress(16);
        frames.event(17, "message", &json!({ "body": "one\ntwo\r\u{2028}" }));
        frames.heartbeat();
        let expected =
            "retry: 2000\nid: 16\n\nid: 17\nevent: message\ndata: {\"body\":\"one\\ntwo\\r\u{2028}\"}\n\n:\n\n";
        assert_eq!(Bytes::from(frames), expected);
    }
}
