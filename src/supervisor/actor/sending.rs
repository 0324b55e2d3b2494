//! The outbox of the connected client: it lives as long as the connection does.

use std::sync::Arc;

use crate::domain::session::Status;
use crate::supervisor::outbox::OutboxTask;

use super::{Actor, End, unless};

impl Actor {
    /// A connected client sends what waits to be sent.
    pub(super) fn tend_outbox(&mut self) {
        if self.outbox.is_none()
            && self.view.borrow().status == Status::Working
            && let Some(client) = &self.run
        {
            let (deps, mail) = (Arc::clone(&self.deps), Arc::clone(&self.door.mail));
            self.outbox = Some(OutboxTask::start(deps, (self.id, self.fence), Arc::clone(client), mail));
        }
    }

    /// Nothing more is taken in hand over this connection. What is in hand ends with the client.
    pub(super) fn close_outbox(&mut self) -> Option<OutboxTask> {
        let outbox = self.outbox.take();
        outbox.inspect(OutboxTask::close)
    }

    /// To be called when the client has ended: whoever waited for an acknowledgement over it has learned that none comes,
    /// and writes that down. Without the lease nothing may be written, and the outbox just ends.
    pub(super) async fn finish_outbox(&mut self, outbox: Option<OutboxTask>) {
        if let Some(outbox) = outbox
            && self.end != Some(End::Lost)
        {
            unless(&self.tenure_ended, outbox.finished()).await;
        }
    }
}
