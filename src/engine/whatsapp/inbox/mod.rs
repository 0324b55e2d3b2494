//! From the wire to the log: what came in is committed before WhatsApp is told that we have it.
//!
//! The library decrypts a message, stores a copy, and awaits [`InboundDurabilityHook::on_messages`]; only then does it
//! acknowledge. So one transaction here says it all: the message is new, here is its event, here is where its file lies,
//! and the copy is not needed any more. Whatever fails leaves the message unacknowledged, and the run ends, because
//! WhatsApp sends it again on the next connection and not before.
//!
//! Chats are read at the same time, and each of their messages would want a transaction of its own. Instead they stand
//! in line: whoever comes to write takes everything in the line along. A chat's messages come one after the other, so
//! their order holds.

mod content;
mod media;
mod message;
mod missing;
mod notice;
mod people;
mod signals;
mod vote;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::oneshot;
use tracing::warn;
use wacore::types::events::InboundMessage;
use whatsapp_rust::{Client, InboundDurabilityHook};

use crate::domain::clock::Clock;
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::domain::receipt::Level;
use crate::store::event::{self, EventError, Incoming, TakenIn};
use crate::store::message_reference::{self, Kept};
use crate::store::vault::InstanceCipher;
use crate::store::{Store, StoreError, outbound};

use super::backend::{Backend, PendingKey};
use super::{listener, outgoing};

pub(super) use signals::{QUEUE as SIGNALS, Signals};

/// Why something was not written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum NotKept {
    /// The instance is another node's.
    #[error("the lease of the instance belongs to another owner")]
    LeaseLost,
    /// The database failed.
    #[error("what came in could not be stored")]
    Failed,
    /// The run ended meanwhile.
    #[error("the run ended before what came in was stored")]
    Interrupted,
}

/// What is to be written of one message, or of something else that happened.
struct Entry {
    incoming: Incoming,
    references: Vec<Kept>,
    /// The copy that the library stored, not needed once this is written.
    pending: Option<PendingKey>,
}

/// Entries in the line, and whoever waits for them.
struct Waiting {
    entries: Vec<Entry>,
    me: Value,
    written: oneshot::Sender<Result<(), NotKept>>,
}

/// Writes what comes in over one run.
pub(super) struct Inbox {
    id: InstanceId,
    fence: Fence,
    store: Store,
    cipher: InstanceCipher,
    clock: Arc<dyn Clock>,
    backend: Arc<Backend>,
    /// Stands in for a push name that is not known yet, and is never told as one.
    placeholder_name: String,
    line: Mutex<Vec<Waiting>>,
    turn: tokio::sync::Mutex<()>,
}

impl Inbox {
    pub(super) fn new(
        (id, fence): (InstanceId, Fence),
        store: Store,
        cipher: InstanceCipher,
        clock: Arc<dyn Clock>,
        backend: Arc<Backend>,
        placeholder_name: String,
    ) -> Arc<Self> {
        let (line, turn) = (Mutex::default(), tokio::sync::Mutex::default());
        Arc::new(Self { id, fence, store, cipher, clock, backend, placeholder_name, line, turn })
    }

    /// Writes entries, together with whatever else stands in line, and waits until they are committed.
    async fn write(&self, client: &Client, entries: Vec<Entry>) -> Result<(), NotKept> {
        let (written, mut outcome) = oneshot::channel();
        let one = Waiting { entries, me: self.me(client), written };
        self.line.lock().push(one);
        let _turn = self.turn.lock().await;
        if let Ok(outcome) = outcome.try_recv() {
            return outcome;
        }
        let (mut batch, mut waiting, mut me) = (Vec::new(), Vec::new(), Value::Null);
        let line = std::mem::take(&mut *self.line.lock());
        for one in line {
            batch.extend(one.entries);
            waiting.push(one.written);
            me = one.me;
        }
        let result = self.commit(client, batch, &me).await;
        for written in waiting {
            // Whoever does not wait any more is told nothing.
            let _ = written.send(result);
        }
        // Nothing of ours in the line: whoever took it along was dropped before it was written.
        outcome.try_recv().unwrap_or(Err(NotKept::Interrupted))
    }

    async fn commit(&self, client: &Client, batch: Vec<Entry>, me: &Value) -> Result<(), NotKept> {
        let committed = self.try_commit(client, batch, me).await;
        match committed {
            Ok(taken) => {
                if let Some(last) = taken.last {
                    self.store.logged(self.id, last, taken.kinds);
                }
                Ok(())
            }
            Err(Failure::LeaseLost) => Err(NotKept::LeaseLost),
            Err(Failure::Event(error)) => {
                warn!(
                    instance.id = %self.id,
                    error = &error as &dyn std::error::Error,
                    "what came in could not be stored; WhatsApp will send it again"
                );
                Err(NotKept::Failed)
            }
        }
    }

    async fn try_commit(&self, client: &Client, batch: Vec<Entry>, me: &Value) -> Result<TakenIn, Failure> {
        let reached = reached(batch.iter().map(|entry| &entry.incoming));
        let (mut incoming, mut references, mut pending) = (Vec::new(), Vec::new(), Vec::new());
        for entry in self.settled(client, &reached).await?.into_iter().chain(batch) {
            incoming.push(entry.incoming);
            references.push(entry.references);
            pending.extend(entry.pending);
        }
        let owned = (self.id, self.fence);
        let mut tx = self.store.begin().await?;
        let taken = event::take_in(&mut tx, &self.cipher, owned, me, &mut incoming, self.clock.now()).await?;
        let taken = taken.ok_or(Failure::LeaseLost)?;
        let fresh: Vec<Kept> = taken.fresh.iter().flat_map(|place| std::mem::take(&mut references[*place])).collect();
        message_reference::keep(&mut tx, &self.cipher, self.id, &fresh).await?;
        for ((level, at), messages) in reached {
            outbound::acknowledged(&mut tx, self.id, &messages, level, at).await?;
        }
        self.backend.drop_pending(&mut tx, &pending).await?;
        tx.commit().await.map_err(StoreError::while_("commit what came in"))?;
        self.backend.pending_is_gone(pending);
        Ok(taken)
    }

    /// What is to be written of messages that turn out to have been sent though nobody knew. It is told like all that was
    /// sent; should somebody else tell it meanwhile, it counts once.
    async fn settled(&self, client: &Client, reached: &Reached) -> Result<Vec<Entry>, StoreError> {
        if reached.keys().all(|(level, _)| *level == Level::Refused) {
            return Ok(Vec::new());
        }
        let mut found = Vec::new();
        let mut conn = self.store.acquire().await?;
        for ((level, at), messages) in reached.iter().filter(|((level, _), _)| *level != Level::Refused) {
            let received = *level > Level::Server;
            let in_doubt = outbound::in_doubt(&mut conn, &self.cipher, self.id, messages, received).await?;
            found.extend(in_doubt.into_iter().map(|(id, message)| (id, message, *at)));
        }
        // WhatsApp may have to be asked for a group, which a connection does not wait for.
        drop(conn);
        let mut entries = Vec::with_capacity(found.len());
        for (id, message, at) in found {
            let written = Arc::new(outgoing::written(client, &message, at).await);
            entries.push(self.own(client, (outgoing::jid(&message.chat), &id), written, at).await);
        }
        Ok(entries)
    }

    /// Who the instance is linked to, as envelopes tell it.
    pub(super) fn me(&self, client: &Client) -> Value {
        let device = client.persistence_manager().get_device_snapshot();
        listener::profile(&device, &self.placeholder_name).map_or(Value::Null, |me| me.document())
    }
}

/// Messages by how far they got, and when.
type Reached = HashMap<(Level, DateTime<Utc>), Vec<String>>;

/// How far messages got, as the acknowledgements among what came in say: what is sent from here is followed by it.
fn reached<'a>(incoming: impl Iterator<Item = &'a Incoming>) -> Reached {
    let mut reached = Reached::new();
    let drafts = incoming.flat_map(|one| &one.drafts).filter(|draft| draft.kind == EventKind::MessageAck);
    for draft in drafts {
        let level = draft.payload["ack"].as_i64().and_then(Level::of_ack);
        if let (Some(level), Some(id)) = (level, draft.payload["id"].as_str()) {
            reached.entry((level, draft.at)).or_default().push(id.to_owned());
        }
    }
    reached
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("the lease of the instance belongs to another owner")]
    LeaseLost,
    #[error(transparent)]
    Event(#[from] EventError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Event(error.into())
    }
}

/// The library owns its hook; the inbox is shared with the run.
pub(super) struct Hook(pub(super) Arc<Inbox>);

#[async_trait]
impl InboundDurabilityHook for Hook {
    async fn on_messages(&self, client: Arc<Client>, batch: &[InboundMessage]) -> anyhow::Result<()> {
        let inbox = &self.0;
        let mut entries = Vec::with_capacity(batch.len());
        for message in batch {
            entries.push(inbox.translate(&client, message).await);
        }
        let written = inbox.write(&client, entries).await;
        if written.is_err() {
            inbox.backend.spoil();
        }
        Ok(written?)
    }
}
