//! `api_token`: who may call. The token itself is never here, only its SHA-256 and its last four characters.

use chrono::{DateTime, Utc};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::{Scope, Token, TokenHash, TokenKind};

use super::StoreError;

/// Whose a new token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// The operator.
    Operator,
    /// An account.
    Account(AccountId),
    /// One instance of an account.
    Instance(AccountId, InstanceId),
}

/// A token that is neither expired nor revoked, and what the gateway must know of its account at every call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveToken {
    /// Identifies the token where it must be named: in limits and in the audit log.
    pub id: Uuid,
    /// What it is for.
    pub kind: TokenKind,
    /// Whose it is; `None` for the operator's.
    pub account_id: Option<AccountId>,
    /// The one instance of an instance or link token.
    pub instance_id: Option<InstanceId>,
    /// What an instance token may do.
    pub scopes: Vec<Scope>,
    /// The last four characters.
    pub last4: String,
    /// When it ends.
    pub expires_at: Option<DateTime<Utc>>,
    /// The account refuses tokens in queries and bodies.
    pub require_header_auth: bool,
    /// The account lets start, stop and restart be asked by GET.
    pub allow_get_control: bool,
}

/// Adds a token.
pub async fn insert(
    conn: &mut PgConnection,
    id: Uuid,
    token: &Token,
    holder: Holder,
    scopes: &[Scope],
    now: DateTime<Utc>,
    expires_at: Option<DateTime<Utc>>,
) -> Result<(), StoreError> {
    let (account_id, instance_id) = match holder {
        Holder::Operator => (None, None),
        Holder::Account(account) => (Some(account.0), None),
        Holder::Instance(account, instance) => (Some(account.0), Some(instance)),
    };
    let scopes: Vec<String> = scopes.iter().map(|scope| scope.as_str().to_owned()).collect();
    sqlx::query!(
        r#"INSERT INTO api_token (id, kind, account_id, instance_id, hash, last4, scopes, created_at, expires_at)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"#,
        id,
        token.kind().as_str(),
        account_id,
        instance_id.as_ref().map(InstanceId::as_str),
        &token.hash().0[..],
        token.last4(),
        &scopes,
        now,
        expires_at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("add the token"))
}

/// Finds a token that is neither expired nor revoked, of an account that was not deleted.
pub async fn find_live(
    conn: &mut PgConnection,
    hash: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<LiveToken>, StoreError> {
    let action = "find the token";
    let row = sqlx::query!(
        r#"SELECT t.id, t.kind, t.account_id, t.instance_id, t.scopes, t.last4, t.expires_at,
                  a.require_header_auth AS "require_header_auth?", a.allow_get_control AS "allow_get_control?"
           FROM api_token t LEFT JOIN account a ON a.id = t.account_id
           WHERE t.hash = $1 AND t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $2)
             AND a.deleted_at IS NULL"#,
        &hash.0[..],
        now,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_(action))?;
    let Some(row) = row else { return Ok(None) };
    let kind = TokenKind::parse(&row.kind).ok_or_else(|| StoreError::unreadable(action, "kind"))?;
    let instance_id = row.instance_id.as_deref().map(InstanceId::parse).transpose();
    Ok(Some(LiveToken {
        id: row.id,
        kind,
        account_id: row.account_id.map(AccountId),
        instance_id: instance_id.map_err(|_| StoreError::unreadable(action, "instance_id"))?,
        // A scope of a later release grants nothing here.
        scopes: row.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
        last4: row.last4,
        expires_at: row.expires_at,
        require_header_auth: row.require_header_auth.unwrap_or(false),
        allow_get_control: row.allow_get_control.unwrap_or(false),
    }))
}

/// Revokes a token of an account; `false` if there is no such live token.
pub async fn revoke(
    conn: &mut PgConnection,
    account_id: AccountId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE api_token SET revoked_at = $3 WHERE id = $2 AND account_id = $1 AND revoked_at IS NULL",
        account_id.0,
        id,
        now,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("revoke the token"))
}

/// The tokens revoked since `since`, of every account: what a node drops from its memory.
pub async fn revoked_since(conn: &mut PgConnection, since: DateTime<Utc>) -> Result<Vec<TokenHash>, StoreError> {
    let action = "read the revoked tokens";
    let hashes = sqlx::query_scalar!("SELECT hash FROM api_token WHERE revoked_at >= $1", since)
        .fetch_all(conn)
        .await
        .map_err(StoreError::while_(action))?;
    hashes
        .into_iter()
        .map(|hash| hash.try_into().map(TokenHash).map_err(|_| StoreError::unreadable(action, "hash")))
        .collect()
}
