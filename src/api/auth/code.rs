//! Getting the live code, and saying why there is none.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::api;
use crate::api::audit::Witness;
use crate::api::error::{ApiError, DEFAULT_RETRY_AFTER, StatusMismatch};
use crate::api::extract::Call;
use crate::api::state::ApiState;
use crate::domain::instance::InstanceId;
use crate::domain::qr_code::QrCode;
use crate::domain::session::{SessionView, Status};
use crate::store::StoreError;
use crate::store::audit::Action;
use crate::supervisor::{QrRefusal, QrRefusalKind};

/// Seconds a request waits for a code unless asked otherwise.
pub(super) const DEFAULT_WAIT: u32 = 5;

/// The longest wait, in seconds.
pub(super) const MAX_WAIT: u32 = api::LONGEST_WAIT;

/// Seconds after which a pairing is over, one way or the other.
const PAIRING_RETRY_AFTER: u64 = 2;

/// The live code of an instance. The first of a round leaves a line in the audit log before anybody sees it.
pub(super) async fn live(call: &Call, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, ApiError> {
    call.within_qr_limit(id)?;
    let code = call.state.sessions.qr(id, wait).await.map_err(|error| refusal(error, call.state.clock.now()))?;
    note_shown(&call.state, &call.witness(), id, &code).await?;
    Ok(code)
}

/// Leaves a line in the audit log if this is the first code of its round that anybody is shown.
pub(in crate::api) async fn note_shown(
    state: &ApiState,
    witness: &Witness,
    id: InstanceId,
    code: &QrCode,
) -> Result<(), StoreError> {
    if code.renditions.shown.get().is_some() {
        return Ok(());
    }
    if state.rounds.begins_with(id, code) {
        let mut conn = state.store.acquire().await?;
        let detail = json!({ "attempt": code.attempt });
        witness.record(&mut conn, state.clock.now(), Action::QrShown, Some(id), detail).await?;
    }
    // Whoever came first has set it; both were asked about the same round.
    let _ = code.renditions.shown.set(());
    Ok(())
}

/// Why a session has no code to show (the table of linking).
pub(in crate::api) fn refusal(refusal: QrRefusal, now: DateTime<Utc>) -> ApiError {
    let (kind, view) = match refusal {
        QrRefusal::Supervisor(error) => return error.into(),
        QrRefusal::Session { kind, view } => (kind, view),
    };
    let (code, retry_after) = match kind {
        QrRefusalKind::UpstreamUnreachable => return ApiError::UpstreamUnreachable,
        QrRefusalKind::UpstreamRefused => {
            return ApiError::UpstreamRefused {
                what: "to give a code for this number; it may have been asked too often",
            };
        }
        QrRefusalKind::AlreadyLinked => ("already_linked", None),
        QrRefusalKind::PairingInProgress => ("pairing_in_progress", Some(PAIRING_RETRY_AFTER)),
        QrRefusalKind::PasskeyRequired | QrRefusalKind::NotRecovering => ("session_status_mismatch", None),
        QrRefusalKind::NotReady => ("session_status_mismatch", Some(retry_after(&view, now))),
    };
    ApiError::SessionStatus(StatusMismatch {
        code,
        instance_id: view.instance_id,
        status: view.status,
        expected: &[Status::ScanQrCode],
        recovering: retry_after.is_some(),
        retry_after,
    })
}

/// Seconds to the next expected change, from 2 to 20; 10 when nothing better is known.
pub(in crate::api) fn retry_after(view: &SessionView, now: DateTime<Utc>) -> u64 {
    let left = view.next_change_at.map(|at| (at - now).num_milliseconds());
    left.map_or(DEFAULT_RETRY_AFTER, |left| left.max(0).unsigned_abs().div_ceil(1_000).clamp(2, 20))
}

#[cfg(test)]
mod tests;
