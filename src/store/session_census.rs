//! `session_census`: where the instances of each account stood, counted once an hour, since what events say of that is
//! sealed.

use chrono::{DateTime, Utc};
use sqlx::{Connection as _, PgConnection};

use crate::domain::account::AccountId;

use super::StoreError;

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
pub async fn take(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<(), StoreError> {
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
pub async fn of(conn: &mut PgConnection, account: AccountId, since: DateTime<Utc>) -> Result<Vec<Stood>, StoreError> {
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
pub async fn prune(conn: &mut PgConnection, keep_from: DateTime<Utc>) -> Result<(), StoreError> {
    sqlx::query!("DELETE FROM session_census WHERE hour < $1", keep_from)
        .execute(conn)
        .await
        .map(drop)
        .map_err(StoreError::while_("forget where the instances stood"))
}
