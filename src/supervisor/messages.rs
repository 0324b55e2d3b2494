//! Sending, as the rest of the house asks for it: a message is accepted, which is a commit, and its outbox does the rest.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Message, Over, Pace, State, Target, Typing};
use crate::domain::session::{Desired, SessionView, Status};
use crate::engine::EngineError;
use crate::store::idempotency::{self, Answer, Claim};
use crate::store::outbound::{self, Outbound, OutboundError, Times};
use crate::store::vault::VaultError;
use crate::store::{StoreError, lease};

use super::error::{ClientRefusal, SupervisorError};
use super::handle::Supervisor;
use super::mail::{Awaited, Pacing};
use super::registry::Door;
use super::rules::delta;

/// How long whoever sends waits for WhatsApp's acknowledgement.
const WAIT: Duration = Duration::from_secs(10);

/// A message that is to be accepted.
#[derive(Debug, Clone)]
pub struct Letter {
    /// Its id, drawn for it alone.
    pub id: MessageId,
    /// To whom, and what.
    pub message: Message,
    /// How long it may wait to be sent.
    pub ttl: TimeDelta,
    /// What becomes of it if it is too fast; `None`: what the instance's pace says.
    pub over: Option<Over>,
}

/// An answer that is kept for whoever repeats the request, in the transaction that accepts the message.
#[derive(Debug, Clone)]
pub struct Kept<'a> {
    /// The claim on the request's key.
    pub claim: Claim<'a>,
    /// The answer.
    pub answer: Answer,
}

/// The pace of an instance and how much of it is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PaceView {
    /// The pace.
    pub pace: Pace,
    /// Messages that were given a moment of this day (UTC).
    pub today: u32,
}

/// Why a message was not accepted, or is not told of.
#[derive(Debug, thiserror::Error)]
pub enum SendRefusal {
    /// The session is not linked, or its owner or WhatsApp has ended it.
    #[error("the session does not take messages as it stands")]
    NotTaken {
        /// The session as it stood then.
        view: Box<SessionView>,
    },
    /// It would go faster than the pace, and was not to wait.
    #[error("the instance's pace is used up")]
    TooFast {
        /// When the next one may go.
        retry_after: TimeDelta,
        /// The pace.
        pace: Pace,
    },
    /// Whoever holds the request's key is somebody else by now.
    #[error("the claim on the idempotency key has run out")]
    ClaimLost,
    /// No such message was accepted here, or it is forgotten.
    #[error("there is no such message")]
    NotFound,
    /// It is not among those that may be sent again.
    #[error("the message may not be sent again: it is {state}")]
    NotRetriable {
        /// Where it stands.
        state: State,
    },
    /// The connection is not there, or broke.
    #[error("WhatsApp could not be reached")]
    Unreachable,
    /// The session could not be asked.
    #[error(transparent)]
    Supervisor(#[from] SupervisorError),
    /// The messages could not be read or written.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The instance's key could not be read.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl From<StoreError> for SendRefusal {
    fn from(error: StoreError) -> Self {
        Self::Supervisor(error.into())
    }
}

impl From<ClientRefusal> for SendRefusal {
    fn from(refusal: ClientRefusal) -> Self {
        match refusal {
            ClientRefusal::NotConnected { view } => Self::NotTaken { view },
            ClientRefusal::Supervisor(error) => error.into(),
        }
    }
}

/// Whether a session takes messages: it is linked and connected, or on its way back.
pub fn takes_messages(view: &SessionView) -> bool {
    let returns = match view.status {
        Status::Working | Status::Starting => true,
        Status::Stopped
        | Status::ScanQrCode
        | Status::PasskeyRequired
        | Status::PasskeyConfirmationRequired
        | Status::Failed => false,
    };
    view.linked && view.desired == Desired::Running && returns
}

impl Supervisor {
    /// Accepts a message, and waits for WhatsApp's acknowledgement as long as one may come soon. The message as it stands
    /// then.
    pub async fn send(&self, id: InstanceId, letter: Letter, kept: Option<Kept<'_>>) -> Result<Outbound, SendRefusal> {
        let door = self.open_for_messages(id).await?;
        let awaited = door.mail.expect(&letter.id);
        let due_at = self.accept(id, &door, &letter, kept).await?;
        self.settled(id, &door, awaited, (&letter.id, due_at)).await
    }

    /// Sends a message again that failed, or of which nobody knows, under its old id. The caller takes the risk that it
    /// arrives twice.
    pub async fn retry(&self, id: InstanceId, message: &MessageId, ttl: TimeDelta) -> Result<Outbound, SendRefusal> {
        let door = self.open_for_messages(id).await?;
        let awaited = door.mail.expect(message);
        let mut turn = door.mail.turn().await;
        let now = self.inner().deps.clock.now();
        let mut tx = self.inner().deps.store.begin().await?;
        self.hold(&mut tx, id, &door).await?;
        let pacing = self.pacing(&mut tx, id, &mut turn).await?;
        let due_at = pacing.ledger.next(&pacing.pace, now);
        let times = Times { created_at: now, due_at, expires_at: now + ttl };
        if !outbound::retry(&mut tx, id, message, times).await? {
            let cipher = self.inner().deps.vault.cipher(&mut tx, id).await?;
            let found = outbound::find(&mut tx, &cipher, id, message).await?;
            return Err(found.map_or(SendRefusal::NotFound, |found| SendRefusal::NotRetriable { state: found.state }));
        }
        tx.commit().await.map_err(StoreError::while_("commit a message that is sent again"))?;
        pacing.ledger.give(&pacing.pace, due_at);
        drop(turn);
        door.mail.ring();
        self.settled(id, &door, awaited, (message, due_at)).await
    }

    /// A message that was accepted, as it stands.
    pub async fn message(&self, id: InstanceId, message: &MessageId) -> Result<Outbound, SendRefusal> {
        let deps = &self.inner().deps;
        let cipher = deps.vault.unlock(&deps.store, id).await?;
        let mut conn = deps.store.acquire().await?;
        let found = outbound::find(&mut conn, &cipher, id, message).await?.ok_or(SendRefusal::NotFound)?;
        Ok(as_of(found, deps.clock.now()))
    }

    /// Tells the authors of messages that they were seen.
    pub async fn mark_seen(&self, id: InstanceId, chat: &ChatId, seen: &[Target]) -> Result<(), SendRefusal> {
        done(self.client(id).await?.mark_seen(chat, seen).await)
    }

    /// Shows in a chat that somebody writes, or no longer does.
    pub async fn show_typing(&self, id: InstanceId, chat: &ChatId, typing: Typing) -> Result<(), SendRefusal> {
        done(self.client(id).await?.show_typing(chat, typing).await)
    }

    /// How fast the instance sends, and how much of that is used.
    pub async fn pace(&self, id: InstanceId) -> Result<PaceView, SendRefusal> {
        let deps = &self.inner().deps;
        let mut conn = deps.store.acquire().await?;
        let pacing = Pacing::read(&mut conn, id, deps.pace).await?;
        Ok(PaceView { pace: pacing.pace, today: pacing.ledger.used_today(deps.clock.now()) })
    }

    /// Chooses how fast the instance sends. What waits already keeps its moment.
    pub async fn set_pace(&self, id: InstanceId, pace: Pace) -> Result<PaceView, SendRefusal> {
        let door = self.inner().door(id).await?;
        let mut turn = door.mail.turn().await;
        let mut tx = self.inner().deps.store.begin().await?;
        self.hold(&mut tx, id, &door).await?;
        outbound::pace::write(&mut tx, id, &pace).await?;
        tx.commit().await.map_err(StoreError::while_("commit a pace"))?;
        // The past is read again, as far as the new pace depends on it.
        *turn = None;
        drop(turn);
        self.pace(id).await
    }

    async fn open_for_messages(&self, id: InstanceId) -> Result<std::sync::Arc<Door>, SendRefusal> {
        let view = self.view(id).await?;
        if !takes_messages(&view) {
            return Err(SendRefusal::NotTaken { view: Box::new(view) });
        }
        Ok(self.inner().door(id).await?)
    }

    /// Commits a message; when it may go.
    async fn accept(
        &self,
        id: InstanceId,
        door: &Door,
        letter: &Letter,
        kept: Option<Kept<'_>>,
    ) -> Result<DateTime<Utc>, SendRefusal> {
        let deps = &self.inner().deps;
        let cipher = deps.vault.unlock(&deps.store, id).await?;
        let mut turn = door.mail.turn().await;
        let mut tx = deps.store.begin().await?;
        self.hold(&mut tx, id, door).await?;
        let pacing = self.pacing(&mut tx, id, &mut turn).await?;
        let now = deps.clock.now();
        let due_at = pacing
            .moment(letter.over, now)
            .map_err(|at| SendRefusal::TooFast { retry_after: at - now, pace: pacing.pace })?;
        let times = Times { created_at: now, due_at, expires_at: now + letter.ttl };
        outbound::insert(&mut tx, &cipher, id, (&letter.id, &letter.message), times).await?;
        if let Some(Kept { claim, answer }) = kept
            && !idempotency::answer(&mut tx, claim, &answer).await?
        {
            return Err(SendRefusal::ClaimLost);
        }
        tx.commit().await.map_err(StoreError::while_("commit a message"))?;
        deps.messages.accepted();
        pacing.ledger.give(&pacing.pace, due_at);
        drop(turn);
        door.mail.ring();
        Ok(due_at)
    }

    /// Proves the lease; the first statement of a transaction.
    async fn hold(&self, conn: &mut PgConnection, id: InstanceId, door: &Door) -> Result<(), SendRefusal> {
        // Not ours any more: whoever asks again is led to the new owner.
        if lease::hold(conn, id, door.fence).await? { Ok(()) } else { Err(SupervisorError::NotServing.into()) }
    }

    async fn pacing<'a>(
        &self,
        conn: &mut PgConnection,
        id: InstanceId,
        turn: &'a mut Option<Pacing>,
    ) -> Result<&'a mut Pacing, StoreError> {
        if turn.is_none() {
            *turn = Some(Pacing::read(conn, id, self.inner().deps.pace).await?);
        }
        Ok(turn.as_mut().expect("it was read"))
    }

    /// The message once it is settled, or as it stands when that may take longer than whoever asks should wait.
    async fn settled(
        &self,
        id: InstanceId,
        door: &Door,
        mut awaited: Awaited<'_>,
        (message, due_at): (&MessageId, DateTime<Utc>),
    ) -> Result<Outbound, SendRefusal> {
        let clock = &self.inner().deps.clock;
        let until = clock.now() + delta(WAIT);
        let is_connected = door.view.borrow().status == Status::Working;
        if is_connected && due_at < until {
            tokio::select! {
                () = awaited.settled() => {}
                () = door.gone.cancelled() => {}
                () = clock.sleep_until(until) => {}
            }
        }
        self.message(id, message).await
    }
}

/// What waits in vain is told as what it will be as soon as somebody looks after it.
fn as_of(mut found: Outbound, now: DateTime<Utc>) -> Outbound {
    if found.state == State::Queued && found.times.expires_at <= now {
        found.state = State::Failed;
        found.failure = Some(crate::domain::outgoing::Failure::Expired);
        found.changed_at = found.times.expires_at;
    }
    found
}

fn done(outcome: Result<(), EngineError>) -> Result<(), SendRefusal> {
    outcome.map_err(|error| {
        tracing::debug!(error = &error as &dyn std::error::Error, "what was to be said of messages was not");
        SendRefusal::Unreachable
    })
}
