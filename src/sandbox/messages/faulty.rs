//! What becomes of a message on its way and how the server acknowledges it, good days and bad.

use std::time::Duration;

use wacore_binary::{Node, NodeContent};

use crate::sandbox::device::DeviceId;
use crate::sandbox::fault::FaultKind;
use crate::sandbox::network::Network;

/// What becomes of a message that a device sends, and of its acknowledgement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Acknowledgement {
    /// It is delivered and acknowledged.
    Now,
    /// It is delivered; the acknowledgement comes after this time.
    Late(Duration),
    /// It is delivered and never acknowledged.
    Never,
    /// It is delivered and acknowledged twice.
    Twice,
    /// It is delivered; then the connection is cut.
    Cut,
    /// It is not delivered; the acknowledgement says so with the code 463.
    Refused,
}

impl Network {
    /// How a message of this device is acknowledged.
    pub(in crate::sandbox) fn acknowledgement(&self, device: &DeviceId) -> Acknowledgement {
        let kinds = [
            FaultKind::AckLate,
            FaultKind::AckNever,
            FaultKind::AckTwice,
            FaultKind::DropBeforeAck,
            FaultKind::SendRefused,
        ];
        let Some(strike) = self.strike(&kinds, device) else { return Acknowledgement::Now };
        match strike.kind {
            FaultKind::AckLate => Acknowledgement::Late(strike.delay),
            FaultKind::AckNever => Acknowledgement::Never,
            FaultKind::AckTwice => Acknowledgement::Twice,
            FaultKind::DropBeforeAck => Acknowledgement::Cut,
            FaultKind::SendRefused => Acknowledgement::Refused,
            FaultKind::Refuse
            | FaultKind::Drop
            | FaultKind::Silent
            | FaultKind::NoCode
            | FaultKind::HalfOpen
            | FaultKind::Passkey
            | FaultKind::Logout
            | FaultKind::Replace
            | FaultKind::Ban
            | FaultKind::Outdated
            | FaultKind::Garbled
            | FaultKind::Restrict => Acknowledgement::Now,
        }
    }

    /// Whether what is on its way to this device arrives with broken seals.
    pub(super) fn is_garbled_for(&self, device: &DeviceId) -> bool {
        self.strike(&[FaultKind::Garbled], device).is_some()
    }
}

/// A message whose seals were broken on the way.
pub(super) fn garbled(mut message: Node) -> Node {
    if let Some(NodeContent::Nodes(children)) = &mut message.content {
        for sealed in children.iter_mut().filter(|child| child.tag == "enc") {
            if let Some(NodeContent::Bytes(bytes)) = &mut sealed.content
                && let Some(last) = bytes.last_mut()
            {
                *last ^= 1;
            }
        }
    }
    message
}
