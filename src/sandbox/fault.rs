//! Faults on demand: what is wrong with the network, for whom, and for how long. Pure; the network acts on it.

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use super::device::DeviceId;

/// How late a late acknowledgement is unless a fault says otherwise.
const ACK_DELAY: Duration = Duration::from_secs(3);

/// Numbers the faults of a sandbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FaultId(pub u64);

/// What goes wrong.
///
/// `drop`, `logout` and `replace` happen at once to whoever is connected; given `seconds` or `count` they stay and
/// happen to each later log-in too. All others stay until they are deleted, time out or are used up, and begin at once
/// as well. A fault for one device spares every connection that has not said which device it is; one for all hits
/// unlinked clients too, where that makes sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// Connections are refused (503 before the WebSocket; for one device, closed once it has said who it is).
    Refuse,
    /// The connection is cut without a word.
    Drop,
    /// The connection stays up; what the client sends is read, nothing is answered or sent.
    Silent,
    /// Unlinked clients are never sent references.
    NoCode,
    /// The connection stays up, but nothing is read or written; new ones are accepted and then left alone.
    HalfOpen,
    /// The device is removed from its account.
    Logout,
    /// Another connection takes the device's place.
    Replace,
    /// Log-ins fail with 402 and the time left; who is connected is cut off.
    Ban,
    /// Connections fail with 405: the client's version is no longer accepted; who is connected is cut off.
    Outdated,
    /// Whoever scans a code is asked for a passkey before the device is linked.
    Passkey,
    /// Log-ins fail with 403: the account is locked; who is connected is cut off.
    Restrict,
    /// A message is delivered, and acknowledged after `delay_ms` (3 seconds unless given).
    AckLate,
    /// A message is delivered and never acknowledged.
    AckNever,
    /// A message is delivered and acknowledged twice.
    AckTwice,
    /// A message is delivered, and the connection cut before it is acknowledged.
    DropBeforeAck,
    /// A message reaches the linked device with a broken seal: it cannot be decrypted.
    Garbled,
    /// A message is not delivered; its acknowledgement has the error 463.
    #[serde(rename = "463")]
    SendRefused,
}

/// A fault as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultSpec {
    /// What goes wrong.
    pub kind: FaultKind,
    /// For whom; `None` is everybody.
    pub device: Option<DeviceId>,
    /// For how long; `None` is until it is deleted.
    pub seconds: Option<u64>,
    /// For how many connections, or messages; `None` is all of them.
    pub count: Option<u32>,
    /// How late a late acknowledgement is, in milliseconds.
    pub delay_ms: Option<u64>,
}

impl FaultSpec {
    /// A fault for everybody until it is deleted.
    pub fn everybody(kind: FaultKind) -> Self {
        Self { kind, device: None, seconds: None, count: None, delay_ms: None }
    }

    /// A fault for one device until it is deleted.
    pub fn device(kind: FaultKind, device: DeviceId) -> Self {
        Self { kind, device: Some(device), seconds: None, count: None, delay_ms: None }
    }

    fn is_momentary(&self) -> bool {
        matches!(self.kind, FaultKind::Drop | FaultKind::Logout | FaultKind::Replace)
            && self.seconds.is_none()
            && self.count.is_none()
    }
}

/// A fault that struck a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Strike {
    /// Which fault.
    pub(super) id: FaultId,
    /// What goes wrong.
    pub(super) kind: FaultKind,
    /// When it is over, if that is known.
    pub(super) until: Option<DateTime<Utc>>,
    /// How late it makes an acknowledgement.
    pub(super) delay: Duration,
}

#[derive(Debug)]
struct Fault {
    id: FaultId,
    spec: FaultSpec,
    until: Option<DateTime<Utc>>,
    left: Option<u32>,
}

impl Fault {
    fn strike(&self) -> Strike {
        Strike {
            id: self.id,
            kind: self.spec.kind,
            until: self.until,
            delay: self.spec.delay_ms.map_or(ACK_DELAY, Duration::from_millis),
        }
    }

    fn is_over(&self, now: DateTime<Utc>) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// The faults of a network, oldest first.
#[derive(Debug, Default)]
pub(super) struct Faults {
    faults: Vec<Fault>,
    last_id: u64,
}

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&mut self, spec: FaultSpec, now: DateTime<Utc>) -> Strike {
        self.last_id += 1;
        let seconds = spec.seconds.and_then(|seconds| TimeDelta::try_seconds(i64::try_from(seconds).ok()?));
        let fault = Fault {
            id: FaultId(self.last_id),
            until: seconds.and_then(|seconds| now.checked_add_signed(seconds)),
            left: spec.count,
            spec,
        };
        let strike = fault.strike();
        self.faults.retain(|fault| !fault.is_over(now));
        if !fault.spec.is_momentary() {
            self.faults.push(fault);
        }
        strike
    }

    /// Ends a fault; false if there is none of that id.
    pub(super) fn remove(&mut self, id: FaultId) -> bool {
        let before = self.faults.len();
        self.faults.retain(|fault| fault.id != id);
        self.faults.len() < before
    }

    /// Whether a connection that a fault has struck is still under it.
    pub(super) fn is_active(&self, id: FaultId, now: DateTime<Utc>) -> bool {
        self.faults.iter().any(|fault| fault.id == id && !fault.is_over(now))
    }

    /// Lets the oldest fault of these kinds strike a connection of `device` (`None`: one that has not said who it is).
    /// It is one fewer of the fault's count.
    pub(super) fn strike(
        &mut self,
        kinds: &[FaultKind],
        device: Option<&DeviceId>,
        now: DateTime<Utc>,
    ) -> Option<Strike> {
        let fault = self.faults.iter_mut().find(|fault| {
            let concerns = fault.spec.device.as_ref().is_none_or(|concerned| Some(concerned) == device);
            concerns && kinds.contains(&fault.spec.kind) && fault.left != Some(0) && !fault.is_over(now)
        })?;
        if let Some(left) = &mut fault.left {
            *left -= 1;
        }
        Some(fault.strike())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device() -> DeviceId {
        DeviceId { number: "1555".to_owned(), device: 1 }
    }

    #[test]
    fn a_fault_strikes_as_often_as_its_count_says() {
        let now = DateTime::UNIX_EPOCH;
        let mut faults = Faults::default();
        let spec = FaultSpec { count: Some(2), ..FaultSpec::everybody(FaultKind::Refuse) };
        let id = faults.add(spec, now).id;
        for _ in 0..2 {
            assert_eq!(faults.strike(&[FaultKind::Refuse], None, now).map(|strike| strike.id), Some(id));
        }
        assert_eq!(faults.strike(&[FaultKind::Refuse], None, now), None);
        assert!(faults.is_active(id, now), "whoever it struck stays under it");
        assert!(faults.remove(id));
        assert!(!faults.is_active(id, now));
        assert!(!faults.remove(id));
    }

    #[test]
    fn a_fault_ends_with_its_time() {
        let now = DateTime::UNIX_EPOCH;
        let mut faults = Faults::default();
        let id = faults.add(FaultSpec { seconds: Some(5), ..FaultSpec::everybody(FaultKind::Silent) }, now).id;
        let later = now + TimeDelta::seconds(5);
        assert!(faults.is_active(id, now));
        assert!(!faults.is_active(id, later));
        assert_eq!(faults.strike(&[FaultKind::Silent], None, later), None);
    }

    #[test]
    fn a_fault_of_one_device_spares_all_others() {
        let now = DateTime::UNIX_EPOCH;
        let mut faults = Faults::default();
        faults.add(FaultSpec::device(FaultKind::Ban, device()), now);
        let other = DeviceId { device: 2, ..device() };
        assert_eq!(faults.strike(&[FaultKind::Ban], None, now), None);
        assert_eq!(faults.strike(&[FaultKind::Ban], Some(&other), now), None);
        assert!(faults.strike(&[FaultKind::Ban], Some(&device()), now).is_some());
    }

    #[test]
    fn a_momentary_fault_strikes_nobody_later() {
        let now = DateTime::UNIX_EPOCH;
        let mut faults = Faults::default();
        let id = faults.add(FaultSpec::everybody(FaultKind::Drop), now).id;
        assert!(!faults.is_active(id, now));
        assert_eq!(faults.strike(&[FaultKind::Drop], None, now), None);
    }
}
