//! What a phone reads from a code: five comma-joined parts, with or without the prefix that opens WhatsApp.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;

/// What WhatsApp puts before a value, so that a phone's camera app opens it.
pub(crate) const CAMERA_PREFIX: &str = "https://wa.me/settings/linked_devices#";

/// A code, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct QrValue<'a> {
    /// The server's reference to the connection that shows the code.
    pub(crate) reference: &'a str,
    /// The client's noise key.
    pub(crate) noise_key: [u8; 32],
    /// The client's identity key.
    pub(crate) identity_key: [u8; 32],
    /// What the phone proves to the client that it saw the code with.
    pub(crate) adv_secret: [u8; 32],
}

impl<'a> QrValue<'a> {
    /// Takes a value apart; `None` if a phone would say that this is not a WhatsApp code.
    pub(crate) fn parse(value: &'a str) -> Option<Self> {
        let value = value.trim();
        let value = value.strip_prefix(CAMERA_PREFIX).unwrap_or(value);
        let mut parts = value.split(',');
        let reference = parts.next().filter(|reference| !reference.is_empty())?;
        let noise_key = key(parts.next()?)?;
        let identity_key = key(parts.next()?)?;
        let adv_secret = key(parts.next()?)?;
        let client_type = parts.next()?;
        let is_complete = parts.next().is_none() && !client_type.is_empty();
        is_complete.then_some(Self { reference, noise_key, identity_key, adv_secret })
    }
}

fn key(part: &str) -> Option<[u8; 32]> {
    BASE64_STANDARD.decode(part).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value() -> String {
        let key = |byte: u8| BASE64_STANDARD.encode([byte; 32]);
        format!("2@reference,{},{},{},1", key(1), key(2), key(3))
    }

    #[test]
    fn a_value_is_taken_apart_with_and_without_the_camera_prefix() {
        let plain = value();
        let expected =
            QrValue { reference: "2@reference", noise_key: [1; 32], identity_key: [2; 32], adv_secret: [3; 32] };
        assert_eq!(QrValue::parse(&plain), Some(expected));
        let prefixed = format!("{CAMERA_PREFIX}{plain}");
        assert_eq!(QrValue::parse(&prefixed), QrValue::parse(&plain));
    }

    #[test]
    fn anything_else_is_not_a_code() {
        let whole = value();
        let four_parts = whole.rsplit_once(',').unwrap().0;
        let six_parts = format!("{whole},more");
        let short_key = whole.replacen("AQEB", "", 1);
        for wrong in ["", "hello", "https://example.org/", four_parts, &six_parts, &short_key] {
            assert_eq!(QrValue::parse(wrong), None, "{wrong}");
        }
    }
}
