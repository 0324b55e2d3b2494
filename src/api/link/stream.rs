//! `/link/{token}/events`: how the linking goes, for as long as the page is open.
//!
//! The owner of the instance wakes a stream by its session's view; any other node carries the stream from there. An
//! instance that nobody owns is looked at every second. With `show=true`, which the page asks once its reader has tapped,
//! the stream is the demand for codes: it keeps rounds coming and starts a session that rests, and its end ends that.

use std::sync::Arc;
use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use actix_web::web::Data;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use futures_util::stream;
use tokio::sync::watch;

use crate::api::audit::Witness;
use crate::api::auth;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::state::ApiState;
use crate::api::stream::{Frames, Vigil, Woken};
use crate::api::tokens::Caller;
use crate::cluster::Owner;
use crate::domain::instance::InstanceId;
use crate::domain::link_phase::Visit;
use crate::domain::session::SessionView;
use crate::domain::token::Scope;
use crate::store::{StoreError, account_origin, link};

use super::opened::is_of;
use super::told::{Mark, Told};

/// How long a page waits before it comes back, in milliseconds.
const RETRY_MS: u32 = 2_000;

/// How often a session without an actor here is looked at.
const LOOK_AGAIN: TimeDelta = TimeDelta::seconds(1);

/// How often the demand for codes is renewed, at the next heartbeat or change: a session counts one for 60 s.
const DEMAND: TimeDelta = TimeDelta::seconds(10);

/// Proxies that buffer an answer would hold the code back.
const X_ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// Answers with the stream.
#[tracing::instrument(skip_all, fields(instance.id))]
pub(super) async fn events(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let shows = read.boolean("show").unwrap_or(false);
    read.finish()?;
    let id = call.instance_to_tell(target).await?;
    if shows {
        call.within_qr_limit(id)?;
    }
    let mut conn = call.state.store.acquire().await?;
    let standing = link::standing(&mut conn, id, call.caller.token_id).await?.ok_or(ApiError::Unauthorized)?;
    drop(conn);
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "text/event-stream")).insert_header((X_ACCEL_BUFFERING, "no"));
    if call.is_head() {
        return Ok(response.finish());
    }
    let feed = Feed {
        vigil: Vigil::begin(&call, Scope::Link, &call.state.pages)?,
        state: call.state.clone(),
        caller: Arc::clone(&call.caller),
        witness: call.witness(),
        id,
        visit: Visit { shows, spent: standing.is_spent },
        views: None,
        is_linked: false,
        demand_at: call.state.clock.now(),
        told: None,
    };
    Ok(response.streaming(stream::unfold(feed, |mut feed| async move {
        let bytes = feed.next().await?;
        Some((Ok::<_, std::convert::Infallible>(bytes), feed))
    })))
}

/// One stream.
struct Feed {
    state: Data<ApiState>,
    caller: Arc<Caller>,
    vigil: Vigil,
    witness: Witness,
    id: InstanceId,
    visit: Visit,
    views: Option<watch::Receiver<SessionView>>,
    /// The session was linked when it was last looked at.
    is_linked: bool,
    /// When the demand for codes is due (again).
    demand_at: DateTime<Utc>,
    told: Option<Mark>,
}

impl Feed {
    /// What is sent next; `None` at the end.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            // Boxed, because a future has room for the largest thing it ever waits for, and most streams are silent.
            if !Box::pin(self.vigil.holds()).await {
                return None;
            }
            if let Some(frames) = Box::pin(self.look()).await? {
                self.vigil.sent();
                return Some(frames.into());
            }
            match self.wait().await {
                Woken::News => {}
                Woken::Beat => {
                    self.vigil.sent();
                    let mut frames = Frames::default();
                    frames.heartbeat();
                    return Some(frames.into());
                }
                Woken::End => return None,
            }
        }
    }

    /// What is new; `None` if this node is the wrong one to ask, or the instance is gone.
    async fn look(&mut self) -> Option<Option<Frames>> {
        let now = self.state.clock.now();
        if self.visit.shows && now >= self.demand_at && !self.visit.spent && !self.is_linked {
            self.demand_at = now + DEMAND;
            // A refusal is a state of the session, which is told below.
            let _ = self.state.sessions.qr(self.id, Duration::ZERO).await;
        }
        self.views = self.state.sessions.watch(self.id);
        let view = match &mut self.views {
            Some(views) => views.borrow_and_update().clone(),
            None => self.stored().await?,
        };
        // The pairing that this stream saw has used the link up.
        self.visit.spent |= self.is_linked && !view.linked;
        self.is_linked = view.linked;
        let now = self.state.clock.now();
        let mark = Mark::of(&view, self.visit, now);
        if self.told == Some(mark) {
            return Some(None);
        }
        let mut frames = Frames::default();
        if self.told.replace(mark).is_none() {
            frames.retry(RETRY_MS);
        }
        let return_url = if mark.is_linked() { self.return_url().await.ok()? } else { None };
        match Told::new(&view, mark, (now, return_url)) {
            Ok(told) => frames.passing("state", &told),
            Err(error) => {
                tracing::error!(instance.id = %self.id, %error, "a code could not be drawn for a link page");
                return None;
            }
        }
        self.note_shown(&view, mark).await;
        Some(Some(frames))
    }

    /// The session as it was last written. A node that owns nothing of it is the wrong one if another does.
    async fn stored(&self) -> Option<SessionView> {
        match self.state.sessions.owner_of(self.id).await {
            Ok(Owner::Here | Owner::Nobody) => self.state.sessions.view(self.id).await.ok(),
            Ok(Owner::Elsewhere { .. }) | Err(_) => None,
        }
    }

    /// Where the page leads now: the account may have taken that off its list while it was open.
    async fn return_url(&self) -> Result<Option<String>, StoreError> {
        let mut conn = self.state.store.acquire().await?;
        let standing = link::standing(&mut conn, self.id, self.caller.token_id).await?;
        let origins = account_origin::of(&mut conn, self.caller.account_id).await?;
        Ok(standing.and_then(|standing| standing.return_url).filter(|address| is_of(address, &origins)))
    }

    async fn note_shown(&self, view: &SessionView, mark: Mark) {
        let Some(code) = view.qr.as_deref().filter(|_| mark.shows_code()) else { return };
        if let Err(error) = auth::note_shown(&self.state, &self.witness, self.id, code).await {
            tracing::warn!(instance.id = %self.id, %error, "the audit log has no line of a code that was shown");
        }
    }

    async fn wait(&mut self) -> Woken {
        let (views, clock) = (&mut self.views, &self.state.clock);
        let news = async {
            let changed = match views {
                Some(views) => views.changed().await.is_ok(),
                None => false,
            };
            if !changed {
                clock.sleep_until(clock.now() + LOOK_AGAIN).await;
            }
        };
        self.vigil.wait(news).await
    }
}
