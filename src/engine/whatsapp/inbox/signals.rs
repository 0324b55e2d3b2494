//! What does not pass the durability hook: receipts, presence, calls, changes of groups, and messages that nobody could
//! read.
//!
//! The library acknowledges these by itself, before or while it tells them, so a crash, or a database that is away until
//! the run has ended, loses what stands in the queue. They are written by the same hands as messages, many at once.

use std::sync::{Arc, Weak};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use wacore::types::events::{DecryptFailMode, Event, UnavailableType, UndecryptableMessage};
use whatsapp_rust::Client;

use crate::domain::event::Draft;
use crate::engine::whatsapp::backend::{Missing, as_unreadable};
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
    missing: Option<mpsc::Receiver<Missing>>,
    unreadable: Vec<(DateTime<Utc>, UndecryptableMessage)>,
}

impl Signals {
    pub(in crate::engine::whatsapp) fn new(
        inbox: Arc<Inbox>,
        client: &Arc<Client>,
        queue: mpsc::Receiver<Arc<Event>>,
    ) -> Self {
        let missing = inbox.backend.missing();
        Self { inbox, client: Arc::downgrade(client), queue, missing, unreadable: Vec::new() }
    }

    /// Runs until there is nothing more to hear; `written` is cancelled when the last of it is stored.
    pub(in crate::engine::whatsapp) async fn run(mut self, written: CancellationToken) {
        let _written = written.drop_guard();
        let mut heard = Vec::new();
        loop {
            let due = self.unreadable.first().map(|(due, _)| *due);
            let clock = Arc::clone(&self.inbox.clock);
            let (mut lost, mut is_over) = (None, false);
            tokio::select! {
                count = self.queue.recv_many(&mut heard, BATCH) => is_over = count == 0,
                missing = next(&mut self.missing) => lost = Some(missing),
                () = until(due, &*clock) => {}
            }
            let Some(client) = self.client.upgrade() else { return };
            if let Some(missing) = lost {
                self.ask_for(&client, &missing).await;
            }
            let mut drafts = Vec::new();
            for event in heard.drain(..) {
                match &*event {
                    Event::UndecryptableMessage(message) => self.wait_for(message),
                    event => drafts.extend(self.inbox.notice(&client, event).await),
                }
            }
            let mut entries: Vec<Entry> = drafts.into_iter().map(|draft| entry(None, draft)).collect();
            for message in self.overdue(is_over) {
                entries.extend(self.lost(&client, &message).await);
            }
            if self.write(&client, entries).await == Err(NotKept::LeaseLost) || is_over {
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

    async fn ask_for(&mut self, client: &Arc<Client>, missing: &Missing) {
        if let Some(info) = self.inbox.ask_for(client, missing).await {
            let message = UndecryptableMessage::builder()
                .info(Arc::new(info))
                .is_unavailable(false)
                .unavailable_type(UnavailableType::Unknown)
                .decrypt_fail_mode(DecryptFailMode::Show);
            self.wait_for(&message.build());
        }
    }

    fn wait_for(&mut self, message: &UndecryptableMessage) {
        // What is hidden when it fails is an addition to a message, and the phone shows nothing of it either.
        if is_told(&message.info) && message.decrypt_fail_mode == DecryptFailMode::Show {
            debug!(instance.id = %self.inbox.id, "a message could not be decrypted and was asked for again");
            self.unreadable.push((self.inbox.clock.now() + GRACE, message.clone()));
        }
    }

    /// Those that are waited for no longer; all of them when nobody will be there to wait.
    fn overdue(&mut self, all: bool) -> Vec<UndecryptableMessage> {
        if all {
            return self.unreadable.drain(..).map(|(_, message)| message).collect();
        }
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
        Some(entry(Some([as_unreadable(&chat), sender, id]), draft))
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

async fn next(missing: &mut Option<mpsc::Receiver<Missing>>) -> Missing {
    if let Some(queue) = missing
        && let Some(missing) = queue.recv().await
    {
        return missing;
    }
    std::future::pending().await
}

async fn until(due: Option<DateTime<Utc>>, clock: &dyn crate::domain::clock::Clock) {
    match due {
        Some(due) => clock.sleep_until(due).await,
        None => std::future::pending().await,
    }
}
