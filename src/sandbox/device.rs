//! A linked device, as the network knows it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use buffa::Message as _;
use waproto::whatsapp::{ClientPayload, DeviceProps};

use super::phone::DeviceDetails;

/// The device's number within its account, and the account's number.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeviceId {
    /// The account's number, digits only.
    pub number: String,
    /// Which of its devices; 0 would be the phone itself.
    pub device: u16,
}

impl DeviceId {
    /// Reads `number:device@s.whatsapp.net`; the server may be left out.
    pub fn parse(text: &str) -> Option<Self> {
        let user = text.strip_suffix("@s.whatsapp.net").unwrap_or(text);
        let (number, device) = user.split_once(':')?;
        let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let device = device.parse().ok().filter(|device| *device > 0)?;
        is_number.then(|| Self { number: number.to_owned(), device })
    }
}

impl fmt::Display for DeviceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}@s.whatsapp.net", self.number, self.device)
    }
}

/// The public half of a signed prekey.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SignedPreKey {
    /// Its id, of 24 bits.
    pub(super) id: u32,
    /// The key.
    pub(super) public: [u8; 32],
    /// The device's signature of it.
    pub(super) signature: [u8; 64],
}

/// The public half of a one-time prekey: its id, of 24 bits, and the key.
pub(super) type PreKey = (u32, [u8; 32]);

/// What a client that is not linked says about the device it would become.
#[derive(Debug, Clone)]
pub(super) struct Registration {
    /// Its identity key.
    pub(super) identity_key: [u8; 32],
    /// Its Signal registration id.
    pub(super) signal_id: u32,
    /// Its signed prekey.
    pub(super) signed_prekey: SignedPreKey,
    /// What the phone lists it as.
    pub(super) name: String,
}

impl Registration {
    /// Reads it from the client's payload; `None` if anything is missing or of the wrong size.
    pub(super) fn from_payload(payload: &ClientPayload) -> Option<Self> {
        let data = payload.device_pairing_data.as_option()?;
        let props = DeviceProps::decode_from_slice(data.device_props.as_deref()?).ok()?;
        let [a, b, c] = <[u8; 3]>::try_from(data.e_skey_id.as_deref()?).ok()?;
        Some(Self {
            identity_key: data.e_ident.as_deref()?.try_into().ok()?,
            signal_id: u32::from_be_bytes(data.e_regid.as_deref()?.try_into().ok()?),
            signed_prekey: SignedPreKey {
                id: u32::from_be_bytes([0, a, b, c]),
                public: data.e_skey_val.as_deref()?.try_into().ok()?,
                signature: data.e_skey_sig.as_deref()?.try_into().ok()?,
            },
            name: props.os.unwrap_or_default(),
        })
    }
}

/// A linked device.
#[derive(Debug, Clone)]
pub(super) struct Device {
    /// Which.
    pub(super) id: DeviceId,
    /// Its noise key: whoever logs in as this device must hold it.
    pub(super) noise_key: [u8; 32],
    /// Its Signal keys.
    pub(super) registration: Registration,
    /// What its account signed.
    pub(super) details: DeviceDetails,
    /// Whether it has confirmed the account's app-state key.
    pub(super) has_app_state_key: bool,
    /// One-time prekeys it has uploaded and the server still has. Not kept over a restart.
    pub(super) prekeys: Arc<[PreKey]>,
    /// Log-ins ever.
    pub(super) logins: u64,
    /// Its logged-in sockets now.
    pub(super) live_sockets: u32,
    /// The most there ever were at one instant.
    pub(super) most_live_sockets: u32,
}

impl Device {
    /// Adds uploaded one-time prekeys to those the server has.
    pub(super) fn add_prekeys(&mut self, uploaded: Vec<PreKey>) {
        let uploaded = uploaded.into_iter().collect::<BTreeMap<_, _>>();
        let kept = self.prekeys.iter().filter(|(id, _)| !uploaded.contains_key(id)).copied();
        self.prekeys = kept.chain(uploaded.iter().map(|(id, key)| (*id, *key))).collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_id_is_read_as_it_is_written() {
        let id = DeviceId { number: "201012345678".to_owned(), device: 7 };
        assert_eq!(DeviceId::parse(&id.to_string()), Some(id.clone()));
        assert_eq!(DeviceId::parse("201012345678:7"), Some(id));
        for wrong in ["", "201012345678", ":7", "2010x:7", "2010:0", "2010:x", "2010:70000"] {
            assert_eq!(DeviceId::parse(wrong), None, "{wrong}");
        }
    }
}
