//! What the engine tells, in the words of the domain. The causes it gives end here, in the log.

use chrono::{DateTime, Utc};
use tracing::{debug, info, warn};

use crate::domain::instance::InstanceId;
use crate::domain::session::RunEvent;
use crate::engine::{EngineError, EngineEvent};

use super::registry::Denial;
use super::rules::delta;

/// An event of the current run.
pub(super) fn told(id: InstanceId, event: EngineEvent) -> RunEvent {
    match event {
        EngineEvent::TransportUp => RunEvent::TransportUp,
        EngineEvent::ConnectFailed { cause } => {
            debug!(instance.id = %id, cause, "WhatsApp could not be reached");
            RunEvent::ConnectFailed
        }
        EngineEvent::QrCode { value, expires_at, attempt } => RunEvent::Code { value, expires_at, attempt },
        EngineEvent::QrCodesExhausted { disconnected } => {
            debug!(instance.id = %id, disconnected, "the codes of the round ran out");
            RunEvent::CodesExhausted { disconnected }
        }
        EngineEvent::PairSuccess { profile } => {
            info!(instance.id = %id, "session paired");
            RunEvent::PairSuccess { profile }
        }
        EngineEvent::PairFailed { cause } => {
            warn!(instance.id = %id, cause, "the pairing was refused");
            RunEvent::PairFailed
        }
        EngineEvent::Connected { profile } => RunEvent::Connected { profile },
        EngineEvent::Disconnected { cause } => {
            debug!(instance.id = %id, cause, "the connection is gone");
            RunEvent::Disconnected
        }
        EngineEvent::LoggedOut => RunEvent::LoggedOut,
        EngineEvent::StreamReplaced => RunEvent::Replaced,
        EngineEvent::TemporaryBan { expires_in } => RunEvent::Banned { expires_in: delta(expires_in) },
        EngineEvent::Restricted { code } => {
            warn!(instance.id = %id, code, "WhatsApp restricted the account");
            RunEvent::Restricted
        }
        EngineEvent::ClientOutdated => RunEvent::ClientOutdated,
        EngineEvent::UpstreamRefused { code } => {
            debug!(instance.id = %id, code, "WhatsApp refused the log-in for now");
            RunEvent::Refused
        }
        EngineEvent::ReachoutTimelock { until } => {
            info!(instance.id = %id, "WhatsApp takes no messages to people who never wrote to this account");
            RunEvent::ReachoutTimelock { until }
        }
        EngineEvent::LinkCodeEnded => RunEvent::LinkCodeEnded,
        EngineEvent::PasskeyRequired { options } => RunEvent::PasskeyRequired { options },
        EngineEvent::PasskeyConfirmationRequired { code } => RunEvent::PasskeyConfirmationRequired { code },
    }
}

/// A run that could not be started. `None`: the lease is another's, there is nothing left to decide here.
pub(super) fn not_started(id: InstanceId, error: &EngineError) -> Option<RunEvent> {
    let event = match error {
        EngineError::Unreachable { .. } | EngineError::Refused { .. } => RunEvent::ConnectFailed,
        EngineError::LeaseLost => return None,
        EngineError::Storage { .. } | EngineError::Build { .. } => RunEvent::Broken,
    };
    warn!(instance.id = %id, error = error as &dyn std::error::Error, "a run could not be started");
    Some(event)
}

/// The answer to a probe.
pub(super) fn probed(id: InstanceId, answer: Result<(), EngineError>, now: DateTime<Utc>) -> RunEvent {
    match answer {
        Ok(()) => RunEvent::Alive { at: now },
        Err(error) => {
            debug!(instance.id = %id, error = &error as &dyn std::error::Error, "no sign of life");
            RunEvent::ProbeFailed
        }
    }
}

/// The answer to an unlinking.
pub(super) fn unlinked(id: InstanceId, answer: Result<(), EngineError>) -> RunEvent {
    match answer {
        Ok(()) => RunEvent::Unlinked,
        Err(error) => {
            warn!(instance.id = %id, error = &error as &dyn std::error::Error, "WhatsApp did not confirm the unlinking");
            RunEvent::UnlinkFailed
        }
    }
}

/// A step of the linking that was not taken.
pub(super) fn denied(id: InstanceId, error: &EngineError) -> Denial {
    warn!(instance.id = %id, error = error as &dyn std::error::Error, "a step of the linking failed");
    match error {
        EngineError::Refused { .. } => Denial::Refused,
        EngineError::Unreachable { .. }
        | EngineError::LeaseLost
        | EngineError::Storage { .. }
        | EngineError::Build { .. } => Denial::Unreachable,
    }
}
