//! How a receiver knows that a delivery is ours: Standard Webhooks' signature, and WAHA's two for receivers written for
//! it.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit as _, Mac};
use rand::CryptoRng;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretString};
use sha2::{Sha256, Sha512};

/// Standard Webhooks: names the event, equal on every attempt.
pub const WEBHOOK_ID: &str = "webhook-id";
/// Standard Webhooks: Unix seconds of this attempt; a receiver refuses old ones.
pub const WEBHOOK_TIMESTAMP: &str = "webhook-timestamp";
/// Standard Webhooks: `v1,` and base64 of HMAC-SHA256, for each secret, separated by spaces.
pub const WEBHOOK_SIGNATURE: &str = "webhook-signature";
/// WAHA: hexadecimal HMAC-SHA512 of the body.
pub const X_WEBHOOK_HMAC: &str = "x-webhook-hmac";
/// WAHA: `sha512`.
pub const X_WEBHOOK_HMAC_ALGORITHM: &str = "x-webhook-hmac-algorithm";
/// GitHub's and Meta's form: `sha256=` and hexadecimal HMAC-SHA256 of the body.
pub const X_HUB_SIGNATURE_256: &str = "x-hub-signature-256";

const PREFIX: &str = "whsec_";
const DRAWN_LENGTH: usize = 32;
const LENGTHS: std::ops::RangeInclusive<usize> = 16..=128;

/// What a delivery is signed with. Its text is what the receiver is given.
#[derive(Debug, Clone)]
pub struct Secret(SecretString);

/// The text cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret has 16 to 128 visible ASCII characters; after whsec_ it must be base64")]
pub struct SecretError;

impl Secret {
    /// Draws one: `whsec_` and base64 of 32 random bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; DRAWN_LENGTH]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(format!("{PREFIX}{}", BASE64_STANDARD.encode(bytes)).into())
    }

    /// Takes one that a receiver uses already.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let is_plain = LENGTHS.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        let decodes = text.strip_prefix(PREFIX).is_none_or(|rest| BASE64_STANDARD.decode(rest).is_ok());
        if is_plain && decodes { Ok(Self(text.into())) } else { Err(SecretError) }
    }

    /// The text, to be shown once and kept sealed.
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// The key of Standard Webhooks: what follows `whsec_`, decoded; a secret without that prefix is a key as it stands.
    fn key(&self) -> Zeroizing<Vec<u8>> {
        let text = self.expose();
        let decoded = text.strip_prefix(PREFIX).and_then(|rest| BASE64_STANDARD.decode(rest).ok());
        Zeroizing::new(decoded.unwrap_or_else(|| text.as_bytes().to_vec()))
    }
}

/// The headers of one attempt. While secrets are changed there are several, the newest first: Standard Webhooks signs
/// with each; WAHA's headers hold one signature, made with the newest.
pub fn headers(id: &str, at: DateTime<Utc>, body: &[u8], secrets: &[Secret]) -> Vec<(&'static str, String)> {
    let timestamp = at.timestamp().to_string();
    let mut headers = vec![(WEBHOOK_ID, id.to_owned()), (WEBHOOK_TIMESTAMP, timestamp.clone())];
    let Some(newest) = secrets.first() else { return headers };
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| {
            let mut mac = sha256(&secret.key());
            for part in [id.as_bytes(), b".", timestamp.as_bytes(), b".", body] {
                mac.update(part);
            }
            format!("v1,{}", BASE64_STANDARD.encode(mac.finalize().into_bytes()))
        })
        .collect();
    headers.push((WEBHOOK_SIGNATURE, signatures.join(" ")));
    let mut sha512 = Hmac::<Sha512>::new_from_slice(newest.expose().as_bytes()).expect("HMAC takes keys of any length");
    sha512.update(body);
    headers.push((X_WEBHOOK_HMAC, hex(&sha512.finalize().into_bytes())));
    headers.push((X_WEBHOOK_HMAC_ALGORITHM, "sha512".to_owned()));
    let mut hub = sha256(newest.expose().as_bytes());
    hub.update(body);
    headers.push((X_HUB_SIGNATURE_256, format!("sha256={}", hex(&hub.finalize().into_bytes()))));
    headers
}

fn sha256(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn value(headers: &[(&'static str, String)], name: &str) -> String {
        headers.iter().find(|(other, _)| *other == name).map(|(_, value)| value.clone()).unwrap()
    }

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn the_example_of_the_standard_is_signed_as_it_says() {
        // https://github.com/standard-webhooks/standard-webhooks, libraries' shared test vector.
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let headers = headers("msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330), br#"{"test": 2432232314}"#, &[secret]);
        assert_eq!(value(&headers, WEBHOOK_SIGNATURE), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert_eq!(value(&headers, WEBHOOK_TIMESTAMP), "1614265330");
    }

    #[test]
    fn wahas_headers_are_plain_hmacs_of_the_body() {
        // RFC 4231, test case 2, whose key is too short to be a secret of ours.
        let secret = Secret("Jefe".into());
        let headers = headers("id", at(0), b"what do ya want for nothing?", &[secret]);
        assert_eq!(
            value(&headers, X_HUB_SIGNATURE_256),
            "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            value(&headers, X_WEBHOOK_HMAC),
            "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6fd\
             caeab1a34d4a6b4b636e070a38bce737"
        );
    }

    #[test]
    fn every_secret_signs_while_they_are_changed() {
        let mut rng = StdRng::seed_from_u64(1);
        let (new, old) = (Secret::generate(&mut rng), Secret::generate(&mut rng));
        let both = headers("id", at(0), b"body", &[new.clone(), old.clone()]);
        let alone = |secret| value(&headers("id", at(0), b"body", &[secret]), WEBHOOK_SIGNATURE);
        assert_eq!(value(&both, WEBHOOK_SIGNATURE), format!("{} {}", alone(new), alone(old)));
    }

    #[test]
    fn a_secret_is_long_enough_plain_and_hidden() {
        for text in ["short", "with a space in it", "whsec_not*base64*at*all", &"x".repeat(129), "naïve-secret-naïve"]
        {
            assert_eq!(Secret::parse(text).unwrap_err(), SecretError, "{text:?}");
        }
        let secret = Secret::parse("a-receiver's-own-secret").unwrap();
        assert!(!format!("{secret:?}").contains("receiver"));
        let drawn = Secret::generate(&mut StdRng::seed_from_u64(2));
        assert_eq!(Secret::parse(drawn.expose()).unwrap().expose(), drawn.expose());
    }
}
