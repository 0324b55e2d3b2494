//! `webhook_endpoint`: where an account is told of events.

use chrono::{DateTime, Utc};
use secrecy::zeroize::Zeroizing;
use serde::{Deserialize, Serialize};
use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{DisabledReason, Header, Order, Subscription, WebhookId};
use crate::store::StoreError;
use crate::store::vault::{AccountCipher, CipherError};

use super::claim::order;
use super::delivery;

const TABLE: &str = "webhook_endpoint";

/// A webhook as its owner set it up, and how it fares.
#[derive(Debug, Clone)]
pub struct Endpoint {
    /// Its id.
    pub id: WebhookId,
    /// Whose it is.
    pub account_id: AccountId,
    /// The one instance it is told of; `None` for all of the account.
    pub instance_id: Option<InstanceId>,
    /// Whether it is the one that `/v2/session/webhook` shows.
    pub of_session: bool,
    /// The kinds it is told.
    pub subscription: Subscription,
    /// In which order.
    pub order: Order,
    /// [`Confidential`], sealed.
    pub sealed: Vec<u8>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Why it gets nothing, and since when.
    pub disabled: Option<(DisabledReason, DateTime<Utc>)>,
    /// Since when every delivery fails.
    pub failing_since: Option<DateTime<Utc>>,
}

/// What is nobody's business but the account's.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Confidential {
    /// The address; its path and query often hold a credential.
    pub url: String,
    /// Headers the account adds.
    pub headers: Vec<Header>,
    /// What is signed with, the newest first.
    pub secrets: Vec<KeptSecret>,
}

/// A secret of a webhook.
#[derive(Clone, Serialize, Deserialize)]
pub struct KeptSecret {
    /// Its text.
    pub text: String,
    /// When it is no longer signed with; `None` for the newest.
    pub until: Option<DateTime<Utc>>,
}

impl std::fmt::Debug for KeptSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeptSecret").field("until", &self.until).finish_non_exhaustive()
    }
}

/// What was sealed of an endpoint does not read.
#[derive(Debug, thiserror::Error)]
pub enum ConfidentialError {
    /// It does not open with the account's key.
    #[error("what is sealed of a webhook does not open")]
    Sealed(#[from] CipherError),
    /// A later release wrote it.
    #[error("what is sealed of a webhook cannot be read")]
    Unreadable(#[source] serde_json::Error),
}

impl Confidential {
    /// Opens what an endpoint's row holds.
    pub fn open(cipher: &AccountCipher, id: WebhookId, sealed: &[u8]) -> Result<Self, ConfidentialError> {
        let plaintext = Zeroizing::new(cipher.open(TABLE, id.0.as_bytes(), sealed)?);
        serde_json::from_slice(&plaintext).map_err(ConfidentialError::Unreadable)
    }

    /// Seals it for an endpoint's row.
    pub fn seal(&self, cipher: &AccountCipher, id: WebhookId) -> Vec<u8> {
        let plaintext = Zeroizing::new(serde_json::to_vec(self).expect("it has no keys but text"));
        cipher.seal(TABLE, id.0.as_bytes(), &plaintext)
    }

    /// What is signed with at `now`, the newest first.
    pub fn live_secrets(&self, now: DateTime<Utc>) -> impl Iterator<Item = &KeptSecret> {
        self.secrets.iter().filter(move |secret| secret.until.is_none_or(|until| until > now))
    }
}

/// Adds an endpoint, which is told what happens from now on. The account is locked, so that no instance comes in between.
pub async fn insert(conn: &mut PgConnection, endpoint: &Endpoint) -> Result<(), StoreError> {
    let (reason, disabled_at) = endpoint.disabled.unzip();
    sqlx::query!(
        "INSERT INTO webhook_endpoint (id, account_id, instance_id, of_session, sealed, events, delivery_order, created_at,
             disabled_at, disabled_reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        endpoint.id.0,
        endpoint.account_id.0,
        endpoint.instance_id.as_ref().map(InstanceId::as_str),
        endpoint.of_session,
        endpoint.sealed,
        &words(&endpoint.subscription),
        endpoint.order.as_str(),
        endpoint.created_at,
        disabled_at,
        reason.map(DisabledReason::as_str),
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::while_("add a webhook"))?;
    sqlx::query!(
        "INSERT INTO webhook_stream (endpoint_id, instance_id, acknowledged)
         SELECT $1, l.instance_id, l.event_seq
         FROM instance i JOIN instance_lease l ON l.instance_id = i.id
         WHERE i.account_id = $2 AND ($3::text IS NULL OR i.id = $3)",
        endpoint.id.0,
        endpoint.account_id.0,
        endpoint.instance_id.as_ref().map(InstanceId::as_str),
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("begin the streams of a webhook"))
}

/// How many endpoints an account has.
pub async fn count(conn: &mut PgConnection, account: AccountId) -> Result<u64, StoreError> {
    sqlx::query_scalar!(r#"SELECT count(*) AS "count!" FROM webhook_endpoint WHERE account_id = $1"#, account.0)
        .fetch_one(conn)
        .await
        .map(i64::unsigned_abs)
        .map_err(StoreError::while_("count the webhooks"))
}

/// Which of an account's endpoints are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// This one.
    pub id: Option<WebhookId>,
    /// Those of this instance alone.
    pub instance_id: Option<InstanceId>,
    /// Only the one that `/v2/session/webhook` shows.
    pub of_session: bool,
    /// Those made after this one.
    pub after: Option<(DateTime<Utc>, WebhookId)>,
}

/// An account's endpoints in the order they were made in. Another account's are as absent as those that never were.
pub async fn page(
    conn: &mut PgConnection,
    account: AccountId,
    filter: Filter,
    limit: u32,
) -> Result<Vec<Endpoint>, StoreError> {
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, account_id, instance_id, of_session, sealed, events, delivery_order, created_at, disabled_at,
                disabled_reason, failing_since
         FROM webhook_endpoint
         WHERE account_id = $1 AND ($2::uuid IS NULL OR id = $2) AND ($3::text IS NULL OR instance_id = $3)
           AND (of_session OR NOT $4) AND ($5::timestamptz IS NULL OR (created_at, id) > ($5, $6))
         ORDER BY created_at, id LIMIT $7",
        account.0,
        filter.id.map(|id| id.0),
        filter.instance_id.as_ref().map(InstanceId::as_str),
        filter.of_session,
        filter.after.map(|(at, _)| at),
        filter.after.map(|(_, id)| id.0),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read webhooks"))?;
    rows.into_iter().map(Endpoint::try_from).collect()
}

/// The endpoints of an account that are told of one of these instances alone, in the order they were made in.
pub async fn of_instances(
    conn: &mut PgConnection,
    account: AccountId,
    ids: &[InstanceId],
) -> Result<Vec<Endpoint>, StoreError> {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    let rows = sqlx::query_as!(
        Row,
        "SELECT id, account_id, instance_id, of_session, sealed, events, delivery_order, created_at, disabled_at,
                disabled_reason, failing_since
         FROM webhook_endpoint WHERE account_id = $1 AND instance_id = ANY($2) ORDER BY created_at, id",
        account.0,
        &ids,
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read the webhooks of instances"))?;
    rows.into_iter().map(Endpoint::try_from).collect()
}

/// Locks an endpoint until the transaction ends, so that it is changed by one at a time.
pub async fn lock(conn: &mut PgConnection, account: AccountId, id: WebhookId) -> Result<Option<Endpoint>, StoreError> {
    sqlx::query_as!(
        Row,
        "SELECT id, account_id, instance_id, of_session, sealed, events, delivery_order, created_at, disabled_at,
                disabled_reason, failing_since
         FROM webhook_endpoint WHERE account_id = $1 AND id = $2 FOR NO KEY UPDATE",
        account.0,
        id.0,
    )
    .fetch_optional(conn)
    .await
    .map_err(StoreError::while_("lock a webhook"))?
    .map(Endpoint::try_from)
    .transpose()
}

/// Writes what may be changed of an endpoint that is locked.
pub async fn update(conn: &mut PgConnection, endpoint: &Endpoint) -> Result<(), StoreError> {
    let (reason, disabled_at) = endpoint.disabled.unzip();
    sqlx::query!(
        "UPDATE webhook_endpoint SET sealed = $2, events = $3, delivery_order = $4, disabled_at = $5,
                disabled_reason = $6, failing_since = $7
         WHERE id = $1",
        endpoint.id.0,
        endpoint.sealed,
        &words(&endpoint.subscription),
        endpoint.order.as_str(),
        disabled_at,
        reason.map(DisabledReason::as_str),
        endpoint.failing_since,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("change a webhook"))
}

/// Lets everything that an endpoint waits for be tried at once, with all its attempts before it: it was mended.
pub async fn refresh(conn: &mut PgConnection, id: WebhookId, now: DateTime<Utc>) -> Result<(), StoreError> {
    let action = "let a webhook begin anew";
    sqlx::query!(
        "UPDATE webhook_stream SET attempts = 0, failing_since = NULL, due_at = LEAST(due_at, $2)
         WHERE endpoint_id = $1 AND (due_at > $2 OR attempts > 0)",
        id.0,
        now,
    )
    .execute(&mut *conn)
    .await
    .map_err(StoreError::while_(action))?;
    sqlx::query!("UPDATE webhook_aside SET due_at = $2 WHERE endpoint_id = $1 AND due_at > $2", id.0, now)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_(action))
}

/// Deletes an endpoint with everything that was to be told to it; `false` if there was none.
pub async fn delete(conn: &mut PgConnection, account: AccountId, id: WebhookId) -> Result<bool, StoreError> {
    let deleted = sqlx::query!("DELETE FROM webhook_endpoint WHERE account_id = $1 AND id = $2", account.0, id.0)
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_("delete a webhook"))?;
    delivery::erase_endpoints(conn, &[id.0]).await?;
    Ok(deleted.rows_affected() > 0)
}

/// Deletes every endpoint of an account.
pub async fn delete_of_account(conn: &mut PgConnection, account: AccountId) -> Result<(), StoreError> {
    let ids = sqlx::query_scalar!("DELETE FROM webhook_endpoint WHERE account_id = $1 RETURNING id", account.0)
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::while_("delete the webhooks of an account"))?;
    delivery::erase_endpoints(conn, &ids).await
}

/// Notes that a delivery failed: since when all of them do.
pub async fn failed(
    conn: &mut PgConnection,
    id: WebhookId,
    now: DateTime<Utc>,
) -> Result<Option<DateTime<Utc>>, StoreError> {
    sqlx::query_scalar!(
        "WITH first AS (
             UPDATE webhook_endpoint SET failing_since = $2 WHERE id = $1 AND failing_since IS NULL
             RETURNING failing_since
         )
         SELECT COALESCE((SELECT failing_since FROM first),
                         (SELECT failing_since FROM webhook_endpoint WHERE id = $1))",
        id.0,
        now,
    )
    .fetch_one(conn)
    .await
    .map_err(StoreError::while_("note that a webhook fails"))
}

/// Notes that a delivery arrived.
pub async fn recovered(conn: &mut PgConnection, id: WebhookId) -> Result<(), StoreError> {
    sqlx::query!("UPDATE webhook_endpoint SET failing_since = NULL WHERE id = $1 AND failing_since IS NOT NULL", id.0,)
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(StoreError::while_("note that a webhook works"))
}

/// Sends an endpoint nothing more; `false` if it gets nothing already.
pub async fn disable(
    conn: &mut PgConnection,
    id: WebhookId,
    reason: DisabledReason,
    now: DateTime<Utc>,
) -> Result<bool, StoreError> {
    sqlx::query!(
        "UPDATE webhook_endpoint SET disabled_at = $2, disabled_reason = $3 WHERE id = $1 AND disabled_at IS NULL",
        id.0,
        now,
        reason.as_str(),
    )
    .execute(conn)
    .await
    .map(|done| done.rows_affected() == 1)
    .map_err(StoreError::while_("disable a webhook"))
}

fn words(subscription: &Subscription) -> Vec<String> {
    subscription.named().iter().map(|kind| kind.as_str().to_owned()).collect()
}

/// No word is every kind. Words of a later release are left out: this one tells none of those kinds.
pub(super) fn subscription(words: &[String]) -> Subscription {
    if words.is_empty() {
        return Subscription::All;
    }
    Subscription::Only(words.iter().filter_map(|word| EventKind::parse(word)).collect())
}

struct Row {
    id: uuid::Uuid,
    account_id: uuid::Uuid,
    instance_id: Option<String>,
    of_session: bool,
    sealed: Vec<u8>,
    events: Vec<String>,
    delivery_order: String,
    created_at: DateTime<Utc>,
    disabled_at: Option<DateTime<Utc>>,
    disabled_reason: Option<String>,
    failing_since: Option<DateTime<Utc>>,
}

impl TryFrom<Row> for Endpoint {
    type Error = StoreError;

    fn try_from(row: Row) -> Result<Self, StoreError> {
        // A word of a later release is still a reason to send nothing.
        let reason = |word: &str| DisabledReason::parse(word).unwrap_or(DisabledReason::Failing);
        Ok(Self {
            id: WebhookId(row.id),
            account_id: AccountId(row.account_id),
            instance_id: row.instance_id.as_deref().map(crate::store::lease::stored_id),
            of_session: row.of_session,
            subscription: subscription(&row.events),
            order: order(&row.delivery_order)?,
            sealed: row.sealed,
            created_at: row.created_at,
            disabled: row.disabled_reason.as_deref().map(reason).zip(row.disabled_at),
            failing_since: row.failing_since,
        })
    }
}
