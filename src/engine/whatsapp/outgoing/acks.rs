//! Who waits for WhatsApp's acknowledgement of which message.

use std::collections::HashMap;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::domain::message_id::MessageId;

/// WhatsApp's answer to a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::engine::whatsapp) struct Ack {
    /// The code of a refusal.
    pub(in crate::engine::whatsapp) error: Option<String>,
    /// When, by WhatsApp's clock.
    pub(in crate::engine::whatsapp) at: Option<DateTime<Utc>>,
}

/// Those who wait. Nobody waits on a run that has ended.
#[derive(Debug, Default)]
pub(in crate::engine::whatsapp) struct Acks {
    waiting: Arc<Mutex<Waiting>>,
}

#[derive(Debug, Default)]
struct Waiting {
    closed: bool,
    by_id: HashMap<String, oneshot::Sender<Ack>>,
}

/// An acknowledgement that is waited for; given up when dropped.
#[derive(Debug)]
pub(in crate::engine::whatsapp) struct Awaited {
    id: String,
    waiting: Arc<Mutex<Waiting>>,
    answer: oneshot::Receiver<Ack>,
}

impl Acks {
    /// Begins to wait.
    pub(in crate::engine::whatsapp) fn expect(&self, id: &MessageId) -> Awaited {
        let (sender, answer) = oneshot::channel();
        let id = id.to_string();
        let mut waiting = self.waiting.lock();
        if !waiting.closed {
            waiting.by_id.insert(id.clone(), sender);
        }
        Awaited { id, waiting: Arc::clone(&self.waiting), answer }
    }

    /// An answer came. One that nobody waits for, a second one for example, is passed by.
    pub(in crate::engine::whatsapp) fn came(&self, id: &str, ack: Ack) {
        if let Some(sender) = self.waiting.lock().by_id.remove(id) {
            // Whoever waited has just given up.
            let _ = sender.send(ack);
        }
    }

    /// None will come any more.
    pub(in crate::engine::whatsapp) fn close(&self) {
        let mut waiting = self.waiting.lock();
        waiting.closed = true;
        waiting.by_id.clear();
    }
}

impl Awaited {
    /// The answer; `None` if none will come.
    pub(in crate::engine::whatsapp) async fn wait(mut self) -> Option<Ack> {
        (&mut self.answer).await.ok()
    }
}

impl Drop for Awaited {
    fn drop(&mut self) {
        self.waiting.lock().by_id.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> MessageId {
        MessageId::parse(text).unwrap()
    }

    const TAKEN: Ack = Ack { error: None, at: None };

    #[tokio::test]
    async fn each_answer_reaches_whoever_waits_for_it_once() {
        let acks = Acks::default();
        let (one, two) = (acks.expect(&id("ONE")), acks.expect(&id("TWO")));
        acks.came("TWO", Ack { error: Some("463".into()), at: None });
        acks.came("ONE", TAKEN);
        acks.came("ONE", Ack { error: Some("500".into()), at: None });
        assert_eq!(one.wait().await, Some(TAKEN));
        assert_eq!(two.wait().await.unwrap().error.as_deref(), Some("463"));
    }

    #[tokio::test]
    async fn nobody_waits_when_none_can_come() {
        let acks = Acks::default();
        let before = acks.expect(&id("ONE"));
        acks.close();
        assert_eq!(before.wait().await, None);
        assert_eq!(acks.expect(&id("TWO")).wait().await, None);
    }

    #[test]
    fn who_gives_up_leaves_nothing_behind() {
        let acks = Acks::default();
        drop(acks.expect(&id("ONE")));
        assert!(acks.waiting.lock().by_id.is_empty());
    }
}
