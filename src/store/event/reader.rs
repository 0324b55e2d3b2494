//! Reading a log in order to tell it on.
//!
//! Whoever tells a log on must come past everything in it: an event whose key is gone is told as an erased one. What a later release wrote stays where it is until one that can read it comes along.

use sqlx::PgConnection;
use tracing::info;

use crate::domain::event::{Content, EventKind, Logged};
use crate::domain::instance::InstanceId;
use crate::store::StoreError;
use crate::store::vault::{CipherError, InstanceCipher, Vault, VaultError};

use super::open;

/// What was read.
#[derive(Debug, Clone, PartialEq)]
pub struct Reading {
    /// The events, in their order.
    pub events: Vec<Logged>,
    /// Whether the next one is of a release that this one cannot read.
    pub is_cut: bool,
}

/// Which events are wanted.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Those behind this number …
    pub after: i64,
    /// … of these kinds …
    pub kinds: &'a [EventKind],
    /// … and no more than so many.
    pub limit: i64,
}

/// A row that holds an event, here or among the dead letters.
pub(in crate::store) struct Row {
    pub(in crate::store) seq: i64,
    pub(in crate::store) at: chrono::DateTime<chrono::Utc>,
    pub(in crate::store) kind: String,
    pub(in crate::store) content: Option<Vec<u8>>,
}

/// Events of one log, in their order. Kinds that this release does not know count as wanted, and cut the reading.
pub async fn read(
    conn: &mut PgConnection,
    vault: &Vault,
    id: InstanceId,
    wanted: Wanted<'_>,
) -> Result<Reading, VaultError> {
    let words = |kinds: &[EventKind]| kinds.iter().map(|kind| kind.as_str().to_owned()).collect::<Vec<_>>();
    let rows = sqlx::query_as!(
        Row,
        "SELECT seq, at, kind, content FROM event
         WHERE instance_id = $1 AND seq > $2 AND (kind = ANY($3) OR kind <> ALL($4)) ORDER BY seq LIMIT $5",
        id.as_str(),
        wanted.after,
        &words(wanted.kinds),
        &words(EventKind::ALL),
        wanted.limit,
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::while_("read the event log"))?;
    opened(conn, vault, id, rows).await
}

/// Opens rows, up to the first that this release cannot read.
pub(in crate::store) async fn opened(
    conn: &mut PgConnection,
    vault: &Vault,
    id: InstanceId,
    rows: Vec<Row>,
) -> Result<Reading, VaultError> {
    let mut reading = Reading { events: Vec::with_capacity(rows.len()), is_cut: false };
    if rows.is_empty() {
        return Ok(reading);
    }
    let mut cipher = vault.cipher(conn, id).await?;
    let mut is_fresh = false;
    for row in rows {
        let mut unsealed = unseal(&cipher, &row);
        if matches!(unsealed, Unsealed::OtherKey) && !is_fresh {
            // The key in memory may be one that another node has replaced.
            vault.forget(id);
            cipher = vault.cipher(conn, id).await?;
            is_fresh = true;
            unsealed = unseal(&cipher, &row);
        }
        let content = match unsealed {
            Unsealed::Content(content) => Some(content),
            Unsealed::Erased | Unsealed::OtherKey => None,
            Unsealed::Unreadable => {
                reading.is_cut = true;
                break;
            }
        };
        let Some(kind) = EventKind::parse(&row.kind) else {
            reading.is_cut = true;
            break;
        };
        reading.events.push(Logged { instance_id: id, seq: row.seq, kind, at: row.at, content });
    }
    if reading.is_cut {
        info!(instance.id = %id, "an event of a later release waits for one that can read it");
    }
    Ok(reading)
}

enum Unsealed {
    Content(Content),
    Erased,
    OtherKey,
    Unreadable,
}

fn unseal(cipher: &InstanceCipher, row: &Row) -> Unsealed {
    let Some(sealed) = &row.content else { return Unsealed::Erased };
    match open(cipher, row.seq, sealed) {
        Ok(content) => Unsealed::Content(content),
        Err(super::EventError::Sealed(CipherError::Mismatch)) => Unsealed::OtherKey,
        Err(
            super::EventError::Sealed(CipherError::UnknownFormat)
            | super::EventError::Unreadable(_)
            | super::EventError::Store(_),
        ) => Unsealed::Unreadable,
    }
}
