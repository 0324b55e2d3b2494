//! The truth: PostgreSQL. This module holds the only SQL of the house, one file a table.
//!
//! Functions take a connection, not the pool: the caller owns the transaction. A missing row is `Ok(None)`. Every query
//! on a tenant's rows names the account or the instance.

use sqlx::pool::PoolConnection;
use sqlx::{Connection as _, PgPool, Postgres, Transaction};

pub mod account;
pub mod audit;
pub mod cluster_secret;
pub mod embedded;
pub mod engine_state;
pub mod instance;
pub mod lease;
pub mod node;
pub mod pool;
pub mod session;
pub mod token;
pub mod vault;

pub use pool::{ConnectError, MIGRATOR};

/// A handle on the database; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {
    pool: PgPool,
}

impl Store {
    /// Wraps a pool that is already connected to a migrated database.
    pub fn new(pool: PgPool) -> Self {
        Self { pool }
    }

    /// The pool, for single statements.
    pub fn pool(&self) -> &PgPool {
        &self.pool
    }

    /// A connection, for statements that need no transaction.
    pub async fn acquire(&self) -> Result<PoolConnection<Postgres>, StoreError> {
        self.pool.acquire().await.map_err(StoreError::while_("get a connection"))
    }

    /// Whether the database answers.
    pub async fn ping(&self) -> Result<(), StoreError> {
        let mut conn = self.acquire().await?;
        conn.ping().await.map_err(StoreError::while_("answer a ping"))
    }

    /// Begins a transaction.
    pub async fn begin(&self) -> Result<Transaction<'static, Postgres>, StoreError> {
        self.pool.begin().await.map_err(StoreError::while_("begin a transaction"))
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
