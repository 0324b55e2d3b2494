//! How much an account used: counted from the event log and from what was accepted to be sent, as far as either is kept.
//! Where its instances stood is counted once an hour, since what events say of that is sealed.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::{Connection as _, PgConnection};

use crate::domain::account::AccountId;

use super::StoreError;

/// Messages of one day that stand alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// Which day, in UTC.
    pub date: NaiveDate,
    /// Where they stand; a word of a later release is told as it stands.
    pub state: String,
    /// How many.
    pub count: i64,
}

/// Messages that came in, by day.
pub async fn received(
    conn: &mut PgConnection,
    account: AccountId,
    since: DateTime<Utc>,
) -> Result<Vec<(NaiveDate, i64)>, StoreError> {
    sqlx::query!(
        r#"SELECT (e.at AT TIME ZONE 'UTC')::date AS "date!", count(*) AS "count!"
           FROM instance i JOIN event e ON e.instance_id = i.id
           WHERE i.account_id = $1 AND e.kind = 'message' AND e.at >= $2 GROUP BY 1"#,
        account.0,
        since,
    )
    .fetch_all(conn)
    .await
    .map(|rows| rows.into_iter().map(|row| (row.date, row.count)).collect())
    .map_err(StoreError::while_("count the messages that came in"))
}

/// Messages that were accepted to be sent, by day and by where they stand.
pub async fn accepted(
    conn: &mut PgConnection,
    account: AccountId,
    since: DateTime<Utc>,
) -> Result<Vec<Counted>, StoreError> {
    sqlx::query_as!(
        Counted,
        r#"SELECT (o.created_at AT TIME ZONE 'UTC')::date AS "date!", o.state, count(*) AS "count!"
           FROM instance i JOIN outbound_message o ON o.instance_id = i.id
           WHERE i.account_id = $1 AND o.created_at >= $2 GROUP BY 1, 2"#,
        account.0,
        since,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("count the messages that were sent"))
}

/// How many instances stand where.
pub async fn sessions(conn: &mut PgConnection, account: AccountId) -> Result<Vec<(String, i64)>, StoreError> {
    sqlx::query!(
        r#"SELECT s.status, count(*) AS "count!" FROM instance i JOIN session s ON s.instance_id = i.id
           WHERE i.account_id = $1 GROUP BY 1 ORDER BY 1"#,
        account.0,
    )
    .fetch_all(conn)
    .await
    .map(|rows| rows.into_iter().map(|row| (row.status, row.count)).collect())
    .map_err(StoreError::while_("count the sessions"))
}

/// How many instances of an account stood somewhere when they were counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stood {
    /// In which hour that was.
    pub hour: DateTime<Utc>,
    /// Where; a word of a later release is told as it stands.
    pub status: String,
    /// How many.
    pub count: i32,
}

/// Counts where the instances of all accounts stand, unless somebody has done so in this hour.
pub async fn take_census(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
    let failed = StoreError::while_("count where the instances stand");
    let counted = async {
        let mut tx = conn.begin().await?;
        // One node after the other: half of one count and half of another would be neither.
        sqlx::query!("LOCK TABLE session_census IN SHARE ROW EXCLUSIVE MODE").execute(&mut *tx).await?;
        sqlx::query!(
            "INSERT INTO session_census (account_id, hour, status, count)
             SELECT i.account_id, date_trunc('hour', $1::timestamptz, 'UTC'), s.status, count(*)
             FROM instance i JOIN session s ON s.instance_id = i.id
             WHERE NOT EXISTS (SELECT FROM session_census WHERE hour = date_trunc('hour', $1::timestamptz, 'UTC'))
             GROUP BY 1, 3",
            now,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await
    };
    counted.await.map_err(failed)
}

/// Where an account's instances stood, hour by hour.
pub async fn census(
    conn: &mut PgConnection,
    account: AccountId,
    since: DateTime<Utc>,
) -> Result<Vec<Stood>, StoreError> {
    sqlx::query_as!(
        Stood,
        "SELECT hour, status, count FROM session_census WHERE account_id = $1 AND hour >= $2 ORDER BY hour, status",
        account.0,
        since,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read where the instances stood"))
}

/// Forgets what was counted before `keep_from`.
pub async fn prune_census(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM session_census WHERE hour < $1", keep_from)
        .execute(conn)
        .await
        .map(drop)
        .map_err(StoreError::while_("forget where the instances stood"))
}
