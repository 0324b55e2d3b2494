//! How much an account used: counted from the event log and from what was accepted to be sent, as far as either is kept.

use chrono::{DateTime, NaiveDate, Utc};
use sqlx::PgConnection;

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
