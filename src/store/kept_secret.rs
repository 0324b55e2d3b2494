//! `kept_secret`: secrets that are told again for a while, such as the token of an instance whose creation is repeated.
//!
//! A token itself is stored as a hash only. Where an answer that shows it must be repeatable, its text is kept here,
//! sealed with its instance's key, until it is forgotten. A logout replaces that key, and forgets them all.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use secrecy::zeroize::Zeroizing;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;

use super::StoreError;
use super::lease::stored_id;
use super::vault::{CipherError, InstanceCipher, Vault, VaultError};

const TABLE: &str = "kept_secret";

/// Keeps the text of a token of `instance`; belongs into the transaction that adds the token.
pub async fn keep(
    conn: &mut PgConnection,
    vault: &Vault,
    (instance, token_id): (InstanceId, Uuid),
    secret: &str,
    expires_at: DateTime<Utc>,
) -> Result<(), VaultError> {
    let sealed = vault.cipher(conn, instance).await?.seal(TABLE, token_id.as_bytes(), secret.as_bytes());
    sqlx::query!(
        "INSERT INTO kept_secret (token_id, instance_id, sealed, expires_at) VALUES ($1, $2, $3, $4)",
        token_id,
        instance.as_str(),
        sealed,
        expires_at,
    )
    .execute(conn)
    .await
    .map_err(StoreError::while_("keep a secret"))?;
    Ok(())
}

/// The text of an account's token; `None` once it is forgotten, or when the token is no longer good for anything.
pub async fn tell(
    conn: &mut PgConnection,
    vault: &Vault,
    account: AccountId,
    token_id: Uuid,
    now: DateTime<Utc>,
) -> Result<Option<SecretString>, VaultError> {
    let row = sqlx::query!(
        "SELECT k.instance_id, k.sealed FROM kept_secret k JOIN api_token t ON t.id = k.token_id
         WHERE k.token_id = $2 AND t.account_id = $1 AND k.expires_at > $3
           AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $3)",
        account.0,
        token_id,
        now,
    )
    .fetch_optional(&mut *conn)
    .await
    .map_err(StoreError::while_("read a kept secret"))?;
    let Some(row) = row else { return Ok(None) };
    let id = stored_id(&row.instance_id);
    if let Ok(secret) = open(&vault.cipher(conn, id).await?, token_id, &row.sealed) {
        return Ok(Some(secret));
    }
    // The key in memory may be one that another node has replaced.
    vault.forget(id);
    Ok(open(&vault.cipher(conn, id).await?, token_id, &row.sealed).ok())
}

fn open(cipher: &InstanceCipher, token_id: Uuid, sealed: &[u8]) -> Result<SecretString, CipherError> {
    let bytes = Zeroizing::new(cipher.open(TABLE, token_id.as_bytes(), sealed)?);
    std::str::from_utf8(&bytes).map(SecretString::from).map_err(|_| CipherError::UnknownFormat)
}

/// Deletes the secrets whose time is over; how many there were.
pub async fn forget_expired(conn: &mut PgConnection, now: DateTime<Utc>) -> Result<u64, StoreError> {
    sqlx::query!("DELETE FROM kept_secret WHERE expires_at <= $1", now)
        .execute(conn)
        .await
        .map(|done| done.rows_affected())
        .map_err(StoreError::while_("forget kept secrets"))
}
