//! `send_pace`: how fast an instance may send, where its owner chose it, and what the messages themselves tell of how
//! fast it did.

use chrono::{DateTime, NaiveTime, TimeDelta, Utc};
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Ledger, Over, Pace};
use crate::store::StoreError;

/// The pace that was chosen for an instance, if one was.
pub async fn read(conn: &mut PgConnection, id: InstanceId) -> Result<Option<Pace>, StoreError> {
    let action = "read an instance's pace";
    let row =
        sqlx::query!("SELECT per_minute, per_day, pause_ms, over FROM send_pace WHERE instance_id = $1", id.as_str())
            .fetch_optional(conn)
            .await
            .map_err(StoreError::while_(action))?;
    row.map(|row| {
        Ok(Pace {
            per_minute: row.per_minute.unsigned_abs(),
            per_day: row.per_day.unsigned_abs(),
            pause: TimeDelta::milliseconds(row.pause_ms.into()),
            over: Over::parse(&row.over).ok_or(StoreError::unreadable(action, "over"))?,
        })
    })
    .transpose()
}

/// Writes the pace that was chosen for an instance.
pub async fn write(conn: &mut PgConnection, id: InstanceId, pace: &Pace) -> Result<(), StoreError> {
    let integer = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    sqlx::query!(
        "INSERT INTO send_pace (instance_id, per_minute, per_day, pause_ms, over) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (instance_id) DO UPDATE SET per_minute = EXCLUDED.per_minute, per_day = EXCLUDED.per_day,
             pause_ms = EXCLUDED.pause_ms, over = EXCLUDED.over",
        id.as_str(),
        integer(pace.per_minute),
        integer(pace.per_day),
        i32::try_from(pace.pause.num_milliseconds()).unwrap_or(i32::MAX),
        pace.over.as_str(),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("write an instance's pace"))
}

/// The moments that an instance's messages were given, as far as `pace` depends on them.
pub async fn ledger(conn: &mut PgConnection, id: InstanceId, pace: &Pace) -> Result<Ledger, StoreError> {
    let action = "read how fast an instance has sent";
    let mut recent: Vec<DateTime<Utc>> = sqlx::query_scalar!(
        "SELECT due_at FROM outbound_message WHERE instance_id = $1 ORDER BY due_at DESC LIMIT $2",
        id.as_str(),
        i64::from(pace.per_minute),
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::while_(action))?;
    recent.reverse();
    let Some(last) = recent.last() else { return Ok(Ledger::default()) };
    let day = last.date_naive().and_time(NaiveTime::MIN).and_utc();
    let used = sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM outbound_message WHERE instance_id = $1 AND due_at >= $2"#,
        id.as_str(),
        day,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_(action))?;
    Ok(Ledger::resume(recent, u32::try_from(used).unwrap_or(u32::MAX)))
}
