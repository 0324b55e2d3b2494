//! The code a phone scans, and the shared bytes it is served as.

use std::fmt;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde_json::value::RawValue;

/// Codes a round has before WhatsApp ends it: the first lives 60 s, the others 20 s each.
pub const MAX_ATTEMPTS: u32 = 6;

/// The text a phone must scan: `2@reference,noise key,identity key,adv secret,client type`, about 183 characters.
///
/// Whoever has it can link a device, so it has no `Display` and its `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct QrValue(Arc<str>);

impl QrValue {
    /// Wraps a value as the engine gave it.
    pub fn new(value: impl Into<Arc<str>>) -> Self {
        Self(value.into())
    }

    /// The text itself, for whoever draws it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for QrValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QrValue([redacted])")
    }
}

/// One live code. It is shared by everybody who polls it; its renditions are filled on first demand.
#[derive(Debug)]
pub struct QrCode {
    /// What a phone must scan.
    pub value: QrValue,
    /// When this code rotates out.
    pub expires_at: DateTime<Utc>,
    /// Which reference of the round this is, from 1 to [`MAX_ATTEMPTS`]; a refreshed code keeps its attempt.
    pub attempt: u32,
    /// The bodies served for this code.
    pub renditions: Renditions,
}

/// Bodies made from a code once and then shared.
#[derive(Debug, Default)]
pub struct Renditions {
    /// The JSON envelope of `/v2/auth/qr`.
    pub envelope: OnceLock<Rendition>,
    /// The PNG at the default scale.
    pub png: OnceLock<Rendition>,
    /// The JSON body of `/v2/auth/qr-image`.
    pub image: OnceLock<Rendition>,
    /// What link pages are told of it.
    pub told: OnceLock<Box<RawValue>>,
    /// Set once somebody was shown this code.
    pub shown: OnceLock<()>,
}

/// A body and what is computed from it once: hashing it anew would cost more than serving it.
#[derive(Clone)]
pub struct Rendition {
    /// The bytes served.
    pub body: Bytes,
    /// The value of `Content-Digest` (RFC 9530): `sha-256=:…:`.
    pub content_digest: Bytes,
}

impl fmt::Debug for Rendition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rendition").field("length", &self.body.len()).finish_non_exhaustive()
    }
}

impl QrCode {
    /// A code nobody has asked for yet.
    pub fn new(value: QrValue, expires_at: DateTime<Utc>, attempt: u32) -> Self {
        Self { value, expires_at, attempt, renditions: Renditions::default() }
    }

    /// [`QrCode::expires_at`] in Unix milliseconds, as the contract gives it.
    pub fn expires_at_ms(&self) -> i64 {
        self.expires_at.timestamp_millis()
    }
}
