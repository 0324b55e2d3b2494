//! What the handlers ask of the running sessions: the supervisor's handle in the product, a script in tests.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::qr_code::QrCode;
use crate::domain::session::{Desired, SessionView, Status};

/// The sessions of this gateway.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Adds the rows of a new instance's session, within the transaction that creates the instance.
    async fn admit(&self, conn: &mut PgConnection, id: InstanceId, desired: Desired) -> Result<(), SessionError>;

    /// The session as it stands.
    async fn view(&self, id: InstanceId) -> Result<SessionView, SessionError>;

    /// Those of `ids` that there are, in any order.
    async fn views(&self, ids: &[InstanceId]) -> Result<Vec<SessionView>, SessionError>;

    /// The live code; waits for one for as long as `wait`, starting the session if a request for a code may.
    async fn qr(&self, id: InstanceId, wait: Duration) -> Result<Arc<QrCode>, SessionError>;

    /// The owner wants it running.
    async fn start(&self, id: InstanceId) -> Result<SessionView, SessionError>;

    /// The owner wants it resting; the link stays.
    async fn stop(&self, id: InstanceId) -> Result<SessionView, SessionError>;

    /// The owner wants a fresh connection.
    async fn restart(&self, id: InstanceId) -> Result<SessionView, SessionError>;

    /// Unlinks the device and deletes its keys. With `force`, also when WhatsApp cannot be told.
    async fn logout(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SessionError>;

    /// Unlinks as [`Sessions::logout`] does and erases everything of the instance.
    async fn delete(&self, id: InstanceId, force: bool) -> Result<LogoutOutcome, SessionError>;

    /// The session once it stands at one of `statuses`, or as it stands when `timeout` has passed.
    async fn wait_for(
        &self,
        id: InstanceId,
        statuses: &[Status],
        timeout: Duration,
    ) -> Result<SessionView, SessionError>;

    /// What this node needs in order to serve sessions.
    fn readiness(&self) -> Readiness;
}

/// Whether a logout reached WhatsApp.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogoutOutcome {
    /// WhatsApp confirmed it, or there was no link.
    Unlinked,
    /// Erased here only: the phone still lists the device.
    ErasedHere,
}

/// What `/health/ready` tells of the sessions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Readiness {
    /// This node's lease is held and trusted.
    pub lease: bool,
    /// The engine can be started.
    pub engine: bool,
}

/// Why a session did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// There is no such instance.
    #[error("there is no such instance")]
    NotFound,
    /// Not as it stands; the view says how that is.
    #[error("the session stands at {}", .0.status)]
    Status(Box<SessionView>),
    /// WhatsApp could not be reached, or did not confirm; nothing was changed.
    #[error("WhatsApp could not be reached")]
    UpstreamUnreachable,
    /// WhatsApp did not answer in time; nothing was changed.
    #[error("WhatsApp did not answer in time")]
    UpstreamTimeout,
    /// This gateway could not do it.
    #[error("the session could not be served")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}
