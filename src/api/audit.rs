//! The lines a call leaves in the audit log.

use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::store::StoreError;
use crate::store::audit::{self, Action, Entry};

use super::extract::Call;

impl Call {
    /// Appends what this caller did to an instance.
    pub(super) async fn record(
        &self,
        conn: &mut PgConnection,
        action: Action,
        instance_id: InstanceId,
        detail: Value,
    ) -> Result<(), StoreError> {
        let entry = Entry {
            at: self.state.clock.now(),
            account_id: self.caller.account_id,
            instance_id,
            actor: self.caller.kind,
            actor_last4: &self.caller.last4,
            address: Some(self.client),
            action,
            detail,
        };
        audit::append(conn, &entry).await
    }
}
