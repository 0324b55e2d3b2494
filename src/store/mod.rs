//! The truth: PostgreSQL. This module holds the only SQL of the house, one file a table.
//!
//! Functions take a connection, not the pool: the caller owns the transaction. A missing row is `Ok(None)`. Every query
//! on a tenant's rows names the account or the instance.

use sqlx::{PgPool, Postgres, Transaction};

pub mod embedded;
pub mod engine_state;
pub mod lease;
pub mod node;
pub mod pool;
pub mod session;
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
}
