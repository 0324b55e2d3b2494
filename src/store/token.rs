//! `api_token`: who may call. The token itself is never here, only its SHA-256 and its last four characters.

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::TryStreamExt;
use sqlx::PgConnection;
use uuid::Uuid;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::{Scope, Token, TokenHash, TokenKind};

use super::StoreError;

/// Tokens a list holds at most.
const LISTED: i64 = 300;

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

impl Holder {
    /// What its tokens are for; link tokens aside, which are no holder's to list.
    pub const fn kind(self) -> TokenKind {
        match self {
            Self::Operator => TokenKind::Operator,
            Self::Account(_) => TokenKind::Account,
            Self::Instance(..) => TokenKind::Instance,
        }
    }

    /// The account and the instance.
    fn columns(self) -> (Option<Uuid>, Option<InstanceId>) {
        match self {
            Self::Operator => (None, None),
            Self::Account(account) => (Some(account.0), None),
            Self::Instance(account, instance) => (Some(account.0), Some(instance)),
        }
    }
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
    /// When the token last changed, by the database's clock.
    pub changed_at: DateTime<Utc>,
    /// When its account last changed; `None` for the operator's.
    pub account_changed_at: Option<DateTime<Utc>>,
}

/// A token as its holder sees it in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its id.
    pub id: Uuid,
    /// The last four characters.
    pub last4: String,
    /// What its holder calls it.
    pub name: Option<String>,
    /// What an instance token may do.
    pub scopes: Vec<Scope>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ends or ended by itself.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was replaced by another; it ends at `expires_at`.
    pub rotated_at: Option<DateTime<Utc>>,
    /// When it was revoked.
    pub revoked_at: Option<DateTime<Utc>>,
}

impl Listed {
    /// Whether it still opens anything.
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.expires_at.is_none_or(|expiry| expiry > now)
    }
}

/// A token that some node made, changed or revoked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub id: Uuid,
    /// [`TokenHash::prefix`] of its hash.
    pub prefix: u64,
    /// When, by the database's clock.
    pub at: DateTime<Utc>,
    /// It was revoked.
    pub revoked: bool,
}

/// Gives a token that was just added a name.
pub async fn name(conn: &mut PgConnection, id: Uuid, name: &str) -> Result<(), StoreError> {
    sqlx::query!("UPDATE api_token SET name = $2 WHERE id = $1", id, name)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("name the token"))
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
    let (account_id, instance_id) = holder.columns();
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
        r#"SELECT t.id, t.kind, t.account_id, t.instance_id, t.scopes, t.last4, t.expires_at, t.changed_at,
                  a.changed_at AS "account_changed_at?",
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
        changed_at: row.changed_at,
        account_changed_at: row.account_changed_at,
    }))
}

/// An account's key that opens nothing any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EndedKey {
    /// Whose it was.
    pub account_id: AccountId,
    /// Its last four characters.
    pub last4: String,
    /// It was revoked, rather than that it expired.
    pub was_revoked: bool,
}

/// Finds an account's key that was revoked or has expired, of an account that was not deleted.
pub async fn find_ended_key(
    conn: &mut PgConnection,
    hash: &TokenHash,
    now: DateTime<Utc>,
) -> Result<Option<EndedKey>, StoreError> {
    sqlx::query!(
        r#"SELECT a.id, t.last4, t.revoked_at IS NOT NULL AS "was_revoked!"
           FROM api_token t JOIN account a ON a.id = t.account_id
           WHERE t.hash = $1 AND t.kind = 'account' AND (t.revoked_at IS NOT NULL OR t.expires_at <= $2)
             AND a.deleted_at IS NULL"#,
        &hash.0[..],
        now,
    )
    .fetch_optional(conn)
    .await
    .map(|row| {
        row.map(|row| EndedKey { account_id: AccountId(row.id), last4: row.last4, was_revoked: row.was_revoked })
    })
    .map_err(StoreError::while_("find a key that ended"))
}

/// Revokes a token of an account; `false` if there is no such live token.
pub async fn revoke(
    conn: &mut PgConnection,
    account_id: AccountId,
    id: Uuid,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE api_token SET revoked_at = $3, changed_at = clock_timestamp()
         WHERE id = $2 AND account_id = $1 AND revoked_at IS NULL",
        account_id.0,
        id,
        now,
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("revoke the token"))
}

/// Lets a token end at `expires_at` because another replaces it; one that would end sooner still does.
pub async fn retire(
    conn: &mut PgConnection,
    account_id: AccountId,
    id: Uuid,
    now: DateTime<Utc>,
    expires_at: DateTime<Utc>,
) -> Result<(), StoreError> {
    sqlx::query!(
        "UPDATE api_token SET rotated_at = $3, expires_at = LEAST(expires_at, $4), changed_at = clock_timestamp()
         WHERE id = $2 AND account_id = $1",
        account_id.0,
        id,
        now,
        expires_at,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("retire the token"))
}

/// The tokens of a holder, the newest first: those that are live, and those that ended after `since`. `LISTED` at most,
/// the live ones before the others.
pub async fn list(conn: &mut PgConnection, holder: Holder, since: DateTime<Utc>) -> Result<Vec<Listed>, StoreError> {
    let (account_id, instance_id) = holder.columns();
    let rows = sqlx::query!(
        "SELECT id, last4, name, scopes, created_at, expires_at, rotated_at, revoked_at FROM api_token
         WHERE account_id = $1 AND kind = $2 AND ($3::text IS NULL OR instance_id = $3)
           AND (LEAST(revoked_at, expires_at) IS NULL OR LEAST(revoked_at, expires_at) > $4)
         ORDER BY revoked_at IS NOT NULL, created_at DESC, id DESC LIMIT $5",
        account_id,
        holder.kind().as_str(),
        instance_id.as_ref().map(InstanceId::as_str),
        since,
        LISTED,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("list the tokens"))?;
    let listed = rows.into_iter().map(|row| Listed {
        id: row.id,
        last4: row.last4,
        name: row.name,
        scopes: row.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
        created_at: row.created_at,
        expires_at: row.expires_at,
        rotated_at: row.rotated_at,
        revoked_at: row.revoked_at,
    });
    Ok(listed.collect())
}

/// A token of a holder, live or not. Another holder's is as absent as one that never was.
pub async fn find(conn: &mut PgConnection, holder: Holder, id: Uuid) -> Result<Option<Listed>, StoreError> {
    let (account_id, instance_id) = holder.columns();
    sqlx::query!(
        "SELECT last4, name, scopes, created_at, expires_at, rotated_at, revoked_at FROM api_token
         WHERE id = $1 AND account_id = $2 AND kind = $3 AND ($4::text IS NULL OR instance_id = $4)",
        id,
        account_id,
        holder.kind().as_str(),
        instance_id.as_ref().map(InstanceId::as_str),
    )
    .fetch_optional(conn)
    .await
    .map(|row| {
        row.map(|row| Listed {
            id,
            last4: row.last4,
            name: row.name,
            scopes: row.scopes.iter().filter_map(|scope| Scope::parse(scope)).collect(),
            created_at: row.created_at,
            expires_at: row.expires_at,
            rotated_at: row.rotated_at,
            revoked_at: row.revoked_at,
        })
    })
    .map_err(StoreError::while_("find the token by its id"))
}

/// How many live tokens a holder has.
pub async fn count_live(conn: &mut PgConnection, holder: Holder, now: DateTime<Utc>) -> Result<u64, StoreError> {
    let (account_id, instance_id) = holder.columns();
    sqlx::query_scalar!(
        r#"SELECT count(*) AS "count!" FROM api_token
           WHERE account_id = $1 AND kind = $2 AND ($3::text IS NULL OR instance_id = $3)
             AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $4)"#,
        account_id,
        holder.kind().as_str(),
        instance_id.as_ref().map(InstanceId::as_str),
        now,
    )
    .fetch_one(conn)
    .await
    .map(i64::unsigned_abs)
    .map_err(StoreError::while_("count the tokens"))
}

/// Whether an account has a live key beside `id` that does not end by itself.
pub async fn has_other_lasting_key(
    conn: &mut PgConnection,
    account_id: AccountId,
    id: Uuid,
) -> Result<bool, StoreError> {
    sqlx::query_scalar!(
        r#"SELECT EXISTS (
               SELECT FROM api_token WHERE account_id = $1 AND kind = 'account' AND id <> $2
                   AND revoked_at IS NULL AND expires_at IS NULL
           ) AS "exists!""#,
        account_id.0,
        id,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_("look for another key"))
}

/// The oldest live key of an account that does not end by itself.
pub async fn oldest_lasting_key(
    conn: &mut PgConnection,
    account_id: AccountId,
) -> Result<Option<TokenHash>, StoreError> {
    let action = "find the account's oldest key";
    let hash = sqlx::query_scalar!(
        "SELECT hash FROM api_token WHERE account_id = $1 AND kind = 'account'
             AND revoked_at IS NULL AND expires_at IS NULL ORDER BY created_at, id LIMIT 1",
        account_id.0,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_(action))?;
    hash.map(|hash| hash.try_into().map(TokenHash).map_err(|_| StoreError::unreadable(action, "hash"))).transpose()
}

/// [`TokenHash::prefix`] of every live token, in no order.
pub async fn live_prefixes(conn: &mut PgConnection, now: DateTime<Utc>, most: usize) -> Result<Vec<u64>, StoreError> {
    let action = "read the live tokens";
    let mut rows = sqlx::query_scalar!(
        r#"SELECT substring(t.hash FROM 1 FOR 8) AS "prefix!"
           FROM api_token t LEFT JOIN account a ON a.id = t.account_id
           WHERE t.revoked_at IS NULL AND (t.expires_at IS NULL OR t.expires_at > $1) AND a.deleted_at IS NULL
           LIMIT $2"#,
        now,
        i64::try_from(most).unwrap_or(i64::MAX),
    )
    .fetch(conn);
    let mut prefixes = Vec::new();
    while let Some(prefix) = rows.try_next().await.map_err(StoreError::while_(action))? {
        prefixes.push(prefix_of(&prefix).ok_or_else(|| StoreError::unreadable(action, "hash"))?);
    }
    Ok(prefixes)
}

/// The tokens of every account that were made, changed or revoked within `window`, which the database's own clock
/// measures: what a node mends its memory by.
pub async fn changed_within(conn: &mut PgConnection, window: TimeDelta) -> Result<Vec<Change>, StoreError> {
    let action = "read the changed tokens";
    let rows = sqlx::query!(
        r#"SELECT id, substring(hash FROM 1 FOR 8) AS "prefix!", changed_at, revoked_at IS NOT NULL AS "revoked!"
           FROM api_token WHERE changed_at >= now() - make_interval(secs => $1)"#,
        window.as_seconds_f64(),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_(action))?;
    rows.into_iter()
        .map(|row| {
            let prefix = prefix_of(&row.prefix).ok_or_else(|| StoreError::unreadable(action, "hash"))?;
            Ok(Change { id: row.id, prefix, at: row.changed_at, revoked: row.revoked })
        })
        .collect()
}

fn prefix_of(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
