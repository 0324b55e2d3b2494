//! How WhatsApp encrypts files: AES-256 in CBC mode, and the first ten bytes of an HMAC-SHA256 over IV and ciphertext at
//! the end, with keys that HKDF makes from the key in the message and the kind of the file.
//!
//! In CBC mode a block is decrypted with the one before it alone, so any part of a file can be read without the rest
//! ([`Opener::window`]). A part has no MAC of its own: a file is checked once, as a whole, before it is kept
//! ([`Opener::verify`]).

use std::io::{self, Read, Write};
use std::ops::Range;

use aes::Aes256;
use aes::cipher::{Block, BlockCipherDecrypt, KeyInit};
use bytes::{Bytes, BytesMut};
use hmac::{Hmac, Mac};
use sha2::Sha256;
use wacore::download::{DownloadUtils, MediaType};
use wacore::upload::{EncryptedMediaInfo, MediaEncryptor};

use crate::domain::media_reference::{MediaKind, MediaReference};

use super::CHUNK;

/// Bytes of a block.
const BLOCK: usize = 16;
const BLOCK_U64: u64 = BLOCK as u64;

/// Bytes of the MAC at the end.
const MAC: u64 = 10;

/// The ciphertext is not what the key in the message made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the encrypted file is damaged, or it is another")]
pub struct Damaged;

/// A file was not encrypted.
#[derive(Debug, thiserror::Error)]
pub enum EncryptError {
    /// It could not be read, or what became of it not be written.
    #[error("the file could not be read or its encrypted form not be written")]
    Io(#[from] io::Error),
    /// The library refused.
    #[error("the file could not be encrypted: {0}")]
    Library(String),
}

/// A file could not be checked, or it is not whole.
#[derive(Debug, thiserror::Error)]
pub enum VerifyError {
    /// It could not be read.
    #[error("the encrypted file could not be read")]
    Io(#[from] io::Error),
    /// It was read, and is not what it should be.
    #[error(transparent)]
    Damaged(#[from] Damaged),
}

/// What the library calls a kind. Its keys and its path at WhatsApp depend on it.
pub fn media_type(kind: MediaKind) -> MediaType {
    match kind {
        MediaKind::Image => MediaType::Image,
        MediaKind::Video => MediaType::Video,
        MediaKind::Audio => MediaType::Audio,
        MediaKind::Document => MediaType::Document,
        MediaKind::Sticker => MediaType::Sticker,
    }
}

/// Encrypts a file with a key of its own. Blocks; memory does not grow with the file.
pub fn encrypt(
    mut plain: impl Read,
    mut encrypted: impl Write,
    kind: MediaKind,
) -> Result<EncryptedMediaInfo, EncryptError> {
    let library = |error: anyhow::Error| EncryptError::Library(error.to_string());
    let sidecar = matches!(kind, MediaKind::Audio | MediaKind::Video);
    let mut encryptor = MediaEncryptor::new_with_sidecar(media_type(kind), sidecar).map_err(library)?;
    let mut buffer = vec![0; CHUNK];
    let mut out = Vec::with_capacity(CHUNK + BLOCK);
    loop {
        let read = plain.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        out.clear();
        encryptor.update(&buffer[..read], &mut out);
        encrypted.write_all(&out)?;
    }
    out.clear();
    let info = encryptor.finalize(&mut out).map_err(library)?;
    encrypted.write_all(&out)?;
    encrypted.flush()?;
    Ok(info)
}

/// Opens a file.
#[derive(Clone)]
pub struct Opener {
    cipher: Aes256,
    iv: [u8; BLOCK],
    mac_key: [u8; 32],
}

impl Opener {
    /// For the file that `reference` names.
    pub fn of(reference: &MediaReference) -> Self {
        Self::new(&reference.media_key, reference.kind)
    }

    fn new(key: &[u8], kind: MediaKind) -> Self {
        let (iv, cipher_key, mac_key) = DownloadUtils::get_media_keys(key, media_type(kind))
            .expect("112 bytes are within what HKDF-SHA256 can give");
        Self { cipher: Aes256::new(&cipher_key.into()), iv, mac_key }
    }

    /// Reads a whole encrypted file of `length` bytes and checks its MAC. Blocks.
    pub fn verify(&self, mut encrypted: impl Read, length: u64) -> Result<(), VerifyError> {
        let body = body_length(length).ok_or(Damaged)?;
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.mac_key).expect("HMAC takes keys of any length");
        mac.update(&self.iv);
        let mut left = body;
        let mut buffer = vec![0; CHUNK];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(CHUNK);
            encrypted.read_exact(&mut buffer[..most])?;
            mac.update(&buffer[..most]);
            left -= most as u64;
        }
        let mut told = [0; 10];
        encrypted.read_exact(&mut told)?;
        // In constant time; nobody can try often enough for it to matter.
        mac.verify_truncated_left(&told).map_err(|_| Damaged.into())
    }

    /// The length of the file, told by the last block but one and the last of an encrypted file of `length` bytes.
    pub fn plain_length(&self, length: u64, last_blocks: &[u8]) -> Result<u64, Damaged> {
        let body = body_length(length).ok_or(Damaged)?;
        let (before, last) = match last_blocks.len() {
            BLOCK if body == BLOCK_U64 => (self.iv.as_slice(), last_blocks),
            32 => last_blocks.split_at(BLOCK),
            _ => return Err(Damaged),
        };
        let block = self.block(last.try_into().map_err(|_| Damaged)?, before.try_into().map_err(|_| Damaged)?);
        let padding = u64::from(block[BLOCK - 1]);
        if (1..=BLOCK_U64).contains(&padding) { Ok(body - padding) } else { Err(Damaged) }
    }

    /// What must be read of the encrypted file for these bytes of the file, and what turns the one into the other.
    pub fn window(&self, wanted: Range<u64>) -> (Range<u64>, Window) {
        let first = wanted.start / BLOCK_U64 * BLOCK_U64;
        let end = wanted.end.div_ceil(BLOCK_U64) * BLOCK_U64;
        let window = Window {
            opener: self.clone(),
            before: self.iv,
            waits_for_before: first > 0,
            skip: usize::try_from(wanted.start - first).expect("less than a block"),
            left: wanted.end.saturating_sub(wanted.start),
            rest: BytesMut::new(),
        };
        (first.saturating_sub(BLOCK_U64)..end, window)
    }

    fn block(&self, encrypted: [u8; BLOCK], before: [u8; BLOCK]) -> [u8; BLOCK] {
        let mut block: Block<Aes256> = encrypted.into();
        self.cipher.decrypt_block(&mut block);
        let mut plain: [u8; BLOCK] = block.into();
        for (byte, other) in plain.iter_mut().zip(before) {
            *byte ^= other;
        }
        plain
    }
}

/// Where the last two blocks, or the only one, of an encrypted file of `length` bytes stand.
pub fn last_blocks(length: u64) -> Result<Range<u64>, Damaged> {
    let body = body_length(length).ok_or(Damaged)?;
    Ok(body.saturating_sub(2 * BLOCK_U64)..body)
}

/// The blocks of an encrypted file, without the MAC.
fn body_length(length: u64) -> Option<u64> {
    length.checked_sub(MAC).filter(|body| *body > 0 && body.is_multiple_of(BLOCK_U64))
}

/// Decrypts a part of a file as it is read.
pub struct Window {
    opener: Opener,
    /// The encrypted block before the next.
    before: [u8; BLOCK],
    /// The first block that is read is the one before those that are wanted.
    waits_for_before: bool,
    /// Bytes of the first block that are not wanted.
    skip: usize,
    /// Bytes that are still wanted.
    left: u64,
    /// Encrypted bytes that are no whole block yet.
    rest: BytesMut,
}

impl Window {
    /// Takes what was read; gives what it says.
    pub fn open(&mut self, read: &[u8]) -> Bytes {
        self.rest.extend_from_slice(read);
        let whole = self.rest.len() / BLOCK * BLOCK;
        let mut blocks = self.rest.split_to(whole);
        let mut start = 0;
        if self.waits_for_before && whole > 0 {
            self.before.copy_from_slice(&blocks[..BLOCK]);
            self.waits_for_before = false;
            start = BLOCK;
        }
        for chunk in blocks[start..].chunks_exact_mut(BLOCK) {
            let encrypted: [u8; BLOCK] = (&*chunk).try_into().expect("the chunks are of this length");
            chunk.copy_from_slice(&self.opener.block(encrypted, self.before));
            self.before = encrypted;
        }
        let from = (start + self.skip).min(whole);
        // Of a part of no block at all nothing was skipped.
        self.skip -= from - start.min(from);
        let many = usize::try_from(self.left).unwrap_or(usize::MAX).min(whole - from);
        self.left -= many as u64;
        let opened = blocks.freeze();
        opened.slice(from..from + many)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encrypted(plain: &[u8], kind: MediaKind) -> (Vec<u8>, MediaReference) {
        let mut out = Vec::new();
        let info = encrypt(plain, &mut out, kind).unwrap();
        let reference = MediaReference {
            kind,
            direct_path: String::new(),
            media_key: info.media_key.to_vec(),
            sha256: info.file_sha256.to_vec(),
            enc_sha256: info.file_enc_sha256.to_vec(),
            size: Some(info.file_length),
            mimetype: None,
            filename: None,
        };
        (out, reference)
    }

    fn length(opener: &Opener, file: &[u8]) -> Result<u64, Damaged> {
        let range = last_blocks(file.len() as u64)?;
        opener.plain_length(file.len() as u64, &file[usize_range(range)])
    }

    fn usize_range(range: Range<u64>) -> Range<usize> {
        usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()
    }

    proptest! {
        #[test]
        fn any_part_of_a_file_opens_however_it_is_read(
            plain in proptest::collection::vec(any::<u8>(), 0..300),
            (a, b) in (0_usize..300, 0_usize..300),
            step in 1_usize..70,
        ) {
            let (file, reference) = encrypted(&plain, MediaKind::Video);
            let opener = Opener::of(&reference);
            prop_assert!(opener.verify(file.as_slice(), file.len() as u64).is_ok());
            prop_assert_eq!(length(&opener, &file).unwrap(), plain.len() as u64);
            let (from, to) = (a.min(b).min(plain.len()), a.max(b).min(plain.len()));
            let (read, mut window) = opener.window(from as u64..to as u64);
            let mut opened = Vec::new();
            for part in file[usize_range(read)].chunks(step) {
                opened.extend_from_slice(&window.open(part));
            }
            prop_assert_eq!(opened, &plain[from..to]);
        }
    }

    #[test]
    fn the_library_opens_what_is_encrypted_here() {
        let plain = vec![7; 100_000];
        for kind in MediaKind::ALL {
            let (file, reference) = encrypted(&plain, *kind);
            let opened = DownloadUtils::verify_and_decrypt(&file, &reference.media_key, media_type(*kind)).unwrap();
            assert_eq!(opened, plain, "{kind:?}");
        }
    }

    #[test]
    fn a_file_that_was_changed_or_cut_is_noticed() {
        let (file, reference) = encrypted(b"a picture of some length", MediaKind::Image);
        let opener = Opener::of(&reference);
        for position in 0..file.len() {
            let mut other = file.clone();
            other[position] ^= 1;
            assert!(opener.verify(other.as_slice(), other.len() as u64).is_err(), "{position}");
        }
        for length in 0..file.len() {
            assert!(opener.verify(&file[..length], length as u64).is_err(), "{length}");
        }
        let other = Opener::new(&[0; 32], MediaKind::Image);
        assert!(other.verify(file.as_slice(), file.len() as u64).is_err());
    }
}
