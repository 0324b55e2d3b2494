//! What does not pass the durability hook: receipts, presence, calls, changes of groups, and messages that nobody could
//! read.
//!
//! The library acknowledges these by itself, before or while it tells them, so a crash, or a database that is away until
//! the run has ended, loses what stands in the queue. They are written by the same hands as messages, many at once.

use std::sync::{Arc, Weak};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tracing::{debug, warn};
use wacore::types::events::{DecryptFailMode, Event, UnavailableType, UndecryptableMessage};
use whatsapp_rust::Client;

use crate::domain::event::Draft;
use crate::store::StoreError;
use crate::store::event::{self, Incoming};

use super::message::{is_told, key, unreadable};
use super::{Entry, Inbox, NotKept};

/// Signals that may wait. Beyond it they are dropped: a receipt that nobody learns of costs less than a client that
/// hears nothing.
pub(in crate::engine::whatsapp) const QUEUE: usize = 1024;

/// So many are written at once.
const BATCH: usize = 256;

/// A message that cannot be read is asked for again by the library; it is told as lost when it has not come by then.
const GRACE: TimeDelta = TimeDelta::seconds(30);

/// So many unreadable messages are waited for; the oldest is told at once when another comes.
const UNREADABLE: usize = 256;

/// A pause before signals that could not be stored are stored again.
const RETRY: TimeDelta = TimeDelta::seconds(1);

/// Writes one run's signals.
pub(in crate::engine::whatsapp) struct Signals {
    inbox: Arc<Inbox>,
    client: Weak<Client>,
    queue: mpsc::Receiver<Arc<Event>>,
    unreadable: Vec<(DateTime<Utc>, UndecryptableMessage)>,
}

impl Signals {
    pub(in crate::engine::whatsapp) fn new(
        inbox: Arc<Inbox>,
        client: &Arc<Client>,
        queue: mpsc::Receiver<Arc<Event>>,
    ) -> Self {
        Self { inbox, client: Arc::downgrade(client), queue, unreadable: Vec::new() }
    }

    /// Runs as long as the run does.
    pub(in crate::engine::whatsapp) async fn run(mut self) {
        let mut heard = Vec::new();
        loop {
            let due = self.unreadable.first().map(|(due, _)| *due);
            let clock = Arc::clone(&self.inbox.clock);
            tokio::select! {
                count = self.queue.recv_many(&mut heard, BATCH) => if count == 0 { return },
                () = until(due, &*clock) => {}
            }
            let Some(client) = self.client.upgrade() else { return };
            let mut drafts = Vec::new();
            for event in heard.drain(..) {
                match &*event {
                    Event::UndecryptableMessage(message) => self.wait_for(message),
                    event => drafts.extend(self.inbox.notice(&client, event).await),
                }
            }
            let mut entries: Vec<Entry> = drafts.into_iter().map(|draft| entry(None, draft)).collect();
            for message in self.overdue() {
                entries.extend(self.lost(&client, &message).await);
            }
            if self.write(&client, entries).await == Err(NotKept::LeaseLost) {
                return;
            }
        }
    }

    async fn write(&self, client: &Client, entries: Vec<Entry>) -> Result<(), NotKept> {
        let mut drafts: Vec<Incoming> = entries.into_iter().map(|entry| entry.incoming).collect();
        while !drafts.is_empty() {
            let entries = drafts.iter().cloned().map(|incoming| Entry { incoming, references: vec![], pending: None });
            match self.inbox.write(client, entries.collect()).await {
                Ok(()) => drafts.clear(),
                Err(NotKept::LeaseLost) => return Err(NotKept::LeaseLost),
                Err(NotKept::Failed | NotKept::Interrupted) => {
                    let clock = &self.inbox.clock;
                    clock.sleep_until(clock.now() + RETRY).await;
                }
            }
        }
        Ok(())
    }

    fn wait_for(&mut self, message: &UndecryptableMessage) {
        // What is hidden when it fails is an addition to a message, and the phone shows nothing of it either.
        if is_told(&message.info) && message.decrypt_fail_mode == DecryptFailMode::Show {
            debug!(instance.id = %self.inbox.id, "a message could not be decrypted and was asked for again");
            self.unreadable.push((self.inbox.clock.now() + GRACE, message.clone()));
        }
    }

    fn overdue(&mut self) -> Vec<UndecryptableMessage> {
        let now = self.inbox.clock.now();
        let too_many = self.unreadable.len().saturating_sub(UNREADABLE);
        let due = self.unreadable.iter().take_while(|(due, _)| *due <= now).count();
        self.unreadable.drain(..due.max(too_many)).map(|(_, message)| message).collect()
    }

    /// What is told of a message that never became readable; nothing if it did meanwhile.
    async fn lost(&self, client: &Client, message: &UndecryptableMessage) -> Option<Entry> {
        let [chat, sender, id] = key(&message.info);
        match self.is_seen(&[&chat, &sender, &id]).await {
            Ok(true) => return None,
            Ok(false) => {}
            // Told twice is better than not at all.
            Err(error) => {
                let error = &error as &dyn std::error::Error;
                warn!(instance.id = %self.inbox.id, error, "whether a message has come after all could not be read");
            }
        }
        let is_view_once = message.unavailable_type == UnavailableType::ViewOnce;
        let draft = unreadable(client, &message.info, is_view_once).await;
        // A key of its own: the message itself may yet come, and is then told.
        Some(entry(Some([format!("unreadable {chat}"), sender, id]), draft))
    }

    async fn is_seen(&self, key: &[&str; 3]) -> Result<bool, StoreError> {
        let inbox = &self.inbox;
        let mut conn = inbox.store.acquire().await?;
        event::is_seen(&mut conn, &inbox.cipher, inbox.id, key).await
    }
}

fn entry(key: Option<[String; 3]>, draft: Draft) -> Entry {
    Entry { incoming: Incoming { key, drafts: vec![draft] }, references: Vec::new(), pending: None }
}

async fn until(due: Option<DateTime<Utc>>, clock: &dyn crate::domain::clock::Clock) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
