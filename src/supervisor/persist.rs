//! The writes of an actor. Each proves the lease in its first statement.

use serde_json::Value;
use sqlx::PgConnection;

use crate::domain::event::Draft;
use crate::domain::instance::InstanceId;
use crate::domain::lease::{Fence, NodeId};
use crate::domain::profile::Profile;
use crate::domain::session::{Saved, SessionView, State, Status};
use crate::store::event::EventError;
use crate::store::session::{SessionRow, SessionWrite};
use crate::store::vault::{InstanceCipher, VaultError};
use crate::store::{StoreError, event, lease, session};

use super::{Deps, profile};

/// Whether a write was allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// The lease is ours and the write holds.
    Held,
    /// The lease is another's and nothing was written.
    LeaseLost,
}

/// A write failed for a reason that passes.
#[derive(Debug, thiserror::Error)]
pub(super) enum PersistError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Event(#[from] EventError),
}

/// Writes the session, if it differs from what is stored, and what is told of it, both or neither.
pub(super) async fn store(
    deps: &Deps,
    (id, fence): (InstanceId, Fence),
    (stored, saved): (&Saved, &Saved),
    drafts: &[Draft],
) -> Result<Stored, PersistError> {
    // Before the transaction, whose first statement must prove the lease.
    let cipher = match deps.vault.unlock(&deps.store, id).await {
        Ok(cipher) => cipher,
        // An instance that another node erased meanwhile has no key, and then its lease is not ours either.
        Err(error) => return if is_ours(deps, id, fence).await? { Err(error.into()) } else { Ok(Stored::LeaseLost) },
    };
    let mut tx = deps.store.begin().await?;
    let last = if drafts.is_empty() {
        if !lease::hold(&mut tx, id, fence).await? {
            return Ok(Stored::LeaseLost);
        }
        None
    } else {
        let me = saved.me.as_ref().map_or(Value::Null, Profile::document);
        let Some(last) = event::record(&mut tx, &cipher, (id, fence), &me, drafts.to_vec()).await? else {
            return Ok(Stored::LeaseLost);
        };
        Some(last)
    };
    if saved != stored {
        save(&mut tx, &cipher, id, saved).await?;
    }
    tx.commit().await.map_err(StoreError::while_("commit the session"))?;
    if let Some(last) = last {
        deps.store.logged(id, last, drafts.iter().map(|draft| draft.kind));
    }
    Ok(Stored::Held)
}

async fn is_ours(deps: &Deps, id: InstanceId, fence: Fence) -> Result<bool, StoreError> {
    let mut tx = deps.store.begin().await?;
    lease::hold(&mut tx, id, fence).await
}

async fn save(
    conn: &mut PgConnection,
    cipher: &InstanceCipher,
    id: InstanceId,
    saved: &Saved,
) -> Result<(), StoreError> {
    let profile = saved.me.as_ref().map(|me| profile::seal(cipher, me));
    let write = SessionWrite {
        desired: saved.desired,
        status: saved.status,
        reason: saved.reason,
        since: saved.since,
        linked: saved.linked,
        profile: profile.as_deref(),
        retry_at: saved.retry_at,
        rounds: saved.rounds,
        refused_until: saved.refused_until,
        retried: saved.retried,
        timelock_until: saved.timelock_until,
    };
    session::save(conn, id, &write).await
}

pub(super) async fn erase(deps: &Deps, id: InstanceId, fence: Fence) -> Result<Stored, StoreError> {
    let mut tx = deps.store.begin().await?;
    // Not `hold`: the row goes, and a shared lock that becomes an exclusive one invites a deadlock.
    if lease::advance(&mut tx, id, fence, 0).await?.is_none() {
        return Ok(Stored::LeaseLost);
    }
    session::erase(&mut tx, id, deps.clock.now()).await?;
    tx.commit().await.map_err(StoreError::while_("commit the erasure"))?;
    Ok(Stored::Held)
}

pub(super) async fn release(deps: &Deps, id: InstanceId, fence: Fence) -> Result<(), StoreError> {
    let mut conn = deps.store.acquire().await?;
    lease::release(&mut conn, id, fence).await
}

/// A stored session in the words of the domain. A profile that does not open is left out and told to the log: the next
/// log-in brings it again.
pub(super) async fn saved(deps: &Deps, conn: &mut PgConnection, row: &SessionRow) -> Saved {
    let me = match &row.profile {
        None => None,
        Some(sealed) => match profile::read(&deps.vault, conn, row.instance_id, sealed).await {
            Ok(profile) => Some(profile),
            Err(error) => {
                tracing::warn!(
                    instance.id = %row.instance_id,
                    error = &error as &dyn std::error::Error,
                    "a stored profile does not open"
                );
                None
            }
        },
    };
    Saved {
        desired: row.desired,
        status: row.status,
        reason: row.reason,
        since: row.since,
        linked: row.linked,
        me,
        retry_at: row.retry_at,
        rounds: row.rounds,
        refused_until: row.refused_until,
        retried: row.retried,
        timelock_until: row.timelock_until,
    }
}

/// What is shown of a session that does not run `here`. One that another living node runs stands as that node wrote it;
/// one that nobody runs is stopped, failed, or about to be started, whatever was written last.
pub(super) async fn view(deps: &Deps, conn: &mut PgConnection, row: &SessionRow, here: Option<NodeId>) -> SessionView {
    let saved = saved(deps, conn, row).await;
    let mut view = State::resume(saved, row.since).view(row.instance_id, &deps.rules);
    if row.owner.as_ref().is_some_and(|(node, _)| Some(*node) != here) {
        view.status = row.status;
        view.reason = row.reason;
        view.since = row.since;
        match row.status {
            // Told by the row itself.
            Status::Stopped | Status::Failed => {}
            Status::Starting
            | Status::ScanQrCode
            | Status::PasskeyRequired
            | Status::PasskeyConfirmationRequired
            | Status::Working => {
                view.recovering = row.status == Status::Starting;
                view.liveness.connected = row.status == Status::Working;
                // Its deadlines are in the memory of the node that runs it.
                view.next_change_at = None;
            }
        }
    }
    view
}
