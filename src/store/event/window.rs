//! Reading a stretch of the log, all of it or some kinds only.

use sqlx::PgConnection;

use crate::domain::event::{EventKind, Logged};
use crate::domain::instance::InstanceId;
use crate::store::StoreError;
use crate::store::vault::InstanceCipher;

use super::{EventError, open};

/// A stretch of an instance's log.
#[derive(Debug, Clone, Copy)]
pub struct Window<'a> {
    /// The number before its first event.
    pub after: i64,
    /// The number of its last event. Numbers have no gaps, so this bounds the work however rare the kinds are.
    pub up_to: i64,
    /// The kinds to read; none: all of them.
    pub kinds: &'a [EventKind],
    /// Events at most.
    pub limit: i64,
}

/// The events of a window, in their order.
pub async fn read(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    window: Window<'_>,
) -> Result<Vec<Logged>, EventError> {
    let kinds: Vec<String> = window.kinds.iter().map(ToString::to_string).collect();
    let rows = sqlx::query!(
        "SELECT seq, at, kind, content FROM event
         WHERE instance_id = $1 AND seq > $2 AND seq <= $3 AND (cardinality($4::text[]) = 0 OR kind = ANY($4))
         ORDER BY seq LIMIT $5",
        id.as_str(),
        window.after,
        window.up_to,
        &kinds,
        window.limit,
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
