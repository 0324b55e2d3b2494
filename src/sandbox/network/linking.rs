//! Phones, the codes that unlinked clients show, and what happens when the one scans the other.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::RngExt as _;
use tokio::sync::oneshot;

use super::{Command, End, Network, PhoneView, SocketId, State};
use crate::sandbox::device::{Device, DeviceId, Registration};
use crate::sandbox::phone::{DeviceDetails, Phone};
use crate::sandbox::qr_value::QrValue;
use crate::sandbox::round::{REFERENCES, Round};

/// A phone gives up when the device it links has not answered for this long.
pub(super) const LINK_TIMEOUT: Duration = Duration::from_secs(20);
/// So many references that can no longer be scanned are remembered, to tell a late scan from an unknown code.
const SPENT_REFERENCES: usize = 16_384;

/// Why a phone could not be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhoneError {
    /// A number has 5 to 15 digits.
    #[error("a phone number has 5 to 15 digits")]
    Number,
    /// There is one with this number.
    #[error("there is a phone with this number already")]
    Exists,
}

/// Why a scan did not link a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScanError {
    /// There is no phone of this number.
    #[error("there is no phone of this number")]
    NoPhone,
    /// What was scanned is not a WhatsApp code.
    #[error("this is not a WhatsApp code")]
    NotACode,
    /// Nobody shows a code with this reference, or its keys are not those of whoever does.
    #[error("nobody shows this code")]
    Unknown,
    /// The code has rotated out, or whoever showed it is gone.
    #[error("this code has expired")]
    Expired,
    /// The code has been scanned before.
    #[error("this code has been used")]
    Used,
    /// The device did not accept the phone's signature, or answered with a wrong one.
    #[error("the device refused the link")]
    Refused,
    /// The device did not answer.
    #[error("the device did not answer")]
    Silent,
}

/// A scan, on its way to the connection that shows the code.
pub(in crate::sandbox) struct LinkRequest {
    /// The phone that scanned.
    pub(in crate::sandbox) phone: Phone,
    /// The device it is going to be.
    pub(in crate::sandbox) device: Device,
    /// The content of `<device-identity>`.
    pub(in crate::sandbox) signed_identity: Vec<u8>,
    /// Told how it went, unless the phone has been told already; the phone gives up when the other end is dropped.
    pub(in crate::sandbox) outcome: Option<oneshot::Sender<Result<DeviceId, ScanError>>>,
}

/// What is known of a reference.
enum Reference {
    Live(SocketId, usize),
    Used,
    Ended,
}

/// A client that shows codes.
struct Pairing {
    round: Round,
    noise_key: [u8; 32],
    registration: Registration,
}

/// Every reference that can be scanned, and the latest of those that no longer can.
#[derive(Default)]
pub(super) struct References {
    by_text: HashMap<String, Reference>,
    pairings: HashMap<SocketId, Pairing>,
    spent: VecDeque<String>,
}

impl References {
    /// The socket shows codes no longer.
    pub(super) fn end(&mut self, socket: SocketId) {
        let Some(pairing) = self.pairings.remove(&socket) else { return };
        for text in pairing.round.references() {
            if let Some(reference @ Reference::Live(..)) = self.by_text.get_mut(text) {
                *reference = Reference::Ended;
            }
            self.spent.push_back(text.clone());
        }
        while self.spent.len() > SPENT_REFERENCES {
            if let Some(text) = self.spent.pop_front() {
                self.by_text.remove(&text);
            }
        }
    }

    /// Finds whoever shows a code, checks that it is theirs, and uses it up.
    fn take(&mut self, value: &QrValue<'_>, now: DateTime<Utc>) -> Result<SocketId, ScanError> {
        let reference = self.by_text.get_mut(value.reference).ok_or(ScanError::Unknown)?;
        let (socket, index) = match reference {
            Reference::Live(socket, index) => (*socket, *index),
            Reference::Used => return Err(ScanError::Used),
            Reference::Ended => return Err(ScanError::Expired),
        };
        let pairing = self.pairings.get(&socket).ok_or(ScanError::Expired)?;
        if !pairing.round.is_live(index, now) {
            return Err(ScanError::Expired);
        }
        let is_theirs = pairing.noise_key == value.noise_key && pairing.registration.identity_key == value.identity_key;
        if !is_theirs {
            return Err(ScanError::Unknown);
        }
        *reference = Reference::Used;
        Ok(socket)
    }
}

impl Network {
    /// Makes a phone, with a number of its own if none is given.
    pub(in crate::sandbox) fn add_phone(
        &self,
        number: Option<String>,
        name: Option<String>,
    ) -> Result<PhoneView, PhoneError> {
        let mut rng = self.rng();
        let mut state = self.state.lock();
        let number = match number {
            Some(number) => {
                let number = number.strip_prefix('+').unwrap_or(&number).to_owned();
                let is_number = (5..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
                if !is_number {
                    return Err(PhoneError::Number);
                }
                number
            }
            // +1 555 01xx xxxx: no such number exists outside of fiction.
            None => loop {
                let number = format!("155501{:06}", rng.random_range(0..1_000_000));
                if !state.phones.contains_key(&number) {
                    break number;
                }
            },
        };
        if state.phones.contains_key(&number) {
            return Err(PhoneError::Exists);
        }
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| "Sandbox phone".to_owned());
        let phone = Phone::generate(number, name, &mut rng);
        let view = PhoneView::from(&phone);
        self.keep(&mut state, &phone.number);
        state.phones.insert(phone.number.clone(), phone);
        Ok(view)
    }

    /// Gives an unlinked connection its references.
    pub(in crate::sandbox) fn start_round(
        &self,
        socket: SocketId,
        noise_key: [u8; 32],
        registration: Registration,
    ) -> Vec<String> {
        let mut rng = self.rng();
        let references: [String; REFERENCES] = std::array::from_fn(|_| reference(&mut rng));
        let round = Round::new(references.clone(), self.now(), *self.factor.borrow());
        let mut state = self.state.lock();
        for (index, text) in references.iter().enumerate() {
            state.references.by_text.insert(text.clone(), Reference::Live(socket, index));
        }
        state.references.pairings.insert(socket, Pairing { round, noise_key, registration });
        references.to_vec()
    }

    /// When the connection's code rotates out next.
    pub(in crate::sandbox) fn next_rotation(&self, socket: SocketId) -> Option<DateTime<Utc>> {
        self.state.lock().references.pairings.get(&socket)?.round.next_rotation()
    }

    /// Rotates the connection's code out; what is left of the round, if the client must be told.
    pub(in crate::sandbox) fn rotate(&self, socket: SocketId) -> Option<Vec<String>> {
        let mut state = self.state.lock();
        let round = &mut state.references.pairings.get_mut(&socket)?.round;
        round.rotate();
        round.is_driven().then(|| round.remaining().to_vec())
    }

    /// Lets codes rotate `factor` times faster than WhatsApp's, those on screen included.
    pub(in crate::sandbox) fn set_factor(&self, factor: f64) {
        let mut state = self.state.lock();
        for pairing in state.references.pairings.values_mut() {
            pairing.round.set_factor(factor);
        }
        self.factor.send_replace(factor);
    }

    /// A phone scans a value. Returns once the device has proven its side of the link.
    pub(in crate::sandbox) async fn scan(self: &Arc<Self>, number: &str, value: &str) -> Result<DeviceId, ScanError> {
        let linked = self.request_link(number, value)?;
        match tokio::time::timeout(LINK_TIMEOUT, linked).await {
            Ok(Ok(outcome)) => outcome,
            // The connection ended before the client answered.
            Ok(Err(_)) => Err(ScanError::Expired),
            Err(_) => Err(ScanError::Silent),
        }
    }

    fn request_link(
        &self,
        number: &str,
        value: &str,
    ) -> Result<oneshot::Receiver<Result<DeviceId, ScanError>>, ScanError> {
        let (socket, adv_secret) = {
            let mut state = self.state.lock();
            if !state.phones.contains_key(number) {
                return Err(ScanError::NoPhone);
            }
            let value = QrValue::parse(value).ok_or(ScanError::NotACode)?;
            (state.references.take(&value, self.now())?, value.adv_secret)
        };
        let (outcome, linked) = oneshot::channel();
        let request = self.link_request(socket, number, &adv_secret, outcome).ok_or(ScanError::Expired)?;
        let state = self.state.lock();
        let entry = state.sockets.get(&socket).ok_or(ScanError::Expired)?;
        entry.tell(Command::Link(Box::new(request)));
        Ok(linked)
    }

    /// A phone signs the device that the client of a socket is going to be, by a secret it has from that client. `None`
    /// if either is gone.
    pub(in crate::sandbox) fn link_request(
        &self,
        socket: SocketId,
        number: &str,
        adv_secret: &[u8; 32],
        outcome: oneshot::Sender<Result<DeviceId, ScanError>>,
    ) -> Option<LinkRequest> {
        let mut rng = self.rng();
        let now = self.now();
        let mut state = self.state.lock();
        let State { phones, references, .. } = &mut *state;
        let phone = phones.get_mut(number)?;
        let pairing = references.pairings.get(&socket)?;
        let details = DeviceDetails {
            raw_id: rng.random(),
            timestamp: u64::try_from(now.timestamp()).unwrap_or_default(),
            key_index: u32::from(phone.next_device),
        };
        let identity_key = &pairing.registration.identity_key;
        let signed_identity = phone.sign_device(identity_key, adv_secret, &details, &mut rng).ok()?;
        let id = DeviceId { number: phone.number.clone(), device: phone.next_device };
        phone.next_device += 1;
        let device = Device {
            id,
            noise_key: pairing.noise_key,
            registration: pairing.registration.clone(),
            details,
            has_app_state_key: false,
            prekeys: Arc::default(),
            logins: 0,
            live_sockets: 0,
            most_live_sockets: 0,
        };
        let request = LinkRequest { phone: phone.clone(), device, signed_identity, outcome: Some(outcome) };
        self.keep(&mut state, number);
        Some(request)
    }

    /// The device has proven its side: from now on it may log in.
    pub(in crate::sandbox) fn link(&self, device: Device) {
        let mut state = self.state.lock();
        self.keep(&mut state, &device.id.number);
        state.devices.insert(device.id.clone(), device);
    }

    /// Removes devices from an account, all of them if none is named. Returns how many there were; `None` if there is
    /// no such phone.
    pub(in crate::sandbox) fn unlink(&self, number: &str, device: Option<&DeviceId>) -> Option<usize> {
        let mut state = self.state.lock();
        if !state.phones.contains_key(number) {
            return None;
        }
        let doomed = state.devices.keys().filter(|id| id.number == number && device.is_none_or(|only| *only == **id));
        let doomed = doomed.cloned().collect::<Vec<_>>();
        for id in &doomed {
            state.remove_device(id);
        }
        self.keep(&mut state, number);
        Some(doomed.len())
    }

    /// A device asks to be removed from its account. Its socket ends after the answer.
    pub(in crate::sandbox) fn forget_device(&self, id: &DeviceId) -> bool {
        let mut state = self.state.lock();
        self.keep(&mut state, &id.number);
        state.devices.remove(id).is_some()
    }
}

impl State {
    /// Removes a device and ends its sockets.
    pub(super) fn remove_device(&mut self, id: &DeviceId) {
        self.devices.remove(id);
        self.changed.insert(id.number.clone());
        for entry in self.sockets.values_mut().filter(|entry| entry.device.as_ref() == Some(id)) {
            entry.is_live = false;
            entry.tell(Command::End(End::Removed));
        }
    }
}

/// A reference in WhatsApp's form: a version, then opaque base64.
fn reference(rng: &mut rand::rngs::StdRng) -> String {
    use base64::Engine as _;
    let opaque: [u8; 54] = rng.random();
    format!("2@{}", base64::prelude::BASE64_STANDARD.encode(opaque))
}
