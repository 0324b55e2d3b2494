//! The lines a call leaves in the audit log.

use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::account::AccountId;
use crate::domain::instance::InstanceId;
use crate::domain::token::TokenKind;
use crate::store::StoreError;
use crate::store::audit::{self, Action, Entry};

use super::extract::{Call, OperatorCall};

impl Call {
    /// Appends what this caller did, to an instance or to the account itself.
    pub(super) async fn record(
        &self,
        conn: &mut PgConnection,
        action: Action,
        instance_id: impl Into<Option<InstanceId>>,
        detail: Value,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            at: self.state.clock.now(),
            account_id: self.caller.account_id,
            instance_id: instance_id.into(),
            actor: self.caller.kind,
            actor_last4: &self.caller.last4,
            address: Some(self.client),
            action,
            detail,
        };
        audit::append(conn, &entry).await
    }
}

impl OperatorCall {
    /// Appends what the operator did to an account.
    pub(super) async fn record(
        &self,
        conn: &mut PgConnection,
        action: Action,
        account_id: AccountId,
        detail: Value,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            at: self.state.clock.now(),
            account_id,
            instance_id: None,
            actor: TokenKind::Operator,
            actor_last4: &self.operator.last4,
            address: Some(self.client),
            action,
            detail,
        };
        audit::append(conn, &entry).await
    }
}
