//! Sessions that stand where a test puts them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use wagate::api::sessions::{Readiness, Sessions};
use wagate::cluster::Owner;
use wagate::domain::chat_id::ChatId;
use wagate::domain::instance::InstanceId;
use wagate::domain::link_code::LinkCode;
use wagate::domain::media_reference::MediaReference;
use wagate::domain::outgoing::Pace;
use wagate::domain::passkey::PasskeyAnswer;
use wagate::domain::phone_number::PhoneNumber;
use wagate::domain::profile::Profile;
use wagate::domain::qr_code::{QrCode, QrValue};
use wagate::domain::session::{Desired, Liveness, SessionView, Status};
use wagate::media::spool::{Arriving, Spooled};
use wagate::store::StoreError;
use wagate::store::outbound::Outbound;
use wagate::supervisor::{
    FileRefusal, LogoutOutcome, PasskeyRefusal, QrRefusal, QrRefusalKind, SupervisorError, Verdict, verdict,
};

mod directory;

pub(crate) use directory::Refusal;

/// A value as WhatsApp gives it.
pub(crate) const VALUE: &str = "2@Xl3mYCbgPZDE6j9QyZqk0eYcDTOFHSxbcU8N2IwNq4Ab7KdvfA9pFxTzlJ0m,\
    pHYkGlDs0vcTqnWUkM2FQ7nB8yTb7yB7L0OaJ2aG1kE=,uVn5Rk1sD0cXyQ7Zf3Lw9oPzT6mJ2hB4gE8iK0aN5xM=,\
    cT4gY8wQ2eRz6uI0oPaSdF1gHjKlZxCvBnM3qW5eR7Y=,1";

/// How WhatsApp takes an unlinking.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upstream {
    /// It confirms.
    #[default]
    Confirms,
    /// It cannot be reached.
    Unreachable,
}

#[derive(Default)]
pub(crate) struct Script {
    pub(crate) views: Mutex<HashMap<InstanceId, SessionView>>,
    /// What a logout or a delete meets.
    pub(crate) upstream: Mutex<Upstream>,
    /// What was deleted.
    pub(crate) gone: Mutex<HashSet<InstanceId>>,
    /// Whether this node takes no instances.
    pub(crate) refuses_starts: AtomicBool,
    /// Why there is no code.
    pub(crate) refusal: Mutex<Option<QrRefusalKind>>,
    pub(crate) readiness: Mutex<Option<Readiness>>,
    /// Who owns every instance: the first until it is forgotten, then the next; this node when none is left.
    pub(crate) owners: Mutex<VecDeque<Owner>>,
    /// How WhatsApp refuses questions about people, chats and groups.
    pub(crate) directory_refusal: Mutex<Option<Refusal>>,
    /// What was asked, in order.
    pub(crate) calls: Mutex<Vec<String>>,
    pub(crate) now: Mutex<DateTime<Utc>>,
    /// What was sent, in order.
    pub(crate) letters: Mutex<Vec<Outbound>>,
    /// The pace that was chosen.
    pub(crate) pace: Mutex<Option<Pace>>,
}

impl Script {
    /// Changes the session of an instance.
    pub(crate) fn set(&self, id: InstanceId, change: impl FnOnce(&mut SessionView)) {
        change(self.views.lock().get_mut(&id).expect("the instance was created"));
    }

    /// A code is live.
    pub(crate) fn show_code(&self, id: InstanceId, value: &str, attempt: u32, expires_at: DateTime<Utc>) {
        self.set(id, |view| {
            view.status = Status::ScanQrCode;
            view.qr = Some(Arc::new(QrCode::new(QrValue::new(value), expires_at, attempt)));
        });
    }

    /// A phone has linked it.
    pub(crate) fn link(&self, id: InstanceId) {
        self.set(id, |view| {
            view.status = Status::Working;
            view.linked = true;
            view.recovering = false;
            view.qr = None;
            view.me = Some(Profile {
                number: "201012345678".into(),
                lid: Some("99887766554433".into()),
                push_name: Some("John Doe".into()),
            });
            view.liveness = Liveness { connected: true, last_seen_at: Some(view.since), last_event_at: None };
        });
    }

    /// A session nobody has touched is stopped.
    fn found(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        if self.gone.lock().contains(&id) {
            return Err(SupervisorError::NotFound);
        }
        self.admit(id);
        self.views.lock().get(&id).cloned().ok_or(SupervisorError::NotFound)
    }

    /// Adds the session of a new instance, which only the database knows of yet.
    fn admit(&self, id: InstanceId) {
        let since = *self.now.lock();
        let view = SessionView {
            instance_id: id,
            status: Status::Stopped,
            reason: None,
            since,
            desired: Desired::Stopped,
            linked: false,
            me: None,
            qr: None,
            link_code: None,
            passkey: None,
            liveness: Liveness::default(),
            next_change_at: None,
            upstream_failing: false,
            recovering: true,
        };
        self.views.lock().entry(id).or_insert(view);
    }

    fn unlink(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError> {
        self.found(id)?;
        let unlinked_at_whatsapp = *self.upstream.lock() == Upstream::Confirms;
        if !unlinked_at_whatsapp && !force {
            return Err(SupervisorError::Unreachable);
        }
        self.set(id, |view| (view.linked, view.me) = (false, None));
        Ok(LogoutOutcome { view: self.found(id)?, unlinked_at_whatsapp })
    }

    /// Why there is no code: what the test says, or what the state does. A session that a request starts is started.
    fn no_code(&self, id: InstanceId, view: SessionView) -> QrRefusal {
        let starting = || {
            if view.upstream_failing { QrRefusalKind::UpstreamUnreachable } else { QrRefusalKind::NotReady }
        };
        let kind = self.refusal.lock().unwrap_or_else(|| match verdict(&view) {
            Verdict::Refused(kind) => kind,
            Verdict::Wait => starting(),
            Verdict::Heal => {
                self.set(id, |view| {
                    (view.status, view.reason, view.desired) = (Status::Starting, None, Desired::Running);
                });
                starting()
            }
        });
        let view = self.views.lock().get(&id).cloned().unwrap_or(view);
        QrRefusal::Session { kind, view: Box::new(view) }
    }

    fn called(&self, what: &str) {
        self.calls.lock().push(what.to_owned());
    }
}

#[async_trait::async_trait]
impl Sessions for Script {
    async fn view(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.called("view");
        self.found(id)
    }

    async fn views(&self, ids: &[InstanceId]) -> Result<Vec<SessionView>, SupervisorError> {
        Ok(ids.iter().filter_map(|id| self.found(*id).ok()).collect())
    }

    async fn qr(&self, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, QrRefusal> {
        self.called(&format!("qr {}", wait.as_secs()));
        let view = self.found(id)?;
        if let Some(code) = &view.qr {
            return Ok(Arc::clone(code));
        }
        Err(self.no_code(id, view))
    }

    async fn request_code(
        &self,
        id: InstanceId,
        number: PhoneNumber,
        wait: Duration,
    ) -> Result<Arc<LinkCode>, QrRefusal> {
        self.called(&format!("request_code {} {}", number.digits(), wait.as_secs()));
        let view = self.found(id)?;
        if let Some(code) = &view.link_code {
            return Ok(Arc::clone(code));
        }
        Err(self.no_code(id, view))
    }

    async fn answer_passkey(&self, id: InstanceId, answer: PasskeyAnswer) -> Result<SessionView, PasskeyRefusal> {
        self.called(match answer {
            PasskeyAnswer::Assertion(_) => "passkey assertion",
            PasskeyAnswer::Confirmed => "passkey confirmed",
        });
        let view = self.found(id)?;
        if *self.upstream.lock() == Upstream::Unreachable {
            return Err(PasskeyRefusal::Unreachable);
        }
        match &view.passkey {
            Some(prompt) if !prompt.answered && prompt.ask.takes(&answer) => Ok(view),
            Some(_) | None => Err(PasskeyRefusal::NotAsked { view: Box::new(view) }),
        }
    }

    fn watch(&self, _: InstanceId) -> Option<tokio::sync::watch::Receiver<SessionView>> {
        None
    }

    async fn start(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.called("start");
        self.found(id)?;
        if self.refuses_starts.load(Ordering::SeqCst) {
            return Err(SupervisorError::NotServing);
        }
        self.set(id, |view| (view.status, view.desired) = (Status::Starting, Desired::Running));
        self.found(id)
    }

    async fn stop(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.called("stop");
        self.found(id)?;
        self.set(id, |view| (view.status, view.desired) = (Status::Stopped, Desired::Stopped));
        self.found(id)
    }

    async fn restart(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        self.called("restart");
        self.found(id)
    }

    async fn logout(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError> {
        self.called(&format!("logout {force}"));
        self.unlink(id, force)
    }

    async fn delete(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError> {
        self.called(&format!("delete {force}"));
        let outcome = self.unlink(id, force)?;
        self.gone.lock().insert(id);
        Ok(outcome)
    }

    async fn addresses(&self, _: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, SupervisorError> {
        Ok(vec![chat.clone()])
    }

    async fn wait_for(
        &self,
        id: InstanceId,
        statuses: &[Status],
        timeout: Duration,
    ) -> Result<SessionView, SupervisorError> {
        let words: Vec<&str> = statuses.iter().map(|status| status.as_str()).collect();
        self.called(&format!("wait_for {} {}", words.join(","), timeout.as_secs()));
        self.found(id)
    }

    async fn download(&self, _: InstanceId, _: &MediaReference, _: Arriving) -> Result<Spooled, FileRefusal> {
        Err(FileRefusal::Gone)
    }

    async fn owner_of(&self, _: InstanceId) -> Result<Owner, StoreError> {
        Ok(self.owners.lock().front().cloned().unwrap_or(Owner::Here))
    }

    fn forget_owner(&self, _: InstanceId) {
        self.owners.lock().pop_front();
    }

    fn readiness(&self) -> Readiness {
        self.readiness.lock().unwrap_or(Readiness { lease: true, engine: true })
    }
}

/// A moment a number of seconds after the test's start.
pub(crate) fn later(now: DateTime<Utc>, seconds: i64) -> DateTime<Utc> {
    now + TimeDelta::seconds(seconds)
}
