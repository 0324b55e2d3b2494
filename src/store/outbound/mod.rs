//! `outbound_message`: what was accepted to be sent, in the order it is sent in, and where each message stands.
//!
//! Writers hold the lease first ([`super::lease::hold`]). A message is committed as `sending` before it is handed to
//! WhatsApp: whoever finds one in that state later cannot know whether it went out, and does not send it again.
//!
//! Messages are sealed as content: a logout leaves them readable. Chats are named as in the event log, so that a contact
//! is erased from both by one key.

pub mod pace;

use chrono::{DateTime, Utc};
use sqlx::PgConnection;

use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Content, Failure, Message, State};
use crate::domain::outgoing_file::Placed;
use crate::domain::receipt::Level;

use super::StoreError;
use super::event::chat_key;
use super::vault::{CipherError, InstanceCipher};

const TABLE: &str = "outbound_message";

/// A message could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row does not open with the instance's key.
    #[error("an outbound message does not open")]
    Sealed(#[from] CipherError),
    /// A row holds what this release cannot read.
    #[error("an outbound message cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// When a message was accepted and when it may go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// When it was accepted.
    pub created_at: DateTime<Utc>,
    /// Not before.
    pub due_at: DateTime<Utc>,
    /// Not from then on.
    pub expires_at: DateTime<Utc>,
}

/// A message and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Outbound {
    /// Its id.
    pub id: MessageId,
    /// To whom, and what.
    pub message: Message,
    /// Where it stands.
    pub state: State,
    /// Why it failed, if it did.
    pub failure: Option<Failure>,
    /// When it was accepted and when it may go.
    pub times: Times,
    /// Since when it stands there; for one that was sent, WhatsApp's own time of it.
    pub changed_at: DateTime<Utc>,
}

/// The first of those that wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Its id.
    pub id: MessageId,
    /// It was being sent when somebody last looked after it.
    pub is_sending: bool,
    /// A file must be uploaded first.
    pub has_file: bool,
    /// Not before.
    pub due_at: DateTime<Utc>,
    /// Not from then on.
    pub expires_at: DateTime<Utc>,
}

/// Accepts a message: it is `queued`.
pub async fn insert(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    instance: InstanceId,
    (id, message): (&MessageId, &Message),
    times: Times,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO outbound_message
             (instance_id, id, chat, sealed, state, created_at, due_at, expires_at, changed_at, has_file)
         VALUES ($1, $2, $3, $4, 'queued', $5, $6, $7, $5, $8)",
        instance.as_str(),
        id.as_str(),
        &chat_key(cipher, &message.chat)[..],
        &seal(cipher, id, message),
        times.created_at,
        times.due_at,
        times.expires_at,
        message.content.has_file(),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("accept a message"))
}

/// A message that was accepted.
pub async fn find(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    instance: InstanceId,
    id: &MessageId,
) -> Result<Option<Outbound>, OutboundError> {
    let action = "find a message";
    let row = sqlx::query!(
        "SELECT sealed, state, reason, created_at, due_at, expires_at, changed_at
         FROM outbound_message WHERE instance_id = $1 AND id = $2",
        instance.as_str(),
        id.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_(action))?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Outbound {
        message: open(cipher, id, &row.sealed)?,
        id: id.clone(),
        state: State::parse(&row.state).ok_or(StoreError::unreadable(action, "state"))?,
        // A word of a later release is a failure all the same.
        failure: row.reason.map(|word| Failure::parse(&word).unwrap_or(Failure::Refused)),
        times: Times { created_at: row.created_at, due_at: row.due_at, expires_at: row.expires_at },
        changed_at: row.changed_at,
    }))
}

fn seal(cipher: &InstanceCipher, id: &MessageId, message: &Message) -> Vec<u8> {
    let plaintext = serde_json::to_vec(message).expect("a message has no keys but text");
    cipher.content().seal(TABLE, id.as_str().as_bytes(), &plaintext)
}

fn open(cipher: &InstanceCipher, id: &MessageId, sealed: &[u8]) -> Result<Message, OutboundError> {
    let plaintext = cipher.content().open(TABLE, id.as_str().as_bytes(), sealed)?;
    serde_json::from_slice(&plaintext).map_err(OutboundError::Unreadable)
}

/// Whose turn it is.
pub async fn next(conn: &mut PgConnection, instance: InstanceId) -> Result<Option<Waiting>, StoreError> {
    let action = "look for a message to send";
    let row = sqlx::query!(
        r#"SELECT id, state = 'sending' AS "is_sending!", has_file, due_at, expires_at FROM outbound_message
           WHERE instance_id = $1 AND state IN ('queued', 'sending') ORDER BY position LIMIT 1"#,
        instance.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_(action))?;
    row.map(|row| {
        let id = MessageId::parse(&row.id).map_err(|_| StoreError::unreadable(action, "id"))?;
        Ok(Waiting {
            id,
            is_sending: row.is_sending,
            has_file: row.has_file,
            due_at: row.due_at,
            expires_at: row.expires_at,
        })
    })
    .transpose()
}

/// Takes a message in hand: from the commit on it may have been sent. Its file, if it has one, was placed there. `None` if
/// it is not queued any more.
pub async fn take(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    instance: InstanceId,
    (id, placed): (&MessageId, Option<Placed>),
    now: DateTime<Utc>,
) -> Result<Option<Message>, OutboundError> {
    let action = "take a message in hand";
    let sealed = sqlx::query_scalar!(
        "UPDATE outbound_message SET state = 'sending', changed_at = $3
         WHERE instance_id = $1 AND id = $2 AND state = 'queued' RETURNING sealed",
        instance.as_str(),
        id.as_str(),
        now,
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(StoreError::while_(action))?;
    let Some(sealed) = sealed else { return Ok(None) };
    let mut message = open(cipher, id, &sealed)?;
    if let Content::File { placed: place, .. } = &mut message.content {
        *place = placed;
        // Whoever learns later that the message was sent can tell where its file lies.
        sqlx::query!(
            "UPDATE outbound_message SET sealed = $3 WHERE instance_id = $1 AND id = $2",
            instance.as_str(),
            id.as_str(),
            &seal(cipher, id, &message),
        )
        .execute(conn)
        .await
        .map_err(StoreError::while_(action))?;
    }
    Ok(Some(message))
}

/// Those of these messages of which nobody knew whether they were sent, as far as they can be read. When a recipient has
/// them (`received`), nobody knew of one that is in hand either.
pub async fn in_doubt(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    instance: InstanceId,
    messages: &[String],
    received: bool,
) -> Result<Vec<(MessageId, Message)>, StoreError> {
    let rows = sqlx::query!(
        "SELECT id, sealed FROM outbound_message
         WHERE instance_id = $1 AND id = ANY($2) AND (state = 'unknown' OR (state = 'sending' AND $3))
         ORDER BY position",
        instance.as_str(),
        messages,
        received,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("look for messages in doubt"))?;
    let read = rows.into_iter().filter_map(|row| {
        let id = MessageId::parse(&row.id).ok()?;
        let message = open(cipher, &id, &row.sealed).ok()?;
        Some((id, message))
    });
    Ok(read.collect())
}

/// What a message that is in hand comes to, when WhatsApp did not take it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unsent {
    /// It certainly did not go out and waits again, in its old place.
    Queued,
    /// Nobody knows.
    Unknown,
    /// It is given up.
    Failed(Failure),
}

/// Lays a message down that waited or was in hand; one that got further meanwhile stays there.
pub async fn lay_down(
    conn: &mut PgConnection,
    instance: InstanceId,
    id: &MessageId,
    unsent: Unsent,
    now: DateTime<Utc>,
) -> Result<(), StoreError> {
    let (state, failure) = match unsent {
        Unsent::Queued => (State::Queued, None),
        Unsent::Unknown => (State::Unknown, None),
        Unsent::Failed(failure) => (State::Failed, Some(failure)),
    };
    sqlx::query!(
        "UPDATE outbound_message SET state = $3, reason = $4, changed_at = $5
         WHERE instance_id = $1 AND id = $2 AND state IN ('queued', 'sending')",
        instance.as_str(),
        id.as_str(),
        state.as_str(),
        failure.map(Failure::as_str),
        now,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("lay a message down"))
}

/// Notes how far messages got, by their ids. A state is raised by it and never lowered; messages that were not accepted
/// here are passed by.
pub async fn acknowledged(
    conn: &mut PgConnection,
    instance: InstanceId,
    messages: &[String],
    level: Level,
    at: DateTime<Utc>,
) -> Result<u64, StoreError> {
    let state = State::reached(level);
    let outdone: Vec<String> = state.outdone().map(|state| state.as_str().to_owned()).collect();
    let reason = (state == State::Failed).then_some(Failure::Refused.as_str());
    sqlx::query!(
        "UPDATE outbound_message SET state = $3, reason = $6, changed_at = $4
         WHERE instance_id = $1 AND id = ANY($2) AND state = ANY($5)",
        instance.as_str(),
        messages,
        state.as_str(),
        at,
        &outdone,
        reason,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(StoreError::while_("note how far messages got"))
}

/// Queues a message again, behind all others, under its old id; `false` unless it failed or nobody knows what became of
/// it.
pub async fn retry(
    conn: &mut PgConnection,
    instance: InstanceId,
    id: &MessageId,
    times: Times,
) -> Result<bool, StoreError> {
    let retriable: Vec<String> =
        State::ALL.iter().filter(|state| state.may_be_retried()).map(|state| state.as_str().to_owned()).collect();
    sqlx::query!(
        "UPDATE outbound_message
         SET state = 'queued', reason = NULL, position = DEFAULT, due_at = $4, expires_at = $5, changed_at = $3
         WHERE instance_id = $1 AND id = $2 AND (state = ANY($6) OR (state = 'queued' AND expires_at <= $3))",
        instance.as_str(),
        id.as_str(),
        times.created_at,
        times.due_at,
        times.expires_at,
        &retriable,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("queue a message again"))
}

/// Erases what was sent, or waits to be sent, to a chat.
pub async fn erase_chat(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    instance: InstanceId,
    chat: &ChatId,
) -> Result<u64, StoreError> {
    sqlx::query!(
        "DELETE FROM outbound_message WHERE instance_id = $1 AND chat = $2",
        instance.as_str(),
        &chat_key(cipher, chat)[..],
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(StoreError::while_("erase what was sent to a chat"))
}

/// Deletes what was accepted before `keep_from`; how much there was. Nothing of it waits any more: no message may wait
/// that long.
pub async fn prune(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM outbound_message WHERE created_at < $1", keep_from)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("delete messages that were sent long ago"))
}
