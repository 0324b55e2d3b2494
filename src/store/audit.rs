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
    /// A code to type was shown.
    LinkCodeShown,
    /// An instance was unlinked.
    InstanceLoggedOut,
    /// An instance was erased.
    InstanceDeleted,
}

impl Action {
    /// The word that stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InstanceCreated => "instance.created",
            Self::QrShown => "qr.shown",
            Self::LinkCodeShown => "link_code.shown",
            Self::InstanceLoggedOut => "instance.logged_out",
            Self::InstanceDeleted => "instance.deleted",
        }
    }
}

/// One line of the log. It holds no token, no code and no phone number.
#[derive(Debug, Clone)]
pub struct Entry<'a> {
    /// When.
    pub at: DateTime<Utc>,
    /// In which account.
    pub account_id: AccountId,
    /// On which instance.
    pub instance_id: InstanceId,
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
        entry.instance_id.as_str(),
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
