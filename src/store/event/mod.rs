//! `event` and `seen_message`: what happened to each instance, in one numbered log that is only ever added to.
//!
//! [`record`] is the one way in. It takes the next numbers from the instance's lease, so it proves the lease and numbers
//! the events in one statement, and it must be the first of its transaction. A number exists if and only if its row was
//! committed: the sequence has no gaps.
//!
//! Contents are sealed with the instance's content key ([`InstanceCipher::content`]), which a logout leaves alone: what
//! was not delivered by then still is.

mod bell;
mod keeper;
mod lookout;
pub mod partitions;
pub mod window;

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::chat_id::ChatId;
use crate::domain::event::{Content, Draft, EventKind, Logged};
use crate::domain::instance::InstanceId;
use crate::domain::lease::Fence;

use super::vault::{CipherError, InstanceCipher};
use super::{StoreError, lease};

pub use bell::Bell;
pub use keeper::Keeper;
pub use lookout::Lookout;

const TABLE: &str = "event";

/// An event could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A row does not open with the instance's key.
    #[error("an event of the log does not open")]
    Sealed(#[from] CipherError),
    /// A row holds what this release cannot read.
    #[error("an event of the log cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

/// Appends `drafts` in their order and gives the number of the last; `None` if the lease is not ours, and then nothing
/// may be written. `me` is who the instance is linked to. The first statement of its transaction.
pub async fn record(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    (id, fence): (InstanceId, Fence),
    me: &Value,
    drafts: Vec<Draft>,
) -> Result<Option<i64>, EventError> {
    let count = i64::try_from(drafts.len()).expect("a batch is far smaller than the address space");
    let Some(last) = lease::advance(conn, id, fence, count).await? else { return Ok(None) };
    append(conn, cipher, (id, last), me, drafts).await?;
    Ok(Some(last))
}

/// Begins the log of an instance that was added in this very transaction, after its lease was inserted: nobody can hold
/// that yet, so no fence is needed.
pub async fn begin(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    drafts: Vec<Draft>,
) -> Result<(), EventError> {
    let count = i64::try_from(drafts.len()).expect("a batch is far smaller than the address space");
    lease::begin_sequence(conn, id, count).await?;
    append(conn, cipher, (id, count), &Value::Null, drafts).await
}

/// Adds the events whose last number is `last`.
async fn append(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    (id, last): (InstanceId, i64),
    me: &Value,
    drafts: Vec<Draft>,
) -> Result<(), EventError> {
    let cipher = cipher.content();
    let count = i64::try_from(drafts.len()).expect("a batch is far smaller than the address space");
    let (mut seqs, mut ats, mut kinds, mut chats, mut contents) = (vec![], vec![], vec![], vec![], vec![]);
    for (seq, draft) in (last - count + 1..).zip(drafts) {
        let content = Content { me: me.clone(), payload: draft.payload };
        let plaintext = serde_json::to_vec(&content).expect("an event has no keys but text");
        seqs.push(seq);
        ats.push(draft.at);
        kinds.push(draft.kind.as_str().to_owned());
        chats.push(draft.chat.map(|chat| chat_key(&cipher, &chat).to_vec()));
        contents.push(cipher.seal(TABLE, &seq.to_be_bytes(), &plaintext));
    }
    sqlx::query!(
        "INSERT INTO event (instance_id, seq, at, kind, chat, content)
         SELECT $1, * FROM unnest($2::bigint[], $3::timestamptz[], $4::text[], $5::bytea[], $6::bytea[])",
        id.as_str(),
        &seqs,
        &ats,
        &kinds,
        &chats as &[Option<Vec<u8>>],
        &contents,
    )
    .execute(conn)
    .await
    .map_err(StoreError::while_("append to the event log"))?;
    Ok(())
}

/// When the last event of each of these instances happened; those without any are left out.
pub async fn last_at(
    conn: &mut PgConnection,
    ids: &[InstanceId],
) -> Result<HashMap<InstanceId, DateTime<Utc>>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        r#"SELECT id AS "id!", (SELECT at FROM event WHERE instance_id = id ORDER BY seq DESC LIMIT 1) AS "at?"
           FROM unnest($1::text[]) AS id"#,
        &ids,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read when the last events happened"))?;
    Ok(rows.into_iter().filter_map(|row| Some((lease::stored_id(&row.id), row.at?))).collect())
}

/// A message that came in, or something else that happened.
#[derive(Debug, Clone)]
pub struct Incoming {
    /// What tells it from every other: chat, sender and id. Without it it is taken in however often it comes.
    pub key: Option<[String; 3]>,
    /// What is to be logged of it; perhaps nothing.
    pub drafts: Vec<Draft>,
}

/// What became of a batch that came in.
#[derive(Debug, PartialEq, Eq)]
pub struct TakenIn {
    /// The number of the last event, if any was logged.
    pub last: Option<i64>,
    /// The kinds of those that were logged.
    pub kinds: Vec<EventKind>,
    /// Which of the batch were taken in, by their places: those that had not been before.
    pub fresh: Vec<usize>,
}

/// Logs what came in and was not taken in before, in its order; `None` if the lease is not ours, and then nothing may be
/// written. The first statement of its transaction.
pub async fn take_in(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    (id, fence): (InstanceId, Fence),
    me: &Value,
    batch: &mut [Incoming],
    now: DateTime<Utc>,
) -> Result<Option<TakenIn>, EventError> {
    if !lease::hold_to_write(conn, id, fence).await? {
        return Ok(None);
    }
    let keyed: Vec<usize> = (0..batch.len()).filter(|place| batch[*place].key.is_some()).collect();
    let keys: Vec<[&str; 3]> =
        batch.iter().filter_map(|one| one.key.as_ref()).map(|key| key.each_ref().map(String::as_str)).collect();
    let unseen = if keys.is_empty() { Vec::new() } else { first_seen(conn, cipher, id, &keys, now).await? };
    let mut fresh: Vec<usize> = unseen.into_iter().map(|place| keyed[place]).collect();
    fresh.extend((0..batch.len()).filter(|place| batch[*place].key.is_none()));
    fresh.sort_unstable();
    let drafts: Vec<Draft> = fresh.iter().flat_map(|place| std::mem::take(&mut batch[*place].drafts)).collect();
    if drafts.is_empty() {
        return Ok(Some(TakenIn { last: None, kinds: Vec::new(), fresh }));
    }
    let kinds = drafts.iter().map(|draft| draft.kind).collect();
    let last = record(conn, cipher, (id, fence), me, drafts).await?;
    // The lease is locked since the first statement.
    Ok(last.map(|last| TakenIn { last: Some(last), kinds, fresh }))
}

/// Up to `limit` events after number `after`, in their order.
pub async fn page(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    after: i64,
    limit: i64,
) -> Result<Vec<Logged>, EventError> {
    let rows = sqlx::query!(
        "SELECT seq, at, kind, content FROM event WHERE instance_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        id.as_str(),
        after,
        limit,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read the event log"))?;
    rows.into_iter()
        .map(|row| {
            let kind = EventKind::parse(&row.kind).ok_or(StoreError::unreadable("read the event log", "kind"))?;
            let content = row.content.map(|sealed| open(cipher, row.seq, &sealed)).transpose()?;
            Ok(Logged { instance_id: id, seq: row.seq, kind, at: row.at, content })
        })
        .collect()
}

fn open(cipher: &InstanceCipher, seq: i64, sealed: &[u8]) -> Result<Content, EventError> {
    let plaintext = cipher.content().open(TABLE, &seq.to_be_bytes(), sealed)?;
    serde_json::from_slice(&plaintext).map_err(EventError::Unreadable)
}

/// The numbers of the oldest event that is still kept and of the newest there ever was; `None` if there is no such
/// instance. Without any kept, the first is one more than the second.
pub async fn bounds(conn: &mut PgConnection, id: InstanceId) -> Result<Option<(i64, i64)>, StoreError> {
    sqlx::query!(
        r#"SELECT event_seq AS last,
                  (SELECT seq FROM event WHERE event.instance_id = $1 ORDER BY seq LIMIT 1) AS "first?"
           FROM instance_lease WHERE instance_id = $1"#,
        id.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map(|row| row.map(|row| (row.first.unwrap_or(row.last + 1), row.last)))
    .map_err(StoreError::while_("read where the event log begins and ends"))
}

/// Of the messages that came in, the places of those that were not taken in before; from now on they are. Belongs into
/// the transaction that logs them.
pub async fn first_seen(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    messages: &[[&str; 3]],
    now: DateTime<Utc>,
) -> Result<Vec<usize>, StoreError> {
    let digests: Vec<Vec<u8>> = messages.iter().map(|message| digest(cipher, message)).collect();
    let mut fresh = sqlx::query_scalar!(
        "INSERT INTO seen_message (instance_id, digest, at) SELECT $1, digest, $3 FROM unnest($2::bytea[]) AS digest
         ON CONFLICT DO NOTHING RETURNING digest",
        id.as_str(),
        &digests,
        now,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("note which messages were seen"))?;
    // Each digest counts once, also where one batch brings the same message twice.
    let place = |digest: &Vec<u8>| fresh.iter().position(|other| other == digest).map(|place| fresh.swap_remove(place));
    let mut place = place;
    Ok(digests.iter().enumerate().filter_map(|(index, digest)| place(digest).map(|_| index)).collect())
}

/// Whether a message was taken in.
pub async fn is_seen(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    message: &[&str; 3],
) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (SELECT FROM seen_message WHERE instance_id = $1 AND digest = $2) AS "seen!""#,
        id.as_str(),
        &digest(cipher, message)[..],
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_("look whether a message was seen"))
}

fn digest(cipher: &InstanceCipher, [chat, sender, message]: &[&str; 3]) -> Vec<u8> {
    let parts: [&[u8]; 4] = [b"seen", chat.as_bytes(), sender.as_bytes(), message.as_bytes()];
    cipher.content().lookup_key(&parts)[..16].to_vec()
}

/// Erases what the log holds of a chat. The numbers stay, so that nobody who reads on takes it for a loss.
pub async fn erase_chat(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    chat: &ChatId,
) -> Result<u64, StoreError> {
    sqlx::query!(
        "UPDATE event SET content = NULL WHERE instance_id = $1 AND chat = $2 AND content IS NOT NULL",
        id.as_str(),
        &chat_key(cipher, chat)[..],
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(StoreError::while_("erase a chat from the event log"))
}

/// Erases an instance's log; belongs into the transaction that erases the instance.
pub(super) async fn erase_instance(conn: &mut PgConnection, id: InstanceId) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM event WHERE instance_id = $1", id.as_str())
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("erase the instance's event log"))
}

/// What a chat's rows are found by.
pub(super) fn chat_key(cipher: &InstanceCipher, chat: &ChatId) -> [u8; 32] {
    cipher.content().lookup_key(&[b"chat", chat.jid().as_bytes()])
}
