//! The outbox of one connected instance: it sends what was accepted, one message after the other, each in its moment.
//!
//! A message is committed as `sending` before it is handed to the client, and its end is committed before the next one
//! is taken. So a message is in doubt for as long as it is on the wire, and at most one of an instance is. When the
//! connection or the process ends meanwhile, the message is `unknown` from then on: it is not sent again unless its owner
//! says so, and what WhatsApp or the recipient says of it later settles it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Content, Failure, Message};
use crate::domain::outgoing_file::Placed;
use crate::domain::receipt::Level;
use crate::engine::{EngineError, EngineRun, SendError, Sent, Uploaded};
use crate::media::library::LibraryError;
use crate::store::outbound::{self, Outbound, OutboundError, Unsent, Waiting};
use crate::store::{StoreError, event, lease, message_reference};

use super::Deps;
use super::mail::Mail;

/// A pause before the database is asked again, or a message that did not leave this machine is tried again.
const PAUSE: TimeDelta = TimeDelta::seconds(1);

/// Over a living connection, a message that cannot be handed over this often is given up.
const ATTEMPTS: u32 = 3;

/// How long an outbox may take to write down what it knows once its connection has ended.
const FAREWELL: Duration = Duration::from_secs(5);

/// An outbox at work. Dropping it ends it at once.
pub(super) struct OutboxTask {
    closing: CancellationToken,
    task: JoinHandle<()>,
}

impl OutboxTask {
    /// Starts to send over a connected client.
    pub(super) fn start(
        deps: Arc<Deps>,
        (id, fence): (InstanceId, Fence),
        client: Arc<dyn EngineRun>,
        mail: Arc<Mail>,
    ) -> Self {
        let closing = CancellationToken::new();
        let outbox =
            Outbox { deps, id, fence, client, mail, closing: closing.clone(), failed: None, rests_until: None };
        Self { closing, task: tokio::spawn(outbox.run()) }
    }

    /// Nothing more is taken in hand.
    pub(super) fn close(&self) {
        self.closing.cancel();
    }

    /// Completes when what was in hand is written down. To be called after the client has ended.
    pub(super) async fn finished(mut self) {
        // If it does not end in time, whoever finds the message knows as much as it does.
        let _ = tokio::time::timeout(FAREWELL, &mut self.task).await;
    }
}

impl Drop for OutboxTask {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Outbox {
    deps: Arc<Deps>,
    id: InstanceId,
    fence: Fence,
    client: Arc<dyn EngineRun>,
    mail: Arc<Mail>,
    closing: CancellationToken,
    /// The message that could not be handed over, and how often.
    failed: Option<(MessageId, u32)>,
    /// Nothing is taken in hand before: the connection may have broken, and whoever ends this outbox deserves a moment.
    rests_until: Option<DateTime<Utc>>,
}

/// What comes after a turn.
enum After {
    /// Another one.
    Next,
    /// Another one then, or when something is accepted.
    Until(DateTime<Utc>),
    /// Another one when something is accepted.
    Idle,
    /// None: the lease is another's.
    Over,
}

/// Why a turn was not completed.
#[derive(Debug, thiserror::Error)]
enum TurnError {
    #[error("the lease of the instance belongs to another owner")]
    LeaseLost,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the instance's key could not be read")]
    Vault(#[from] crate::store::vault::VaultError),
    #[error("the file of a message could not be read")]
    Library(#[from] LibraryError),
    #[error("what was sent could not be logged")]
    Event(#[from] event::EventError),
}

impl Outbox {
    async fn run(mut self) {
        while !self.closing.is_cancelled() {
            // Boxed: thousands of outboxes wait, few send, and sending takes room.
            let after = match Box::pin(self.turn()).await {
                Ok(after) => after,
                Err(TurnError::LeaseLost) => After::Over,
                Err(error) => {
                    warn!(
                        instance.id = %self.id,
                        error = &error as &dyn std::error::Error,
                        "the outbox could not be read or written and will be again"
                    );
                    After::Until(self.deps.clock.now() + PAUSE)
                }
            };
            let until = match after {
                After::Next => continue,
                After::Over => return,
                After::Until(at) => Some(at),
                After::Idle => None,
            };
            let moment = async {
                match until {
                    Some(at) => self.deps.clock.sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.closing.cancelled() => return,
                () = self.mail.rung() => {}
                () = moment => {}
            }
        }
    }

    async fn turn(&mut self) -> Result<After, TurnError> {
        if let Some(until) = self.rests_until.filter(|until| *until > self.deps.clock.now()) {
            return Ok(After::Until(until));
        }
        let mut conn = self.deps.store.acquire().await?;
        let next = outbound::next(&mut conn, self.id).await?;
        drop(conn);
        let Some(Waiting { id, is_sending, has_file, due_at, expires_at }) = next else { return Ok(After::Idle) };
        let now = self.deps.clock.now();
        if is_sending {
            // Another connection's, or another process's, that ended before it knew.
            self.lay_down(&id, Unsent::Unknown).await?;
        } else if expires_at <= now {
            debug!(instance.id = %self.id, message.id = %id, "a message expired before it could be sent");
            self.lay_down(&id, Unsent::Failed(Failure::Expired)).await?;
        } else if due_at > now {
            return Ok(After::Until(due_at.min(expires_at)));
        } else {
            // Uploaded before the message is in hand: should the process end meanwhile, it certainly was not sent.
            let placed = match if has_file { self.upload(&id).await? } else { Upload::Done(None) } {
                Upload::Done(placed) => placed,
                Upload::Failed(unsent) => return self.put_off(&id, unsent).await,
            };
            match self.take(&id, placed).await? {
                Taken::Message(message) => return self.send(id, *message).await,
                Taken::Unreadable => self.lay_down(&id, Unsent::Failed(Failure::Unsendable)).await?,
                Taken::Gone => {}
            }
        }
        Ok(After::Next)
    }

    /// Takes a message in hand.
    async fn take(&self, id: &MessageId, placed: Option<Placed>) -> Result<Taken, TurnError> {
        let cipher = self.deps.vault.unlock(&self.deps.store, self.id).await?;
        let mut tx = self.deps.store.begin().await?;
        if !lease::hold(&mut tx, self.id, self.fence).await? {
            return Err(TurnError::LeaseLost);
        }
        let taken = match outbound::take(&mut tx, &cipher, self.id, (id, placed), self.deps.clock.now()).await {
            Ok(Some(message)) => Taken::Message(Box::new(message)),
            Ok(None) => Taken::Gone,
            Err(OutboundError::Store(error)) => return Err(error.into()),
            Err(error @ (OutboundError::Sealed(_) | OutboundError::Unreadable(_))) => {
                warn!(
                    instance.id = %self.id,
                    message.id = %id,
                    error = &error as &dyn std::error::Error,
                    "a message cannot be read and is given up"
                );
                Taken::Unreadable
            }
        };
        tx.commit().await.map_err(StoreError::while_("commit a message in hand"))?;
        Ok(taken)
    }

    /// Puts the file of a message where its receivers will find it.
    async fn upload(&mut self, id: &MessageId) -> Result<Upload, TurnError> {
        let library = &self.deps.library;
        let mut conn = self.deps.store.acquire().await?;
        let cipher = self.deps.vault.cipher(&mut conn, self.id).await?;
        let found = outbound::find(&mut conn, &cipher, self.id, id).await;
        drop(conn);
        let file = match found {
            Ok(Some(Outbound { message: Message { content: Content::File { file, .. }, .. }, .. })) => file,
            // Whoever takes the message in hand sees what is wrong with it.
            Ok(_) | Err(OutboundError::Sealed(_) | OutboundError::Unreadable(_)) => return Ok(Upload::Done(None)),
            Err(OutboundError::Store(error)) => return Err(error.into()),
        };
        let Some(encrypted) = library.collect(self.id, id.as_str()).await? else {
            return Ok(Upload::Failed(Unsent::Failed(Failure::FileLost)));
        };
        let uploading = self.client.upload(&encrypted, file.kind.media_kind(), &file.enc_sha256);
        let uploaded = tokio::select! {
            uploaded = uploading => uploaded,
            () = self.closing.cancelled() => return Ok(Upload::Failed(Unsent::Queued)),
        };
        match uploaded {
            Ok(Uploaded { url, direct_path }) => Ok(Upload::Done(Some(Placed { url, direct_path }))),
            Err(EngineError::Refused { cause, .. }) => {
                info!(instance.id = %self.id, message.id = %id, %cause, "WhatsApp did not take the file of a message");
                Ok(Upload::Failed(Unsent::Failed(Failure::Refused)))
            }
            Err(_) => {
                Ok(Upload::Failed(self.unsent(id, &SendError::NotSent { cause: "its file could not be uploaded" })))
            }
        }
    }

    /// A message whose file was not uploaded waits in its place, or is given up.
    async fn put_off(&self, id: &MessageId, unsent: Unsent) -> Result<After, TurnError> {
        if unsent == Unsent::Queued {
            return Ok(After::Until(self.deps.clock.now() + PAUSE));
        }
        self.write_down(id, Fate::Unsent(unsent)).await?;
        Ok(After::Next)
    }

    async fn send(&mut self, id: MessageId, message: Message) -> Result<After, TurnError> {
        let handed_over = Instant::now();
        let unsent = match self.client.send(&id, &message).await {
            Ok(sent) => {
                self.deps.messages.sent(handed_over.elapsed());
                self.write_down(&id, Fate::Sent(&sent)).await?;
                self.failed = None;
                if message.content.has_file() {
                    self.discard(&id).await;
                }
                return Ok(After::Next);
            }
            Err(error) => self.unsent(&id, &error),
        };
        self.write_down(&id, Fate::Unsent(unsent)).await?;
        if matches!(unsent, Unsent::Queued | Unsent::Unknown) {
            self.rests_until = Some(self.deps.clock.now() + PAUSE);
        }
        Ok(After::Next)
    }

    /// The file of a message that was sent is WhatsApp's from now on. Where it cannot be removed, its time will be over.
    async fn discard(&self, id: &MessageId) {
        if let Err(error) = self.deps.library.discard(self.id, id.as_str()).await {
            debug!(
                instance.id = %self.id,
                message.id = %id,
                error = &error as &dyn std::error::Error,
                "the file of a message that was sent stays for a day"
            );
        }
    }

    /// What a message that was not sent comes to.
    fn unsent(&mut self, id: &MessageId, error: &SendError) -> Unsent {
        info!(instance.id = %self.id, message.id = %id, error = error as &dyn std::error::Error, "a message was not sent");
        match error {
            SendError::Unknown { .. } => Unsent::Unknown,
            SendError::Refused { failure, .. } => Unsent::Failed(*failure),
            SendError::NotSent { .. } => {
                let before = self.failed.take().filter(|(other, _)| other == id).map_or(0, |(_, times)| times);
                if before + 1 >= ATTEMPTS && !self.closing.is_cancelled() {
                    return Unsent::Failed(Failure::Unsendable);
                }
                self.failed = Some((id.clone(), before + 1));
                Unsent::Queued
            }
        }
    }

    /// Tries to write down what is known of a message until the database has taken it, or the outbox is closed: then the
    /// message is left in doubt.
    async fn write_down(&self, id: &MessageId, fate: Fate<'_>) -> Result<(), TurnError> {
        loop {
            let written = match fate {
                Fate::Sent(sent) => self.acknowledged(id, sent).await,
                Fate::Unsent(unsent) => self.lay_down(id, unsent).await,
            };
            let error = match written {
                Ok(()) => return Ok(()),
                Err(error @ TurnError::LeaseLost) => return Err(error),
                Err(
                    error @ (TurnError::Store(_) | TurnError::Vault(_) | TurnError::Library(_) | TurnError::Event(_)),
                ) => error,
            };
            tokio::select! {
                biased;
                () = self.closing.cancelled() => return Err(error),
                () = self.deps.clock.sleep_until(self.deps.clock.now() + PAUSE) => {}
            }
        }
    }

    /// The state of the message and the event that tells of it are one transaction.
    async fn acknowledged(&self, id: &MessageId, sent: &Sent) -> Result<(), TurnError> {
        let cipher = self.deps.vault.unlock(&self.deps.store, self.id).await?;
        let mut tx = self.deps.store.begin().await?;
        let (owned, now) = ((self.id, self.fence), self.deps.clock.now());
        let taken = event::take_in(&mut tx, &cipher, owned, &sent.me, &mut [sent.told.clone()], now).await?;
        let taken = taken.ok_or(TurnError::LeaseLost)?;
        if !taken.fresh.is_empty() {
            message_reference::keep(&mut tx, &cipher, self.id, &sent.kept).await?;
        }
        outbound::acknowledged(&mut tx, self.id, &[id.to_string()], Level::Server, sent.at).await?;
        tx.commit().await.map_err(StoreError::while_("commit an acknowledgement"))?;
        if let Some(last) = taken.last {
            self.deps.store.logged(self.id, last, taken.kinds);
        }
        self.mail.settle(id);
        Ok(())
    }

    async fn lay_down(&self, id: &MessageId, unsent: Unsent) -> Result<(), TurnError> {
        let mut tx = self.deps.store.begin().await?;
        if !lease::hold(&mut tx, self.id, self.fence).await? {
            return Err(TurnError::LeaseLost);
        }
        outbound::lay_down(&mut tx, self.id, id, unsent, self.deps.clock.now()).await?;
        tx.commit().await.map_err(StoreError::while_("commit what became of a message"))?;
        match unsent {
            Unsent::Queued => {}
            Unsent::Unknown => {
                self.deps.messages.unknown();
                self.mail.settle(id);
            }
            Unsent::Failed(failure) => {
                self.deps.messages.failed(failure);
                self.mail.settle(id);
            }
        }
        Ok(())
    }
}

/// What WhatsApp made of a message.
#[derive(Debug, Clone, Copy)]
enum Fate<'a> {
    /// It was acknowledged.
    Sent(&'a Sent),
    Unsent(Unsent),
}

/// What became of the file of a message.
enum Upload {
    /// It lies there; `None` if the message has none after all.
    Done(Option<Placed>),
    /// The message waits on, or is given up.
    Failed(Unsent),
}

/// What was found where a message waited.
enum Taken {
    Message(Box<Message>),
    Unreadable,
    /// It was erased or settled meanwhile.
    Gone,
}
