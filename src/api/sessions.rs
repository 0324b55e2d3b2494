//! What the handlers ask of the running sessions: [`Supervisor`] in the product, a script in the tests, where every state
//! of the contract must stand in front of every route.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;

use crate::cluster::Owner;
use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::link_code::LinkCode;
use crate::domain::media_reference::MediaReference;
use crate::domain::passkey::PasskeyAnswer;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::qr_code::QrCode;
use crate::domain::session::{SessionView, Status};
use crate::media::spool::{Arriving, Spooled};
use crate::store::StoreError;
use crate::supervisor::{FileRefusal, LogoutOutcome, PasskeyRefusal, QrRefusal, Supervisor, SupervisorError};

mod sending;

use super::directory::Directory;

pub use sending::Sending;

/// The sessions of this gateway; each method is [`Supervisor`]'s of that name.
#[async_trait]
pub trait Sessions: Sending + Directory + Send + Sync + 'static {
    /// The session as it stands.
    async fn view(&self, id: InstanceId) -> Result<SessionView, SupervisorError>;

    /// Those of `ids` that there are.
    async fn views(&self, ids: &[InstanceId]) -> Result<Vec<SessionView>, SupervisorError>;

    /// The live code; waits for one for as long as `wait`, starting the session if a request for a code may.
    async fn qr(&self, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, QrRefusal>;

    /// A code to type into the phone of this number; waits as [`Sessions::qr`] does.
    async fn request_code(
        &self,
        id: InstanceId,
        number: PhoneNumber,
        wait: Duration,
    ) -> Result<Arc<LinkCode>, QrRefusal>;

    /// Hands in what WhatsApp asked of a passkey.
    async fn answer_passkey(&self, id: InstanceId, answer: PasskeyAnswer) -> Result<SessionView, PasskeyRefusal>;

    /// The owner wants it running.
    async fn start(&self, id: InstanceId) -> Result<SessionView, SupervisorError>;

    /// The owner wants it resting; the link stays.
    async fn stop(&self, id: InstanceId) -> Result<SessionView, SupervisorError>;

    /// The owner wants a fresh connection.
    async fn restart(&self, id: InstanceId) -> Result<SessionView, SupervisorError>;

    /// Unlinks the device and deletes its keys. With `force`, also when WhatsApp cannot be told.
    async fn logout(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError>;

    /// Unlinks as [`Sessions::logout`] does and erases everything of the instance.
    async fn delete(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError>;

    /// Every address under which a chat is known: the given one, and a person's other one if there is one.
    async fn addresses(&self, id: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, SupervisorError>;

    /// The session once it stands at one of `statuses`, or as it stands when `timeout` has passed.
    async fn wait_for(
        &self,
        id: InstanceId,
        statuses: &[Status],
        timeout: Duration,
    ) -> Result<SessionView, SupervisorError>;

    /// Brings the encrypted file of a message.
    async fn download(
        &self,
        id: InstanceId,
        reference: &MediaReference,
        into: Arriving,
    ) -> Result<Spooled, FileRefusal>;

    /// The session as it changes, if it has an actor here; the channel closes when that leaves.
    fn watch(&self, id: InstanceId) -> Option<watch::Receiver<SessionView>>;

    /// Who must be asked about an instance.
    async fn owner_of(&self, id: InstanceId) -> Result<Owner, StoreError>;

    /// Whom this node took for the owner of an instance is not.
    fn forget_owner(&self, id: InstanceId);

    /// What this node needs in order to serve sessions.
    fn readiness(&self) -> Readiness;
}

/// What `/health/ready` tells of the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// This node's lease is held and trusted.
    pub lease: bool,
    /// Clients can be started. WhatsApp being out of reach is no reason to send requests elsewhere.
    pub engine: bool,
}

#[async_trait]
impl Sessions for Supervisor {
    async fn view(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        Self::view(self, id).await
    }

    async fn views(&self, ids: &[InstanceId]) -> Result<Vec<SessionView>, SupervisorError> {
        Self::views(self, ids).await
    }

    async fn qr(&self, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, QrRefusal> {
        Self::qr(self, id, wait).await
    }

    async fn request_code(
        &self,
        id: InstanceId,
        number: PhoneNumber,
        wait: Duration,
    ) -> Result<Arc<LinkCode>, QrRefusal> {
        Self::request_code(self, id, number, wait).await
    }

    async fn answer_passkey(&self, id: InstanceId, answer: PasskeyAnswer) -> Result<SessionView, PasskeyRefusal> {
        Self::answer_passkey(self, id, answer).await
    }

    async fn start(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        Self::start(self, id).await
    }

    async fn stop(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        Self::stop(self, id).await
    }

    async fn restart(&self, id: InstanceId) -> Result<SessionView, SupervisorError> {
        Self::restart(self, id).await
    }

    async fn logout(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError> {
        Self::logout(self, id, force).await
    }

    async fn delete(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SupervisorError> {
        Self::delete(self, id, force).await
    }

    async fn addresses(&self, id: InstanceId, chat: &ChatId) -> Result<Vec<ChatId>, SupervisorError> {
        Self::addresses(self, id, chat).await
    }

    async fn wait_for(
        &self,
        id: InstanceId,
        statuses: &[Status],
        timeout: Duration,
    ) -> Result<SessionView, SupervisorError> {
        Self::wait_for(self, id, statuses, timeout).await
    }

    async fn download(
        &self,
        id: InstanceId,
        reference: &MediaReference,
        into: Arriving,
    ) -> Result<Spooled, FileRefusal> {
        Self::download(self, id, reference, into).await
    }

    fn watch(&self, id: InstanceId) -> Option<watch::Receiver<SessionView>> {
        Self::watch(self, id)
    }

    async fn owner_of(&self, id: InstanceId) -> Result<Owner, StoreError> {
        Self::owner_of(self, id).await
    }

    fn forget_owner(&self, id: InstanceId) {
        Self::forget_owner(self, id);
    }

    fn readiness(&self) -> Readiness {
        Readiness { lease: self.holds_lease(), engine: self.is_running() }
    }
}
