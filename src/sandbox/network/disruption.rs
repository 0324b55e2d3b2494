//! Faults, brought to the sockets they concern.

use super::{Command, End, Network, SocketId, State};
use crate::sandbox::device::DeviceId;
use crate::sandbox::fault::{FaultId, FaultKind, FaultSpec, Strike};

/// A ban without an end is said to last this long.
const BAN_SECONDS: i64 = 3_600;

/// How a log-in is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Refusal {
    /// The connection is closed without a word.
    Closed,
    /// The device is not, or no longer, linked.
    Unknown,
    /// The account is banned for so many seconds.
    Banned(i64),
    /// The account is locked.
    Locked,
    /// The client's version is no longer accepted.
    Outdated,
}

impl Network {
    /// Adds a fault; it begins at once.
    pub(in crate::sandbox) fn add_fault(&self, spec: &FaultSpec) -> FaultId {
        let now = self.now();
        let strike = {
            let mut state = self.state.lock();
            let strike = state.faults.add(spec.clone(), now);
            state.disrupt(spec);
            strike
        };
        self.faults_changed.send_modify(|epoch| *epoch += 1);
        self.changed.notify_one();
        strike.id
    }

    /// Ends a fault; false if there is none of that id.
    pub(in crate::sandbox) fn remove_fault(&self, id: FaultId) -> bool {
        let removed = self.state.lock().faults.remove(id);
        self.faults_changed.send_modify(|epoch| *epoch += 1);
        removed
    }

    /// Lets a fault of these kinds strike a client that has not said who it is.
    pub(in crate::sandbox) fn strike_stranger(&self, kinds: &[FaultKind]) -> Option<Strike> {
        self.state.lock().faults.strike(kinds, None, self.now())
    }

    /// Lets a fault of these kinds strike a device.
    pub(in crate::sandbox) fn strike(&self, kinds: &[FaultKind], device: &DeviceId) -> Option<Strike> {
        self.state.lock().faults.strike(kinds, Some(device), self.now())
    }

    /// Whether a fault that struck is still there.
    pub(in crate::sandbox) fn is_fault_active(&self, id: FaultId) -> bool {
        self.state.lock().faults.is_active(id, self.now())
    }

    /// Whether a fault refuses this log-in or this unlinked client.
    pub(in crate::sandbox) fn refusal(&self, device: Option<&DeviceId>) -> Option<Refusal> {
        let now = self.now();
        let kinds: &[FaultKind] = match device {
            Some(_) => &[
                FaultKind::Refuse,
                FaultKind::Drop,
                FaultKind::Logout,
                FaultKind::Ban,
                FaultKind::Outdated,
                FaultKind::Restrict,
            ],
            None => &[FaultKind::Drop, FaultKind::Outdated],
        };
        let mut state = self.state.lock();
        let strike = state.faults.strike(kinds, device, now)?;
        match strike.kind {
            FaultKind::Refuse | FaultKind::Drop => Some(Refusal::Closed),
            FaultKind::Logout => {
                if let Some(device) = device {
                    state.remove_device(device);
                }
                Some(Refusal::Unknown)
            }
            FaultKind::Ban => {
                let left = strike.until.map_or(BAN_SECONDS, |until| (until - now).num_seconds());
                Some(Refusal::Banned(left.max(1)))
            }
            FaultKind::Restrict => Some(Refusal::Locked),
            FaultKind::Outdated => Some(Refusal::Outdated),
            FaultKind::Silent
            | FaultKind::NoCode
            | FaultKind::HalfOpen
            | FaultKind::Passkey
            | FaultKind::Replace
            | FaultKind::AckLate
            | FaultKind::AckNever
            | FaultKind::AckTwice
            | FaultKind::DropBeforeAck
            | FaultKind::Garbled
            | FaultKind::SendRefused => None,
        }
    }

    /// Whether a fault takes a log-in's place as soon as it is made.
    pub(in crate::sandbox) fn is_replaced_at_once(&self, device: &DeviceId) -> bool {
        self.state.lock().faults.strike(&[FaultKind::Replace], Some(device), self.now()).is_some()
    }

    /// The fault that mutes a connection now, if any: one that struck it before and is still there, or another.
    pub(in crate::sandbox) fn mute(&self, socket: SocketId) -> Option<Strike> {
        let now = self.now();
        let mut state = self.state.lock();
        let State { sockets, faults, .. } = &mut *state;
        let entry = sockets.get_mut(&socket)?;
        if let Some(strike) = entry.mute.filter(|strike| faults.is_active(strike.id, now)) {
            return Some(strike);
        }
        entry.mute = faults.strike(&[FaultKind::HalfOpen, FaultKind::Silent], entry.device.as_ref(), now);
        entry.mute
    }
}

impl State {
    /// What a fault does at once to whoever is connected.
    fn disrupt(&mut self, spec: &FaultSpec) {
        let concerns = |device: Option<&DeviceId>| spec.device.as_ref().is_none_or(|only| Some(only) == device);
        match spec.kind {
            FaultKind::Drop | FaultKind::Ban | FaultKind::Outdated | FaultKind::Restrict => {
                for entry in self.sockets.values().filter(|entry| concerns(entry.device.as_ref())) {
                    let is_linked = entry.device.is_some();
                    if is_linked || matches!(spec.kind, FaultKind::Drop | FaultKind::Outdated) {
                        entry.cut.cancel();
                    }
                }
            }
            FaultKind::Logout => {
                let doomed = self.devices.keys().filter(|id| concerns(Some(id))).cloned().collect::<Vec<_>>();
                for id in doomed {
                    self.remove_device(&id);
                }
            }
            FaultKind::Replace => {
                let live = self.sockets.iter().filter(|(_, entry)| entry.is_live && concerns(entry.device.as_ref()));
                for id in live.map(|(id, _)| *id).collect::<Vec<_>>() {
                    self.end_life(id);
                    if let Some(entry) = self.sockets.get(&id) {
                        entry.tell(Command::End(End::Replaced));
                    }
                }
            }
            FaultKind::Refuse
            | FaultKind::Silent
            | FaultKind::NoCode
            | FaultKind::HalfOpen
            | FaultKind::Passkey
            | FaultKind::AckLate
            | FaultKind::AckNever
            | FaultKind::AckTwice
            | FaultKind::DropBeforeAck
            | FaultKind::Garbled
            | FaultKind::SendRefused => {}
        }
    }
}
