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

/// What a session's state answers to a request for a code where it shows none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// No, whatever happens next.
    Refused(QrRefusalKind),
    /// Something must be started first.
    Heal,
    /// What is on its way, if it comes in time.
    Wait,
}

impl Supervisor {
    /// The live code of a session; waits up to `wait` for one that is on its way. Asking keeps rounds of codes coming
    /// and starts an unlinked session that rests. A linked one is never touched.
    pub async fn qr(&self, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, QrRefusal> {
        let until = self.inner().deps.clock.now() + delta(wait);
        self.shown(id, until, live_code).await
    }

    /// What `pick` finds in the session's view, as soon as it does and until `until` at the latest.
    pub(super) async fn shown<T>(
        &self,
        id: InstanceId,
        until: DateTime<Utc>,
        pick: impl Fn(&SessionView, DateTime<Utc>) -> Option<T>,
    ) -> Result<T, QrRefusal> {
        let deps = &self.inner().deps;
        let now = deps.clock.now();
        if let Some(door) = deps.registry.get(id) {
            door.note_demand(now);
            if let Some(picked) = pick(&door.view.borrow(), now) {
                return Ok(picked);
            }
        }
        loop {
            // Before anything is claimed or woken: is there anything to start at all?
            let view = self.view(id).await?;
            match verdict(&view) {
                Verdict::Refused(kind) => return Err(refused(kind, view)),
                Verdict::Wait => {}
                Verdict::Heal => {
                    let view = self.inner().wish(id, Event::Demand).await?;
                    if verdict(&view) == Verdict::Heal && view.status == Status::Failed {
                        return Err(refused(QrRefusalKind::NotRecovering, view));
                    }
                }
            }
            let door = self.inner().door(id).await?;
            door.note_demand(deps.clock.now());
            match self.await_shown(&door, until, &pick).await {
                Some(answer) => return answer,
                // The actor left, which it only does when its lease is gone or the node stops.
                None if deps.clock.now() < until => {}
                None => return Err(SupervisorError::NotServing.into()),
            }
        }
    }

    async fn await_shown<T>(
        &self,
        door: &Door,
        until: DateTime<Utc>,
        pick: &impl Fn(&SessionView, DateTime<Utc>) -> Option<T>,
    ) -> Option<Result<T, QrRefusal>> {
        let clock = &self.inner().deps.clock;
        let mut views = door.view.clone();
        let decided = async {
            views
                .wait_for(|view| match verdict(view) {
                    _ if pick(view, clock.now()).is_some() => true,
                    Verdict::Refused(_) => true,
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
            () = clock.sleep_until(until) => return Some(Err(not_ready(door.view.borrow().clone()))),
        };
        if let Some(picked) = pick(&view, clock.now()) {
            return Some(Ok(picked));
        }
        let kind = match verdict(&view) {
            Verdict::Refused(kind) => kind,
            Verdict::Heal if view.status == Status::Failed => QrRefusalKind::NotRecovering,
            // It went between the two looks.
            Verdict::Heal | Verdict::Wait => QrRefusalKind::NotReady,
        };
        Some(Err(refused(kind, view)))
    }
}

pub(super) fn refused(kind: QrRefusalKind, view: SessionView) -> QrRefusal {
    QrRefusal::Session { kind, view: Box::new(view) }
}

/// What was on its way did not come in time.
pub(super) fn not_ready(view: SessionView) -> QrRefusal {
    let kind = if view.upstream_failing { QrRefusalKind::UpstreamUnreachable } else { QrRefusalKind::NotReady };
    refused(kind, view)
}

fn live_code(view: &SessionView, now: DateTime<Utc>) -> Option<Arc<QrCode>> {
    view.qr.as_ref().filter(|code| code.expires_at > now).map(Arc::clone)
}

/// The table of linking.
pub fn verdict(view: &SessionView) -> Verdict {
    match view.status {
        Status::Starting if view.reason == Some(Reason::Pairing) => Verdict::Refused(QrRefusalKind::PairingInProgress),
        Status::Failed => match view.reason.and_then(Failure::of) {
            Some(failure) if failure.heals_on_demand() && !view.linked => Verdict::Heal,
            Some(_) | None => Verdict::Refused(QrRefusalKind::NotRecovering),
        },
        Status::Working => Verdict::Refused(QrRefusalKind::AlreadyLinked),
        Status::PasskeyRequired | Status::PasskeyConfirmationRequired => {
            Verdict::Refused(QrRefusalKind::PasskeyRequired)
        }
        Status::Stopped | Status::Starting if view.linked => Verdict::Refused(QrRefusalKind::AlreadyLinked),
        Status::Stopped => Verdict::Heal,
        Status::ScanQrCode | Status::Starting => Verdict::Wait,
    }
}
