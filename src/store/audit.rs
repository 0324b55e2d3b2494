//! `audit_log`: who did what, when. Append-only; a row outlives its instance.

use std::net::IpAddr;

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::TokenKind;

use super::StoreError;

/// What was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// An instance was created.
    InstanceCreated,
    /// The first code of a round was shown.
    QrShown,
    /// A link was made.
    LinkMinted,
    /// An instance's links were ended.
    LinkEnded,
    /// It was wished that an instance run.
    InstanceStarted,
    /// It was wished that an instance rest.
    InstanceStopped,
    /// A fresh connection was wished for.
    InstanceRestarted,
    /// A code to type was shown.
    LinkCodeShown,
    /// An instance was unlinked.
    InstanceLoggedOut,
    /// An instance was erased.
    InstanceDeleted,
    /// What was stored of a contact was erased.
    ContactErased,
    /// An instance token was minted.
    TokenMinted,
    /// An instance token was revoked.
    TokenRevoked,
    /// An instance token was replaced by another.
    TokenRotated,
    /// An account key was minted.
    KeyMinted,
    /// An account key was revoked.
    KeyRevoked,
    /// An account key was replaced by another.
    KeyRotated,
    /// A webhook was created.
    WebhookCreated,
    /// A webhook was changed.
    WebhookChanged,
    /// A webhook was deleted.
    WebhookDeleted,
    /// A webhook got another secret.
    WebhookSecretRotated,
    /// A webhook was told something for a test.
    WebhookTested,
    /// Events were to be told to a webhook again.
    WebhookReplayed,
    /// The gateway sends a webhook nothing more.
    WebhookDisabled,
    /// An account was created.
    AccountCreated,
    /// An account's name, settings or quota were changed.
    AccountChanged,
    /// An account was deleted.
    AccountDeleted,
    /// A code was shown by which a phone signs in to the dashboard.
    SignInQrShown,
    /// A browser was signed in to the dashboard.
    DashboardSignedIn,
    /// A browser was not signed in to the dashboard: its key has expired or was revoked.
    DashboardSignInRefused,
    /// A session of the dashboard was ended.
    DashboardSignedOut,
}

impl Action {
    /// Every action.
    pub const ALL: &'static [Self] = &[
        Self::InstanceCreated,
        Self::QrShown,
        Self::LinkCodeShown,
        Self::LinkMinted,
        Self::LinkEnded,
        Self::InstanceStarted,
        Self::InstanceStopped,
        Self::InstanceRestarted,
        Self::InstanceLoggedOut,
        Self::InstanceDeleted,
        Self::ContactErased,
        Self::TokenMinted,
        Self::TokenRevoked,
        Self::TokenRotated,
        Self::KeyMinted,
        Self::KeyRevoked,
        Self::KeyRotated,
        Self::WebhookCreated,
        Self::WebhookChanged,
        Self::WebhookDeleted,
        Self::WebhookSecretRotated,
        Self::WebhookTested,
        Self::WebhookReplayed,
        Self::WebhookDisabled,
        Self::AccountCreated,
        Self::AccountChanged,
        Self::AccountDeleted,
        Self::SignInQrShown,
        Self::DashboardSignedIn,
        Self::DashboardSignInRefused,
        Self::DashboardSignedOut,
    ];

    /// The word that stands in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InstanceCreated => "instance.created",
            Self::QrShown => "qr.shown",
            Self::LinkMinted => "link.minted",
            Self::LinkEnded => "link.ended",
            Self::InstanceStarted => "instance.started",
            Self::InstanceStopped => "instance.stopped",
            Self::InstanceRestarted => "instance.restarted",
            Self::LinkCodeShown => "link_code.shown",
            Self::InstanceLoggedOut => "instance.logged_out",
            Self::InstanceDeleted => "instance.deleted",
            Self::ContactErased => "contact.erased",
            Self::TokenMinted => "token.minted",
            Self::TokenRevoked => "token.revoked",
            Self::TokenRotated => "token.rotated",
            Self::KeyMinted => "key.minted",
            Self::KeyRevoked => "key.revoked",
            Self::KeyRotated => "key.rotated",
            Self::WebhookCreated => "webhook.created",
            Self::WebhookChanged => "webhook.changed",
            Self::WebhookDeleted => "webhook.deleted",
            Self::WebhookSecretRotated => "webhook.secret_rotated",
            Self::WebhookTested => "webhook.tested",
            Self::WebhookReplayed => "webhook.replayed",
            Self::WebhookDisabled => "webhook.disabled",
            Self::AccountCreated => "account.created",
            Self::AccountChanged => "account.changed",
            Self::AccountDeleted => "account.deleted",
            Self::SignInQrShown => "sign_in_qr.shown",
            Self::DashboardSignedIn => "dashboard.signed_in",
            Self::DashboardSignInRefused => "dashboard.sign_in_refused",
            Self::DashboardSignedOut => "dashboard.signed_out",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|action| action.as_str() == word)
    }
}

/// One line of the log. It holds no token, no code and no phone number.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// In which account.
    pub account_id: AccountId,
    /// On which instance; `None` for what concerns the account itself.
    pub instance_id: Option<InstanceId>,
    /// By which kind of token.
    pub actor: TokenKind,
    /// Its last four characters.
    pub actor_last4: &'a str,
    /// From where.
    pub address: Option<IpAddr>,
    /// What.
    pub action: Action,
    /// Particulars: a JSON object.
    pub detail: Value,
}

/// Appends a line.
pub async fn append(conn: &mut PgConnection, entry: &Entry<'_>) -> Result<(), StoreError> {
    sqlx::query!(
        r#"INSERT INTO audit_log (at, account_id, instance_id, actor, actor_last4, address, action, detail)
           VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"#,
        entry.at,
        entry.account_id.0,
        entry.instance_id.as_ref().map(InstanceId::as_str),
        entry.actor.as_str(),
        entry.actor_last4,
        entry.address.map(|address| address.to_string()),
        entry.action.as_str(),
        entry.detail,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("append to the audit log"))
}

/// Appends what the gateway did by itself.
pub async fn append_own(
    conn: &mut PgConnection,
    at: DateTime<Utc>,
    (account, instance): (AccountId, Option<InstanceId>),
    action: Action,
    detail: Value,
) -> Result<(), StoreError> {
    sqlx::query!(
        "INSERT INTO audit_log (at, account_id, instance_id, actor, action, detail) VALUES ($1, $2, $3, 'gateway', $4, $5)",
        at,
        account.0,
        instance.as_ref().map(InstanceId::as_str),
        action.as_str(),
        detail,
    )
    .execute(conn)
    .await
    .map(|_| ())
    .map_err(StoreError::while_("append to the audit log"))
}

/// A line as it stands in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// Its number; later lines have higher ones.
    pub id: i64,
    /// When.
    pub at: DateTime<Utc>,
    /// By which kind of token, or by the gateway itself.
    pub actor: String,
    /// Its last four characters.
    pub actor_last4: Option<String>,
    /// From where.
    pub address: Option<String>,
    /// What; a word of a later release is told as it stands.
    pub action: String,
    /// On which instance, which may be gone.
    pub instance_id: Option<String>,
    /// Particulars: a JSON object.
    pub detail: Value,
}

/// Which lines are wanted.
#[derive(Debug, Clone, Copy, Default)]
pub struct Filter {
    /// On one instance.
    pub instance_id: Option<InstanceId>,
    /// Of one kind.
    pub action: Option<Action>,
}

/// A page of an account's log, newest first: those before the line `before`.
pub async fn page(
    conn: &mut PgConnection,
    account: AccountId,
    filter: Filter,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Line>, StoreError> {
    sqlx::query_as!(
        Line,
        r#"SELECT id, at, actor, actor_last4, address, action, instance_id, detail FROM audit_log
           WHERE account_id = $1 AND ($2::bigint IS NULL OR id < $2)
             AND ($3::text IS NULL OR instance_id = $3) AND ($4::text IS NULL OR action = $4)
           ORDER BY id DESC LIMIT $5"#,
        account.0,
        before,
        filter.instance_id.as_ref().map(InstanceId::as_str),
        filter.action.map(Action::as_str),
        i64::from(limit),
    )
    .fetch_all(conn)
    .await
    .map_err(StoreError::while_("read the audit log"))
}
