//! The keys of accounts, for what is an account's and no instance's: the secrets of its webhooks.
//!
//! They are few and read seldom, each once for a claim of a stream, so none is kept in memory.

use sqlx::PgConnection;
use tracing::warn;

use crate::domain::account::AccountId;
use crate::store::{Store, StoreError};

use super::cipher::{self, Key};
use super::{AccountCipher, CipherError, Vault, VaultError, unwrap_for};

const KEY_TABLE: &str = "account_key";

/// Read, drawn, read: a third time means something else is wrong.
const TRIES: usize = 2;

impl Vault {
    /// What the account's own values are sealed with. Its key is drawn on the first call, in `conn`'s transaction if it
    /// is in one.
    pub async fn account_cipher(&self, conn: &mut PgConnection, id: AccountId) -> Result<AccountCipher, VaultError> {
        for _ in 0..TRIES {
            if let Some((kek_id, wrapped)) = read(conn, id).await? {
                return Ok(AccountCipher::new(id, &self.unwrap_account(id, &kek_id, &wrapped)?));
            }
            let wrapped = self.wrap_for((KEY_TABLE, &id.to_string()), &cipher::random_key());
            // Read again rather than believed: somebody else may have been first.
            sqlx::query!(
                "INSERT INTO account_key (account_id, kek_id, wrapped) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING",
                id.0,
                self.active,
                wrapped,
            )
            .execute(&mut *conn)
            .await
            .map_err(StoreError::while_("keep the key of an account"))?;
        }
        Err(StoreError { action: "read the account's key it just kept", source: sqlx::Error::RowNotFound }.into())
    }

    /// Drops the account's key: what was sealed with it is lost for good once the transaction commits.
    pub async fn shred_account(&self, conn: &mut PgConnection, id: AccountId) -> Result<(), StoreError> {
        sqlx::query!("DELETE FROM account_key WHERE account_id = $1", id.0)
            .execute(conn)
            .await
            .map(|_| ())
            .map_err(StoreError::while_("drop the key of an account"))
    }

    /// Wraps every account's key by the active key; how many there were.
    pub(super) async fn rewrap_accounts(&self, store: &Store) -> Result<usize, VaultError> {
        let mut tx = store.begin().await?;
        let rows = sqlx::query!(
            "SELECT account_id, kek_id, wrapped FROM account_key WHERE kek_id <> $1 FOR UPDATE",
            self.active
        )
        .fetch_all(&mut *tx)
        .await
        .map_err(StoreError::while_("read the keys of accounts to rewrap"))?;
        let mut rewrapped = 0;
        for row in rows {
            let id = AccountId(row.account_id);
            let key = match self.unwrap_account(id, &row.kek_id, &row.wrapped) {
                Ok(key) => key,
                Err(error @ VaultError::DamagedAccountKey { .. }) => {
                    warn!(error = %error, "the key stays as it is");
                    continue;
                }
                Err(error) => return Err(error),
            };
            sqlx::query!(
                "UPDATE account_key SET kek_id = $2, wrapped = $3 WHERE account_id = $1",
                id.0,
                self.active,
                self.wrap_for((KEY_TABLE, &id.to_string()), &key),
            )
            .execute(&mut *tx)
            .await
            .map_err(StoreError::while_("keep the rewrapped key of an account"))?;
            rewrapped += 1;
        }
        tx.commit().await.map_err(StoreError::while_("commit the rewrapped keys of accounts"))?;
        Ok(rewrapped)
    }

    fn unwrap_account(&self, id: AccountId, kek_id: &str, wrapped: &[u8]) -> Result<Key, VaultError> {
        let damaged = |source: CipherError| VaultError::DamagedAccountKey { id, source };
        unwrap_for((KEY_TABLE, &id.to_string()), (kek_id, self.kek(kek_id)?), wrapped).map_err(damaged)
    }
}

async fn read(conn: &mut PgConnection, id: AccountId) -> Result<Option<(String, Vec<u8>)>, StoreError> {
    sqlx::query!("SELECT kek_id, wrapped FROM account_key WHERE account_id = $1", id.0)
        .fetch_optional(conn)
        .await
        .map(|row| row.map(|row| (row.kek_id, row.wrapped)))
        .map_err(StoreError::while_("read the key of an account"))
}
