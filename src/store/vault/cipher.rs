//! Sealing with one instance's key.
//!
//! A sealed value is `version ‖ nonce ‖ ciphertext ‖ tag`. Its associated data names the table, the instance and the
//! row, so that a value copied into another row, or another tenant's, does not open.

use std::fmt;
use std::sync::Arc;

use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use hmac::{Hmac, Mac};
use rand::TryRng;
use rand::rngs::SysRng;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};
use sha2::Sha256;

use crate::domain::instance::InstanceId;

/// Length of every key here, in bytes.
pub(super) const KEY_LENGTH: usize = 32;

/// A key that erases itself when it is dropped.
pub(super) type Key = SecretBox<[u8; KEY_LENGTH]>;

const FORMAT: u8 = 1;
const NONCE_LENGTH: usize = 24;
const TAG_LENGTH: usize = 16;

/// A sealed value does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CipherError {
    /// It was written by a release this one does not know, or it is no sealed value at all.
    #[error("the sealed value has a format this release does not know")]
    UnknownFormat,
    /// The key, the row or the bytes are not those it was sealed with.
    #[error("the sealed value does not open with this key, for this row")]
    Mismatch,
}

/// What one instance's values are sealed with and looked up by. Cheap to clone; erased when the last clone is dropped.
#[derive(Clone)]
pub struct InstanceCipher {
    id: InstanceId,
    keys: Arc<Keys>,
    content: Arc<Keys>,
}

struct Keys {
    seal: Key,
    lookup: Key,
}

impl Keys {
    fn derive(key: &Key) -> Self {
        Self { seal: derive(key, b"wagate seal v1"), lookup: derive(key, b"wagate lookup v1") }
    }
}

impl InstanceCipher {
    /// Derives the keys an instance uses from the two that are stored for it.
    pub(super) fn new(id: InstanceId, device: &Key, content: &Key) -> Self {
        Self { id, keys: Arc::new(Keys::derive(device)), content: Arc::new(Keys::derive(content)) }
    }

    /// For what must stay readable after a logout, which replaces the key of everything else.
    #[must_use]
    pub fn content(&self) -> Self {
        Self { id: self.id, keys: Arc::clone(&self.content), content: Arc::clone(&self.content) }
    }

    /// Encrypts `plaintext` for the row `row_key` of `table`.
    pub fn seal(&self, table: &str, row_key: &[u8], plaintext: &[u8]) -> Vec<u8> {
        seal(&self.keys.seal, &associated_data(table, self.id.as_str(), row_key), plaintext)
    }

    /// Decrypts what [`InstanceCipher::seal`] made for the same row of the same table.
    pub fn open(&self, table: &str, row_key: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
        open(&self.keys.seal, &associated_data(table, self.id.as_str(), row_key), sealed)
    }

    /// What a row is found by when its natural key (an address, a phone number) must not stand in the database:
    /// HMAC-SHA256 over the parts, each with its length, under a key of this instance alone.
    pub fn lookup_key(&self, parts: &[&[u8]]) -> [u8; 32] {
        let mut mac = hmac(self.keys.lookup.expose_secret());
        for part in parts {
            mac.update(&length(part));
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for InstanceCipher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InstanceCipher").field("id", &self.id).finish_non_exhaustive()
    }
}

/// Draws a key from the operating system.
pub(super) fn random_key() -> Key {
    SecretBox::init_with_mut(|key: &mut [u8; KEY_LENGTH]| fill(key))
}

/// Encrypts under `key`; see the module for the format.
pub(super) fn seal(key: &Key, associated_data: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LENGTH];
    fill(&mut nonce);
    let ciphertext = XChaCha20Poly1305::new(key.expose_secret().into())
        .encrypt(&XNonce::from(nonce), Payload { msg: plaintext, aad: associated_data })
        .expect("a value is far shorter than the cipher's 256 GiB");
    let mut sealed = Vec::with_capacity(1 + NONCE_LENGTH + ciphertext.len());
    sealed.push(FORMAT);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(&ciphertext);
    sealed
}

/// Decrypts what [`seal`] made.
pub(super) fn open(key: &Key, associated_data: &[u8], sealed: &[u8]) -> Result<Vec<u8>, CipherError> {
    let rest = match sealed {
        [FORMAT, rest @ ..] if rest.len() >= NONCE_LENGTH + TAG_LENGTH => rest,
        _ => return Err(CipherError::UnknownFormat),
    };
    let (nonce, ciphertext) = rest.split_first_chunk::<NONCE_LENGTH>().ok_or(CipherError::UnknownFormat)?;
    XChaCha20Poly1305::new(key.expose_secret().into())
        .decrypt(&XNonce::from(*nonce), Payload { msg: ciphertext, aad: associated_data })
        .map_err(|_| CipherError::Mismatch)
}

/// Table, owner and row, each with its length: no two different triples give the same bytes.
pub(super) fn associated_data(table: &str, owner: &str, row_key: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(12 + table.len() + owner.len() + row_key.len());
    for part in [table.as_bytes(), owner.as_bytes(), row_key] {
        data.extend_from_slice(&length(part));
        data.extend_from_slice(part);
    }
    data
}

fn derive(key: &Key, purpose: &[u8]) -> Key {
    let mut mac = hmac(key.expose_secret());
    mac.update(purpose);
    let derived = Zeroizing::<[u8; KEY_LENGTH]>::new(mac.finalize().into_bytes().into());
    SecretBox::init_with_mut(|key: &mut [u8; KEY_LENGTH]| *key = *derived)
}

fn hmac(key: &[u8; KEY_LENGTH]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

fn length(part: &[u8]) -> [u8; 4] {
    u32::try_from(part.len()).expect("a key part is far below 4 GiB").to_be_bytes()
}

/// Chance is not passed in here: a seeded generator behind a nonce would be the end of the cipher.
fn fill(bytes: &mut [u8]) {
    SysRng.try_fill_bytes(bytes).expect("the operating system gives random bytes");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cipher(id: &str) -> InstanceCipher {
        let key = |byte| SecretBox::new(Box::new([byte; KEY_LENGTH]));
        InstanceCipher::new(InstanceId::parse(id).unwrap(), &key(7), &key(8))
    }

    proptest! {
        #[test]
        fn a_sealed_value_opens_for_its_own_row(plaintext: Vec<u8>, row: Vec<u8>) {
            let cipher = cipher("7K2M9QX4T0AB");
            let sealed = cipher.seal("session", &row, &plaintext);
            prop_assert_eq!(cipher.open("session", &row, &sealed), Ok(plaintext));
        }

        #[test]
        fn a_sealed_value_opens_nowhere_else(flip in 0_usize..64) {
            let (ours, theirs) = (cipher("7K2M9QX4T0AB"), cipher("7K2M9QX4T0AC"));
            let sealed = ours.seal("session", b"row", b"a value of 23 bytes ...");
            prop_assert_eq!(ours.open("session", b"other", &sealed), Err(CipherError::Mismatch));
            prop_assert_eq!(ours.open("sessionr", b"ow", &sealed), Err(CipherError::Mismatch));
            prop_assert_eq!(theirs.open("session", b"row", &sealed), Err(CipherError::Mismatch));
            prop_assert_eq!(ours.content().open("session", b"row", &sealed), Err(CipherError::Mismatch));
            let mut damaged = sealed;
            let position = flip % damaged.len();
            damaged[position] ^= 1;
            prop_assert!(ours.open("session", b"row", &damaged).is_err());
        }
    }

    #[test]
    fn neither_the_value_nor_the_length_of_a_key_part_shows_in_a_look_up() {
        let cipher = cipher("7K2M9QX4T0AB");
        assert_eq!(cipher.lookup_key(&[b"a", b"bc"]), cipher.lookup_key(&[b"a", b"bc"]));
        assert_ne!(cipher.lookup_key(&[b"a", b"bc"]), cipher.lookup_key(&[b"ab", b"c"]));
        assert_ne!(cipher.lookup_key(&[b"a"]), cipher.lookup_key(&[b"a", b""]));
    }

    #[test]
    fn two_seals_of_one_value_differ() {
        let cipher = cipher("7K2M9QX4T0AB");
        assert_ne!(cipher.seal("t", b"r", b"v"), cipher.seal("t", b"r", b"v"));
    }

    #[test]
    fn something_that_was_never_sealed_is_an_unknown_format() {
        for bytes in [&b""[..], &[1; 40], &[2; 60]] {
            assert_eq!(cipher("7K2M9QX4T0AB").open("t", b"r", bytes), Err(CipherError::UnknownFormat), "{bytes:?}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        assert_eq!(format!("{:?}", cipher("7K2M9QX4T0AB")), "InstanceCipher { id: 7K2M9QX4T0AB, .. }");
    }
}
