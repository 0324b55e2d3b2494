//! The days of the event log: made some time ahead, dropped when they are too old.

use chrono::{DateTime, Days, NaiveDate, NaiveTime, TimeDelta, Utc};
use sqlx::{AssertSqlSafe, PgConnection};

use crate::store::StoreError;

/// Days made ahead: a database that cannot be written to for a while needs them.
const AHEAD: u64 = 3;

/// How long a change of the days waits for its lock, as PostgreSQL writes it. While it waits, whoever reads or writes the
/// log waits behind it; a backup that is under way may hold the table for hours, and the next turn comes soon enough.
const PATIENCE: &str = "1s";

/// Makes the partitions of today and the next days. Nodes that do it at once do not disturb each other.
pub async fn make(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
    let today = now.date_naive();
    for days in 0..=AHEAD {
        let Some(day) = today.checked_add_days(Days::new(days)) else { break };
        make_day(conn, day).await?;
    }
    Ok(())
}

async fn make_day(conn: &mut PgConnection, day: NaiveDate) -> Result<(), StoreError> {
    let action = "make a day of the event log";
    let name = name(day);
    let exists = sqlx::query_scalar!(r#"SELECT to_regclass($1) IS NOT NULL AS "exists!""#, name)
        .fetch_one(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
    if exists {
        return Ok(());
    }
    let (from, to) = (midnight(day), midnight(day) + TimeDelta::days(1));
    // A day whose first events are in the default partition already cannot be split off; they stay there.
    let statement = format!(
        "DO $$ BEGIN
             SET LOCAL lock_timeout = '{PATIENCE}';
             LOCK TABLE event IN SHARE UPDATE EXCLUSIVE MODE;
             IF to_regclass('{name}') IS NULL
                AND NOT EXISTS (SELECT FROM event_other WHERE at >= '{from}' AND at < '{to}') THEN
                 CREATE TABLE {name} PARTITION OF event FOR VALUES FROM ('{from}') TO ('{to}');
             END IF;
         END $$",
        from = from.to_rfc3339(),
        to = to.to_rfc3339(),
    );
    // A table's name cannot be a parameter; this one is made of a date.
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(conn).await.map(|_| ()).map_err(StoreError::while_(action))
}

/// Drops the days that ended before `keep_from`, and forgets the messages that were seen before it. Returns how many
/// days went.
pub async fn prune(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<usize, StoreError> {
    let action = "drop old days of the event log";
    let names = sqlx::query_scalar!(
        r#"SELECT relname AS "name!" FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
           WHERE inhparent = 'event'::regclass"#
    )
    .fetch_all(&mut *conn)
    .await
    .map_err(StoreError::while_(action))?;
    let old: Vec<NaiveDate> = names
        .iter()
        .filter_map(|name| day(name))
        .filter(|day| midnight(*day) + TimeDelta::days(1) <= keep_from)
        .collect();
    for day in &old {
        let name = name(*day);
        let statement =
            format!("DO $$ BEGIN SET LOCAL lock_timeout = '{PATIENCE}'; DROP TABLE IF EXISTS {name}; END $$");
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(&mut *conn).await.map_err(StoreError::while_(action))?;
    }
    sqlx::query!("DELETE FROM event_other WHERE at < $1", keep_from)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_(action))?;
    sqlx::query!("DELETE FROM seen_message WHERE at < $1", keep_from)
        .execute(conn)
        .await
        .map_err(StoreError::while_("forget messages seen long ago"))?;
    Ok(old.len())
}

fn name(day: NaiveDate) -> String {
    format!("event_{}", day.format("%Y%m%d"))
}

fn day(name: &str) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(name.strip_prefix("event_")?, "%Y%m%d").ok()
}

fn midnight(day: NaiveDate) -> DateTime<Utc> {
    day.and_time(NaiveTime::MIN).and_utc()
}
