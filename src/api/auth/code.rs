//! Getting the live code, and saying why there is none.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::json;

use crate::api::error::{ApiError, DEFAULT_RETRY_AFTER, StatusMismatch};
use crate::api::extract::Call;
use crate::api::sessions::SessionError;
use crate::domain::instance::InstanceId;
use crate::domain::qr_code::QrCode;
use crate::domain::session::{Reason, SessionView, Status};
use crate::store::audit::Action;

/// Seconds a request waits for a code unless asked otherwise.
pub(super) const DEFAULT_WAIT: u32 = 5;

/// The longest wait, in seconds.
pub(super) const MAX_WAIT: u32 = 25;

/// The live code of an instance. The first of a round leaves a line in the audit log before anybody sees it.
pub(super) async fn live(call: &Call, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, ApiError> {
    call.within_qr_limit(id)?;
    let code = call.state.sessions.qr(id, wait).await.map_err(|error| refusal(error, call.state.clock.now()))?;
    if code.renditions.shown.get().is_none() {
        if call.state.rounds.begins_with(id, &code) {
            let mut conn = call.state.store.acquire().await?;
            call.record(&mut conn, Action::QrShown, id, json!({ "attempt": code.attempt })).await?;
        }
        // Whoever came first has set it; both were asked about the same round.
        let _ = code.renditions.shown.set(());
    }
    Ok(code)
}

fn refusal(error: SessionError, now: DateTime<Utc>) -> ApiError {
    match error {
        SessionError::Status(view) => no_code(&view, now),
        SessionError::NotFound
        | SessionError::UpstreamUnreachable
        | SessionError::UpstreamTimeout
        | SessionError::Internal(_) => error.into(),
    }
}

/// Why a session has no code to show (the table of linking).
fn no_code(view: &SessionView, now: DateTime<Utc>) -> ApiError {
    let starting = view.status == Status::Starting;
    let (code, recovering) = match view.reason {
        // Before `linked`: a device that was scanned is linked, and still on its way.
        Some(Reason::Pairing) if starting => ("pairing_in_progress", true),
        _ if view.linked => ("already_linked", false),
        _ if starting && view.upstream_failing => return ApiError::UpstreamUnreachable,
        _ => ("session_status_mismatch", view.recovering),
    };
    let retry_after = match code {
        "pairing_in_progress" => Some(2),
        _ if recovering => Some(retry_after(view, now)),
        _ => None,
    };
    let expected = &[Status::ScanQrCode];
    let (instance_id, status) = (view.instance_id, view.status);
    ApiError::SessionStatus(StatusMismatch { code, instance_id, status, expected, recovering, retry_after })
}

/// Seconds to the next expected change, from 2 to 20; 10 when nothing better is known.
fn retry_after(view: &SessionView, now: DateTime<Utc>) -> u64 {
    let left = view.next_change_at.map(|at| (at - now).num_milliseconds());
    left.map_or(DEFAULT_RETRY_AFTER, |left| left.max(0).unsigned_abs().div_ceil(1_000).clamp(2, 20))
}

#[cfg(test)]
mod tests;
