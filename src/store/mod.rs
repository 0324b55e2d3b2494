//! The truth: PostgreSQL. This module holds the only SQL of the house, one file a table.
//!
//! Functions take a connection, not the pool: the caller owns the transaction. A missing row is `Ok(None)`. Every query
//! on a tenant's rows names the account or the instance.

use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::time::Instant;

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgPool, Postgres, Transaction};
use tokio::runtime::Handle;

use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::telemetry::metrics::{EventMeter, PoolMeter, PoolReading};

pub mod account;
pub mod account_origin;
pub mod audit;
pub mod cluster_secret;
pub mod dashboard;
pub mod embedded;
pub mod engine_state;
pub mod event;
pub mod idempotency;
pub mod instance;
pub mod kept_secret;
pub mod lease;
pub mod link;
pub mod message_reference;
pub mod node;
pub mod outbound;
pub mod pool;
pub mod session;
pub mod session_census;
pub mod token;
pub mod usage;
pub mod vault;
pub mod webhook;

use pool::Doubts;
pub use pool::{ConnectError, MIGRATOR};

/// A handle on the database; cheap to clone.
///
/// A connection belongs to the runtime it was opened on and dies with it. HTTP workers have runtimes of their own, which
/// end before sessions are drained; so connections are opened on the store's runtime, whoever asks for one.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
    home: Handle,
    meter: PoolMeter,
    doubts: Doubts,
    bell: event::Bell,
    events: EventMeter,
}

impl Store {
    /// Wraps a pool that is already connected to a migrated database. The current runtime becomes the store's.
    pub fn new(pool: PgPool) -> Self {
        Self {
            pool,
            home: Handle::current(),
            meter: PoolMeter::default(),
            doubts: Doubts::default(),
            bell: event::Bell::default(),
            events: EventMeter::default(),
        }
    }

    /// The pool, for single statements.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// Who waits for the event logs to grow: whoever commits to one rings here.
    pub fn bell(&self) -> &event::Bell {
        &self.bell
    }

    /// Events of these kinds were committed to the log of `id`, the last of them with the number `last`: counts them and
    /// rings.
    pub fn logged(&self, id: InstanceId, last: i64, kinds: impl IntoIterator<Item = EventKind>) {
        kinds.into_iter().for_each(|kind| self.events.logged(kind));
        self.bell.ring(id, last);
    }

    /// What was added to the event logs by this node.
    pub fn events(&self) -> &EventMeter {
        &self.events
    }

    /// Who waits for a connection, and how long.
    pub fn meter(&self) -> &PoolMeter {
        &self.meter
    }

    /// How many connections there are.
    pub fn reading(&self) -> PoolReading {
        let idle = u32::try_from(self.pool.num_idle()).unwrap_or(u32::MAX);
        PoolReading { size: self.pool.size(), idle, max: self.pool.options().get_max_connections() }
    }

    /// A connection, for statements that need no transaction.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        let pool = self.pool.clone();
        self.at_home("get a connection", Box::pin(async move { pool.acquire().await })).await
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.acquire().await?;
        conn.ping().await.map_err(StoreError::while_("answer a ping"))
    }

    /// Begins a transaction. A connection that turns out to be broken is no reason to fail: nothing was done on it yet,
    /// and the next one is tested.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        let begun = || {
            let pool = self.pool.clone();
            self.at_home("begin a transaction", Box::pin(async move { pool.begin().await }))
        };
        match begun().await {
            Err(error) if is_broken(&error.source) => {
                self.doubt();
                begun().await
            }
            outcome => outcome,
        }
    }

    /// A connection was found broken: those that were idle then are tested before they are used again.
    pub fn doubt(&self) {
        self.doubts.raise();
    }

    /// Runs what may open a connection on the store's runtime. It is boxed, because the driver's futures are large and
    /// every actor would carry one.
    async fn at_home<T: Send + 'static>(
        &self,
        action: &'static str,
        opening: Pin<Box<dyn Future<Output = Result<T, sqlx::Error>> + Send>>,
    ) -> Result<T, StoreError> {
        let (waiting, began) = (self.meter.wait(), Instant::now());
        let outcome = if Handle::try_current().is_ok_and(|here| here.id() == self.home.id()) {
            opening.await
        } else {
            // It is cancelled only with its runtime, and then the pool is of no use any more.
            self.home.spawn(opening).await.unwrap_or(Err(sqlx::Error::PoolClosed))
        };
        waiting.ended(outcome.is_ok(), began.elapsed());
        outcome.map_err(StoreError::while_(action))
    }
}

/// Whether an error, or what it comes from, is that the database went away: it was stopped, it starts, or its connections
/// broke. The same may succeed once it is back.
pub fn is_outage(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<sqlx::Error>() {
            return is_broken(error) || matches!(error, sqlx::Error::PoolTimedOut | sqlx::Error::PoolClosed);
        }
        cause = error.source();
    }
    false
}

/// Whether the connection, or the attempt to make one, ended with the server rather than with the statement.
fn is_broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        // Class 08: connection exceptions. admin_shutdown, crash_shutdown, cannot_connect_now, idle_session_timeout,
        // too_many_connections.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            code.starts_with("08") || matches!(&*code, "57P01" | "57P02" | "57P03" | "57P05" | "53300")
        }),
        _ => false,
    }
}

/// A statement failed.
#[derive(Debug, thiserror::Error)]
#[error("the database could not {action}")]
pub struct StoreError {
    /// What we were doing, as an infinitive: "read the instance".
    pub action: &'static str,
    /// What the driver said.
    #[source]
    pub source: sqlx::Error,
}

impl StoreError {
    /// For `map_err`: `query.await.map_err(StoreError::while_("read the instance"))`.
    pub fn while_(action: &'static str) -> impl FnOnce(sqlx::Error) -> Self {
        move |source| Self { action, source }
    }

    /// A column holds what this release cannot read.
    pub fn unreadable(action: &'static str, column: &'static str) -> Self {
        let source = sqlx::Error::ColumnDecode { index: column.to_owned(), source: "an unknown value".into() };
        Self { action, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_went_away_is_told_from_a_statement_that_failed_however_deep_it_lies() {
        let while_reading = |source| StoreError { action: "read the session", source };
        for lost in [
            sqlx::Error::Io(std::io::ErrorKind::ConnectionReset.into()),
            sqlx::Error::PoolTimedOut,
            sqlx::Error::PoolClosed,
            sqlx::Error::WorkerCrashed,
        ] {
            assert!(is_outage(&vault::VaultError::from(while_reading(lost))));
        }
        assert!(!is_outage(&vault::VaultError::from(while_reading(sqlx::Error::RowNotFound))));
        assert!(!is_outage(&std::io::Error::from(std::io::ErrorKind::ConnectionReset)), "some other connection");
    }
}
