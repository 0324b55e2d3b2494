//! What an instance's outbox shares with those who send: a bell, who waits for what, and the pace.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use sqlx::PgConnection;
use tokio::sync::{Notify, oneshot};

use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Ledger, Over, Pace};
use crate::store::StoreError;
use crate::store::outbound::pace;

/// Lives as long as the instance's actor.
#[derive(Debug, Default)]
pub(super) struct Mail {
    bell: Notify,
    waiting: Mutex<Waiting>,
    /// Read from the database when the first message is accepted. Whoever accepts one holds it until the message is
    /// committed: moments are given in the order of the queue.
    pacing: tokio::sync::Mutex<Option<Pacing>>,
}

#[derive(Debug, Default)]
struct Waiting {
    next: u64,
    by_id: HashMap<MessageId, Vec<(u64, oneshot::Sender<()>)>>,
}

/// How fast the instance may send, and how fast it did.
#[derive(Debug)]
pub(super) struct Pacing {
    pub(super) pace: Pace,
    pub(super) ledger: Ledger,
}

/// The right to accept a message.
pub(super) type Turn<'a> = tokio::sync::MutexGuard<'a, Option<Pacing>>;

/// A message whose fate is waited for; given up when dropped.
#[derive(Debug)]
pub(super) struct Awaited<'a> {
    mail: &'a Mail,
    id: MessageId,
    number: u64,
    settled: oneshot::Receiver<()>,
}

impl Mail {
    /// There is something to send.
    pub(super) fn ring(&self) {
        self.bell.notify_one();
    }

    /// Completes when it was rung since the last time.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Begins to wait for what becomes of a message.
    pub(super) fn expect(&self, id: &MessageId) -> Awaited<'_> {
        let (sender, settled) = oneshot::channel();
        let mut waiting = self.waiting.lock();
        waiting.next += 1;
        let number = waiting.next;
        waiting.by_id.entry(id.clone()).or_default().push((number, sender));
        Awaited { mail: self, id: id.clone(), number, settled }
    }

    /// A message was sent, or will not be, or nobody knows.
    pub(super) fn settle(&self, id: &MessageId) {
        for (_, sender) in self.waiting.lock().by_id.remove(id).unwrap_or_default() {
            // Whoever waited has just given up.
            let _ = sender.send(());
        }
    }

    /// Waits for the turn to accept a message.
    pub(super) async fn turn(&self) -> Turn<'_> {
        self.pacing.lock().await
    }
}

impl Pacing {
    /// The instance's pace and its past.
    pub(super) async fn read(conn: &mut PgConnection, id: InstanceId, default: Pace) -> Result<Self, StoreError> {
        let pace = pace::read(conn, id).await?.unwrap_or(default);
        let ledger = pace::ledger(conn, id, &pace).await?;
        Ok(Self { pace, ledger })
    }

    /// The moment of the next message; `Err` with the first free one if it is not `now` and `over` does not let it wait.
    pub(super) fn moment(&self, over: Option<Over>, now: DateTime<Utc>) -> Result<DateTime<Utc>, DateTime<Utc>> {
        let at = self.ledger.next(&self.pace, now);
        match over.unwrap_or(self.pace.over) {
            Over::Refuse if at > now => Err(at),
            Over::Refuse | Over::Queue => Ok(at),
        }
    }
}

impl Awaited<'_> {
    /// Completes when the message is settled.
    pub(super) async fn settled(&mut self) {
        // The sender lives in the mail, which outlives this.
        let _ = (&mut self.settled).await;
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        let mut waiting = self.mail.waiting.lock();
        if let Some(others) = waiting.by_id.get_mut(&self.id) {
            others.retain(|(number, _)| *number != self.number);
            if others.is_empty() {
                waiting.by_id.remove(&self.id);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn everybody_who_waits_for_a_message_learns_that_it_is_settled() {
        let mail = Mail::default();
        let id = MessageId::parse("3EB0").unwrap();
        let (mut one, mut two) = (mail.expect(&id), mail.expect(&id));
        drop(mail.expect(&id));
        mail.settle(&id);
        one.settled().await;
        two.settled().await;
        drop((one, two));
        assert!(mail.waiting.lock().by_id.is_empty());
    }
}
