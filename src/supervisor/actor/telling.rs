//! What was decided is stored, told and published.
//!
//! The session's row and the events that tell of it are one transaction: whoever reads the log misses no status that was
//! ever stored. A code that replaces another changes nothing that is stored, so it is published first and told after;
//! nobody who waits for it waits for the database.

use chrono::{DateTime, TimeDelta, Utc};
use tracing::{info, warn};

use crate::domain::event::Draft;
use crate::domain::session::notice::Notices;
use crate::domain::session::{Reason, Saved};

use super::{Actor, End, unless};
use crate::supervisor::persist::{Stored, store};

/// A pause before what was decided is stored again.
const STORE_RETRY: TimeDelta = TimeDelta::seconds(1);

/// Events that may wait for a database that is away. The node's own lease lapses long before a session has that many.
const UNTOLD: usize = 64;

/// What of a session is stored and told already, and what is not yet.
pub(super) struct Telling {
    stored: Saved,
    notices: Notices,
    untold: Vec<Draft>,
    /// When it is tried again.
    pub(super) again_at: Option<DateTime<Utc>>,
}

impl Telling {
    /// Of a session that is stored like this.
    pub(super) fn after(stored: Saved) -> Self {
        let notices = Notices::after(&stored);
        Self { stored, notices, untold: Vec::new(), again_at: None }
    }

    fn add(&mut self, drafts: Vec<Draft>) {
        self.untold.extend(drafts);
        let excess = self.untold.len().saturating_sub(UNTOLD);
        self.untold.drain(..excess);
    }
}

impl Actor {
    pub(super) async fn store_and_publish(&mut self) {
        let saved = self.state.saved();
        let view = self.state.view(self.id, &self.deps.rules);
        let now = self.deps.clock.now();
        let news = self.telling.notices.of(self.id, &saved, view.qr.as_ref(), now);
        self.telling.add(news);
        self.telling.again_at = None;
        if saved == self.telling.stored {
            self.view.send_replace(view);
            if !self.telling.untold.is_empty() {
                self.store(saved).await;
            }
        } else {
            self.store(saved).await;
            if self.end.is_none() {
                self.view.send_replace(view);
            }
        }
    }

    /// Stores the session with what is yet to be told of it.
    async fn store(&mut self, saved: Saved) {
        let Telling { stored, untold, .. } = &self.telling;
        let storing = store(&self.deps, (self.id, self.fence), (stored, &saved), untold);
        let done = unless(&self.tenure_ended, storing).await;
        match done.unwrap_or(Ok(Stored::LeaseLost)) {
            Ok(Stored::Held) => {
                if saved != self.telling.stored {
                    info!(
                        instance.id = %self.id,
                        session.status = %saved.status,
                        session.reason = saved.reason.map(Reason::as_str),
                        "session changed"
                    );
                    self.telling.stored = saved;
                }
                self.telling.untold.clear();
            }
            Ok(Stored::LeaseLost) => self.end = Some(End::Lost),
            Err(error) => {
                warn!(
                    instance.id = %self.id,
                    error = &error as &dyn std::error::Error,
                    "the session could not be stored and will be again"
                );
                self.telling.again_at = Some(self.deps.clock.now() + STORE_RETRY);
            }
        }
    }
}
