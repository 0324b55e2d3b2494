//! Codes that are typed: who asked for one, and what happens when a phone gets it.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt as _;
use tokio::sync::oneshot;

use super::linking::LINK_TIMEOUT;
use super::{Command, Network, ScanError, SocketId};
use crate::sandbox::device::DeviceId;
use crate::sandbox::type_code::{self, CompanionHello, Typed, Wrapped};

/// How long a code is taken.
const VALIDITY: TimeDelta = TimeDelta::seconds(180);

/// A typed code, on its way to the connection that asked for one.
pub(in crate::sandbox) struct TypeRequest {
    /// The phone it was typed into.
    pub(in crate::sandbox) typed: Typed,
    /// Told how it went.
    pub(in crate::sandbox) outcome: oneshot::Sender<Result<DeviceId, ScanError>>,
}

/// The newest request for a code of each phone: the server knows the number and never the code.
#[derive(Default)]
pub(super) struct Asked(BTreeMap<String, Hello>);

struct Hello {
    socket: SocketId,
    wrapped: Wrapped,
    reference: Vec<u8>,
    since: DateTime<Utc>,
    is_used: bool,
}

impl Network {
    /// A client asks for the phone of a number: the reference by which both are told from others. `None` if there is no
    /// such phone, or the client's key is not its own.
    pub(in crate::sandbox) fn ask_for_code(
        &self,
        socket: SocketId,
        noise_key: &[u8; 32],
        hello: CompanionHello,
    ) -> Option<Vec<u8>> {
        let reference = self.rng().random::<[u8; 16]>().to_vec();
        let since = self.now();
        let mut state = self.state.lock();
        if hello.noise_key != *noise_key || !state.phones.contains_key(&hello.number) {
            return None;
        }
        let wrapped = hello.wrapped_ephemeral;
        let asked = Hello { socket, wrapped, reference: reference.clone(), since, is_used: false };
        state.asked.0.insert(hello.number, asked);
        Some(reference)
    }

    /// A code is typed into a phone. Returns once the device has proven its side of the link.
    pub(in crate::sandbox) async fn type_code(
        self: &Arc<Self>,
        number: &str,
        code: &str,
    ) -> Result<DeviceId, ScanError> {
        let (phone, socket, wrapped, reference) = {
            let state = self.state.lock();
            let phone = state.phones.get(number).ok_or(ScanError::NoPhone)?;
            type_code::parse_code(code).ok_or(ScanError::NotACode)?;
            let asked = state.asked.0.get(number).ok_or(ScanError::Unknown)?;
            if asked.is_used {
                return Err(ScanError::Used);
            }
            if self.now() >= asked.since + VALIDITY || !state.sockets.contains_key(&asked.socket) {
                return Err(ScanError::Expired);
            }
            (phone.clone(), asked.socket, asked.wrapped, asked.reference.clone())
        };
        let code = type_code::parse_code(code).ok_or(ScanError::NotACode)?;
        let mut rng = self.rng();
        let typed = tokio::task::spawn_blocking(move || Typed::new(phone, &code, &wrapped, reference, &mut rng)).await;
        // A derivation that panicked has been reported by the runtime.
        let typed = typed.ok().flatten().ok_or(ScanError::Unknown)?;
        let (outcome, linked) = oneshot::channel();
        {
            let state = self.state.lock();
            let entry = state.sockets.get(&socket).ok_or(ScanError::Expired)?;
            entry.tell(Command::Type(Box::new(TypeRequest { typed, outcome })));
        }
        match tokio::time::timeout(LINK_TIMEOUT, linked).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ScanError::Expired),
            Err(_) => Err(ScanError::Silent),
        }
    }

    /// The code of a number was the right one.
    pub(in crate::sandbox) fn use_code(&self, number: &str) {
        if let Some(asked) = self.state.lock().asked.0.get_mut(number) {
            asked.is_used = true;
        }
    }
}
