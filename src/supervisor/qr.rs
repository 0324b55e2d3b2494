//! A request for a code: the table that says what the session's state answers.

use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::domain::instance::InstanceId;
use crate::domain::qr_code::QrCode;
use crate::domain::session::{Event, Failure, Reason, SessionView, Status};

use super::error::{QrRefusal, QrRefusalKind, SupervisorError};
use super::handle::Supervisor;
use super::registry::Door;
use super::rules::delta;

/// What a session's state answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Its code.
    Code,
    /// No, whatever happens next.
    Refused(QrRefusalKind),
    /// Something must be started first.
    Heal,
    /// The next code, if it comes in time.
    Wait,
}

impl Supervisor {
    /// The live code of a session; waits up to `wait` for one that is on its way. Asking keeps rounds of codes coming
    /// and starts an unlinked session that rests. A linked one is never touched.
    pub async fn qr(&self, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, QrRefusal> {
        let deps = &self.inner().deps;
        let now = deps.clock.now();
        if let Some(door) = deps.registry.get(id) {
            door.note_demand(now);
            if let Some(code) = live_code(&door.view.borrow(), now) {
                return Ok(code);
            }
        }
        let until = now + delta(wait);
        loop {
            // Before anything is claimed or woken: is there anything to start at all?
            let view = self.view(id).await?;
            match verdict(&view, deps.clock.now()) {
                Verdict::Refused(kind) => return Err(refused(kind, view)),
                Verdict::Code | Verdict::Wait => {}
                Verdict::Heal => {
                    let view = self.inner().wish(id, Event::Demand).await?;
                    if verdict(&view, deps.clock.now()) == Verdict::Heal && view.status == Status::Failed {
                        return Err(refused(QrRefusalKind::NotRecovering, view));
                    }
                }
            }
            let door = self.inner().door(id).await?;
            door.note_demand(deps.clock.now());
            match self.await_code(&door, until).await {
                Some(answer) => return answer,
                // The actor left, which it only does when its lease is gone or the node stops.
                None if deps.clock.now() < until => {}
                None => return Err(SupervisorError::NotServing.into()),
            }
        }
    }

    async fn await_code(&self, door: &Door, until: DateTime<Utc>) -> Option<Result<Arc<QrCode>, QrRefusal>> {
        let clock = &self.inner().deps.clock;
        let mut views = door.view.clone();
        let decided = async {
            views
                .wait_for(|view| match verdict(view, clock.now()) {
                    Verdict::Code | Verdict::Refused(_) => true,
                    Verdict::Heal => view.status == Status::Failed,
                    Verdict::Wait => false,
                })
                .await
                .map(|view| view.clone())
                .ok()
        };
        let view = tokio::select! {
            biased;
            view = decided => view?,
            () = clock.sleep_until(until) => {
                let view = door.view.borrow().clone();
                let kind = if view.upstream_failing { QrRefusalKind::UpstreamUnreachable } else { QrRefusalKind::NotReady };
                return Some(Err(refused(kind, view)));
            }
        };
        if let Some(code) = live_code(&view, clock.now()) {
            return Some(Ok(code));
        }
        let kind = match verdict(&view, clock.now()) {
            Verdict::Refused(kind) => kind,
            Verdict::Heal if view.status == Status::Failed => QrRefusalKind::NotRecovering,
            // The code expired between the two looks.
            Verdict::Heal | Verdict::Code | Verdict::Wait => QrRefusalKind::NotReady,
        };
        Some(Err(refused(kind, view)))
    }
}

fn refused(kind: QrRefusalKind, view: SessionView) -> QrRefusal {
    QrRefusal::Session { kind, view: Box::new(view) }
}

fn live_code(view: &SessionView, now: DateTime<Utc>) -> Option<Arc<QrCode>> {
    view.qr.as_ref().filter(|code| code.expires_at > now).map(Arc::clone)
}

fn verdict(view: &SessionView, now: DateTime<Utc>) -> Verdict {
    match view.status {
        Status::Starting if view.reason == Some(Reason::Pairing) => Verdict::Refused(QrRefusalKind::PairingInProgress),
        Status::Failed => match view.reason.and_then(Failure::of) {
            Some(failure) if failure.heals_on_demand() => Verdict::Heal,
            Some(_) | None => Verdict::Refused(QrRefusalKind::NotRecovering),
        },
        Status::Working => Verdict::Refused(QrRefusalKind::AlreadyLinked),
        Status::PasskeyRequired | Status::PasskeyConfirmationRequired => {
            Verdict::Refused(QrRefusalKind::PasskeyRequired)
        }
        Status::Stopped | Status::Starting if view.linked => Verdict::Refused(QrRefusalKind::AlreadyLinked),
        Status::Stopped => Verdict::Heal,
        Status::Starting => Verdict::Wait,
        Status::ScanQrCode if view.qr.as_ref().is_some_and(|code| code.expires_at > now) => Verdict::Code,
        Status::ScanQrCode => Verdict::Wait,
    }
}
