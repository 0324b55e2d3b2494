//! What a stream watches beside its events: that its credential holds, and that the node goes on.

use std::pin::pin;
use std::sync::Arc;

use actix_web::web::Data;
use chrono::{DateTime, TimeDelta, Utc};

use crate::api::error::ApiError;
use crate::api::extract::{Call, Credential};
use crate::api::state::ApiState;
use crate::api::tokens::Unresolved;
use crate::domain::token::Scope;

use super::{Place, Streams};

/// A stream that was silent for this long says that it is still there: proxies cut a connection that is silent for 30 or
/// 60 s.
const HEARTBEAT: TimeDelta = TimeDelta::seconds(15);

/// How often a credential is looked at. Another node's revocation is known here after `limits.revocation_interval`, 2 s
/// by default, so a stream ends within 4.
const CHECK: TimeDelta = TimeDelta::seconds(2);

/// Watches over one stream for as long as it is open.
pub(in crate::api) struct Vigil {
    state: Data<ApiState>,
    credential: Credential,
    scope: Scope,
    beat_at: DateTime<Utc>,
    check_at: DateTime<Utc>,
    place: Place,
}

/// Why a stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Woken {
    /// What it waited for has come.
    News,
    /// It was silent for long.
    Beat,
    /// It does not: it is to end.
    End,
}

impl Vigil {
    /// For the answer to a call whose credential has `scope`, one of `among`; `Err` if as many streams are open as may be.
    pub(in crate::api) fn begin(call: &Call, scope: Scope, among: &Arc<Streams>) -> Result<Self, ApiError> {
        let state = call.state.clone();
        let place = among.open(call.caller.account_id)?;
        let now = state.clock.now();
        Ok(Self { credential: call.credential(), scope, beat_at: now + HEARTBEAT, check_at: now + CHECK, place, state })
    }

    /// Something was sent: the silence begins anew.
    pub(in crate::api) fn sent(&mut self) {
        self.beat_at = self.state.clock.now() + HEARTBEAT;
    }

    /// Whether the credential still holds, as far as is known; looked at now and then.
    pub(in crate::api) async fn holds(&mut self) -> bool {
        let now = self.state.clock.now();
        if now < self.check_at {
            return true;
        }
        self.check_at = now + CHECK;
        match self.credential.caller(&self.state).await {
            Ok(caller) => caller.may(self.scope),
            Err(Unresolved::Unknown) => false,
            // It cannot be found out at this moment, and held a moment ago.
            Err(Unresolved::TooManyLookups | Unresolved::Store(_)) => true,
        }
    }

    /// Waits for `news`, at most until the stream has to say something or to end.
    pub(in crate::api) async fn wait(&mut self, news: impl Future<Output = ()>) -> Woken {
        let mut news = pin!(news);
        loop {
            let clock = Arc::clone(&self.state.clock);
            let wake_at = self.beat_at.min(self.check_at);
            tokio::select! {
                biased;
                () = self.place.ended() => return Woken::End,
                () = &mut news => return Woken::News,
                () = clock.sleep_until(wake_at) => {}
            }
            // Boxed, so that who waits does not hold the room of a query.
            if !Box::pin(self.holds()).await {
                return Woken::End;
            }
            if clock.now() >= self.beat_at {
                return Woken::Beat;
            }
        }
    }
}
