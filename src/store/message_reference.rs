//! `message_reference`: what later requests need of messages that came in, found by a message's id.
//!
//! - `media`: a [`MediaReference`] for each message that came with a file; [`media`] finds it.
//! - `poll`: what the answers of a poll are called, so that votes can be told in words; [`poll`] finds them.
//!
//! WhatsApp's ids are unique within a chat and sender only, and callers name a message by its id alone: the first
//! message of an id is the one that is found, whoever sends another later. A row is found by a keyed hash of the id and
//! holds its JSON sealed with the instance's content key.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sqlx::PgConnection;

use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::media_reference::MediaReference;

use super::StoreError;
use super::event::{EventError, chat_key};
use super::vault::InstanceCipher;

const TABLE: &str = "message_reference";
const MEDIA: &str = "media";
const POLL: &str = "poll";

/// Something to keep of a message.
#[derive(Debug, Clone)]
pub struct Kept {
    /// WhatsApp's id of the message.
    pub message_id: String,
    /// In which chat it came.
    pub chat: Option<ChatId>,
    /// When.
    pub at: DateTime<Utc>,
    /// What to keep.
    pub what: What,
}

/// What is kept of a message.
#[derive(Debug, Clone)]
pub enum What {
    /// Where its file lies.
    Media(MediaReference),
    /// What the answers of the poll are called.
    Poll(Vec<String>),
}

impl What {
    fn kind(&self) -> &'static str {
        match self {
            Self::Media(_) => MEDIA,
            Self::Poll(_) => POLL,
        }
    }

    fn plaintext(&self) -> Vec<u8> {
        match self {
            Self::Media(reference) => json(reference),
            Self::Poll(options) => json(options),
        }
    }
}

/// Keeps references. Belongs into the transaction that logs their messages.
pub async fn keep(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    references: &[Kept],
) -> Result<(), StoreError> {
    if references.is_empty() {
        return Ok(());
    }
    let (mut kinds, mut digests, mut chats, mut contents, mut ats) = (vec![], vec![], vec![], vec![], vec![]);
    for kept in references {
        let digest = digest(cipher, kept.what.kind(), &kept.message_id);
        contents.push(cipher.content().seal(TABLE, &digest, &kept.what.plaintext()));
        kinds.push(kept.what.kind().to_owned());
        digests.push(digest);
        chats.push(kept.chat.as_ref().map(|chat| chat_key(cipher, chat).to_vec()));
        ats.push(kept.at);
    }
    sqlx::query!(
        "INSERT INTO message_reference (instance_id, kind, digest, chat, content, at)
         SELECT $1, * FROM unnest($2::text[], $3::bytea[], $4::bytea[], $5::bytea[], $6::timestamptz[])
         ON CONFLICT DO NOTHING",
        id.as_str(),
        &kinds,
        &digests,
        &chats as &[Option<Vec<u8>>],
        &contents,
        &ats,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("keep references of messages"))
}

/// Where the file of a message lies; `None` if there is no such message, or none with a file.
pub async fn media(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    message_id: &str,
) -> Result<Option<MediaReference>, EventError> {
    find(conn, cipher, id, MEDIA, message_id).await
}

/// What the answers of a poll are called; `None` if the poll did not come in here.
pub async fn poll(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    message_id: &str,
) -> Result<Option<Vec<String>>, EventError> {
    find(conn, cipher, id, POLL, message_id).await
}

async fn find<T: DeserializeOwned>(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    kind: &str,
    message_id: &str,
) -> Result<Option<T>, EventError> {
    let digest = digest(cipher, kind, message_id);
    let sealed = sqlx::query_scalar!(
        "SELECT content FROM message_reference WHERE instance_id = $1 AND kind = $2 AND digest = $3",
        id.as_str(),
        kind,
        &digest[..],
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("read a reference of a message"))?;
    let Some(sealed) = sealed else { return Ok(None) };
    let plaintext = cipher.content().open(TABLE, &digest, &sealed)?;
    serde_json::from_slice(&plaintext).map(Some).map_err(EventError::Unreadable)
}

/// What the file of a message is called wherever it is kept: the keyed hash by which its reference is found.
pub fn media_digest(cipher: &InstanceCipher, message_id: &str) -> [u8; 16] {
    digest(cipher, MEDIA, message_id).try_into().expect("a digest has 16 bytes")
}

/// Of these files, the places of those to which no message refers any more.
pub async fn unreferred(conn: &mut PgConnection, files: &[(InstanceId, [u8; 16])]) -> Result<Vec<usize>, StoreError> {
    let (ids, digests): (Vec<String>, Vec<Vec<u8>>) =
        files.iter().map(|(id, digest)| (id.as_str().to_owned(), digest.to_vec())).unzip();
    let places = sqlx::query_scalar!(
        r#"SELECT place AS "place!" FROM unnest($1::text[], $2::bytea[]) WITH ORDINALITY AS file (id, digest, place)
           WHERE NOT EXISTS (SELECT FROM message_reference kept
                             WHERE kept.instance_id = file.id AND kept.kind = 'media' AND kept.digest = file.digest)"#,
        &ids,
        &digests,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("look which files are referred to"))?;
    Ok(places.into_iter().filter_map(|place| usize::try_from(place - 1).ok()).collect())
}

/// Erases what is kept of a chat's messages; how many.
pub async fn erase_chat(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    chat: &ChatId,
) -> Result<u64, StoreError> {
    sqlx::query!(
        "DELETE FROM message_reference WHERE instance_id = $1 AND chat = $2",
        id.as_str(),
        &chat_key(cipher, chat)[..],
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected())
    .map_err(StoreError::while_("erase references of a chat's messages"))
}

/// Forgets what was kept before `keep_from`.
pub async fn prune(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM message_reference WHERE at < $1", keep_from)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("forget old references of messages"))
}

fn digest(cipher: &InstanceCipher, kind: &str, message_id: &str) -> Vec<u8> {
    cipher.content().lookup_key(&[b"reference", kind.as_bytes(), message_id.as_bytes()])[..16].to_vec()
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    serde_json::to_vec(value).expect("a reference has no keys but text")
}
