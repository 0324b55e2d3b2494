//! Linking without a scan: a code that is typed into the phone, and the passkey that WhatsApp may ask for.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::instance::InstanceId;
use crate::domain::link_code::LinkCode;
use crate::domain::passkey::PasskeyAnswer;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::session::{SessionView, Status};

use super::error::{PasskeyRefusal, QrRefusal, QrRefusalKind};
use super::handle::Supervisor;
use super::qr::{not_ready, refused};
use super::registry::{Command, Denial};
use super::rules::delta;

impl Supervisor {
    /// A code to type into the phone of this number. It is made where a code could be scanned, so it is waited for and
    /// refused as one is; the same number has the same code for as long as that lives, another number ends it.
    pub async fn request_code(
        &self,
        id: InstanceId,
        number: PhoneNumber,
        wait: Duration,
    ) -> Result<Arc<LinkCode>, QrRefusal> {
        let clock = &self.inner().deps.clock;
        let until = clock.now() + delta(wait);
        loop {
            let scannable = |view: &SessionView, _| (view.status == Status::ScanQrCode).then(|| view.clone());
            let view = self.shown(id, until, scannable).await?;
            if let Some(code) = view.link_code.as_ref().filter(|code| code.is_for(number, clock.now())) {
                return Ok(Arc::clone(code));
            }
            let door = self.inner().door(id).await?;
            let (reply, answer) = oneshot::channel();
            // A door that has closed, like a dropped reply, says that the session has moved on.
            let sent = door.commands.send(Command::RequestCode { number, reply }).await;
            let answer = if sent.is_ok() { answer.await.unwrap_or(Err(Denial::NotNow)) } else { Err(Denial::NotNow) };
            match answer {
                Ok(code) => return Ok(code),
                Err(Denial::Refused) => return Err(refused(QrRefusalKind::UpstreamRefused, view)),
                Err(Denial::Unreachable) => return Err(refused(QrRefusalKind::UpstreamUnreachable, view)),
                Err(Denial::NotNow) if clock.now() < until => {}
                Err(Denial::NotNow) => return Err(not_ready(self.view(id).await?)),
            }
        }
    }

    /// Hands in what WhatsApp asked of a passkey; the session as it stands after WhatsApp has taken it.
    pub async fn answer_passkey(&self, id: InstanceId, answer: PasskeyAnswer) -> Result<SessionView, PasskeyRefusal> {
        let view = self.view(id).await?;
        // What is asked, is asked over a connection: without an actor there is none.
        let Some(door) = self.inner().deps.registry.get(id).filter(|_| view.passkey.is_some()) else {
            return Err(PasskeyRefusal::NotAsked { view: Box::new(view) });
        };
        let (reply, taken) = oneshot::channel();
        let sent = door.commands.send(Command::AnswerPasskey { answer, reply }).await;
        match if sent.is_ok() { taken.await.unwrap_or(Err(Denial::NotNow)) } else { Err(Denial::NotNow) } {
            Ok(view) => Ok(view),
            Err(Denial::NotNow) => Err(PasskeyRefusal::NotAsked { view: Box::new(self.view(id).await?) }),
            Err(Denial::Refused) => Err(PasskeyRefusal::Refused),
            Err(Denial::Unreachable) => Err(PasskeyRefusal::Unreachable),
        }
    }
}
