//! The media server: encrypted files, found by the hash of what is encrypted, kept as they are.
//!
//! Clients put them at `POST /mms/{kind}/{hash}` and take them from the path they were told. The network cannot read
//! them; a phone encrypts before it uploads and decrypts after it has downloaded.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use bytes::Bytes;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use wacore::download::{DownloadUtils, MediaType};
use wacore::upload::encrypt_media;

use super::MessageError;
use super::reading::Attachment;

/// The largest file that is taken: WhatsApp's 100 MiB with what encryption adds, and some.
pub(in crate::sandbox) const MEDIA_LIMIT: usize = 104 * 1024 * 1024;

/// Where an encrypted file is, and how it is opened.
#[derive(Debug, Clone)]
pub(super) struct Uploaded {
    pub(super) url: String,
    pub(super) direct_path: String,
    pub(super) media_key: Vec<u8>,
    pub(super) sha256: Vec<u8>,
    pub(super) enc_sha256: Vec<u8>,
    pub(super) length: u64,
}

/// The files of a network.
pub(in crate::sandbox) struct MediaStore {
    auth: String,
    place: OnceLock<(SocketAddr, Option<PathBuf>)>,
    memory: Mutex<HashMap<String, Bytes>>,
}

/// Why a file was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum MediaRefusal {
    /// Without the word that `media_conn` gives out.
    Unauthorized,
    /// The path is none of a file, or its hash is not that of the content.
    Hash,
    /// It could not be kept.
    Storage,
}

impl MediaStore {
    /// A store whose clients show `auth`.
    pub(in crate::sandbox) fn new(auth: String) -> Self {
        Self { auth, place: OnceLock::new(), memory: Mutex::default() }
    }

    /// Says where the store is reached and in which folder it keeps its files; without one, in memory.
    pub(in crate::sandbox) fn open(&self, address: SocketAddr, folder: Option<PathBuf>) {
        // A store has one place for its life; a second call changes nothing.
        let _ = self.place.set((address, folder));
    }

    /// What clients must show to put a file here.
    pub(in crate::sandbox) fn auth(&self) -> &str {
        &self.auth
    }

    /// The host and port that clients are sent to.
    pub(in crate::sandbox) fn host(&self) -> String {
        self.place.get().map_or_else(|| "localhost".to_owned(), |(address, _)| address.to_string())
    }

    /// The address of a file.
    pub(in crate::sandbox) fn url(&self, direct_path: &str) -> String {
        format!("https://{}{direct_path}", self.host())
    }

    /// Takes a file at a path.
    pub(in crate::sandbox) fn put(&self, path: &str, auth: Option<&str>, body: Bytes) -> Result<(), MediaRefusal> {
        if auth != Some(self.auth.as_str()) {
            return Err(MediaRefusal::Unauthorized);
        }
        let hash = hash_in(path).ok_or(MediaRefusal::Hash)?;
        if BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&body)) != hash {
            return Err(MediaRefusal::Hash);
        }
        self.keep(hash, body).map_err(|_| MediaRefusal::Storage)
    }

    /// The file at a path.
    pub(in crate::sandbox) fn get(&self, path: &str) -> Option<Bytes> {
        let hash = hash_in(path)?;
        if let Some((_, Some(folder))) = self.place.get() {
            return std::fs::read(folder.join(hash)).ok().map(Bytes::from);
        }
        self.memory.lock().get(hash).cloned()
    }

    fn keep(&self, hash: &str, body: Bytes) -> std::io::Result<()> {
        let Some((_, Some(folder))) = self.place.get() else {
            self.memory.lock().insert(hash.to_owned(), body);
            return Ok(());
        };
        std::fs::create_dir_all(folder)?;
        let new = folder.join(format!("{hash}.new"));
        let file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
        std::io::Write::write_all(&mut file?, &body)?;
        std::fs::rename(&new, folder.join(hash))
    }

    /// A phone's upload of a file, given as base64.
    pub(super) fn upload(&self, data: &str, kind: MediaType) -> Result<Uploaded, MessageError> {
        let plain = BASE64_STANDARD.decode(data).map_err(|_| MessageError::Data)?;
        let sealed = encrypt_media(&plain, kind).map_err(|_| MessageError::Data)?;
        let hash = BASE64_URL_SAFE_NO_PAD.encode(sealed.file_enc_sha256);
        let direct_path = format!("{}/{hash}", kind.upload_path());
        self.keep(&hash, sealed.data_to_upload.into()).map_err(MessageError::Store)?;
        Ok(Uploaded {
            url: self.url(&direct_path),
            direct_path,
            media_key: sealed.media_key.to_vec(),
            sha256: sealed.file_sha256.to_vec(),
            enc_sha256: sealed.file_enc_sha256.to_vec(),
            length: plain.len() as u64,
        })
    }

    /// Puts a file that anybody may open, given as base64, under a word for its kind; its path.
    pub(in crate::sandbox) fn publish(&self, kind: &str, data: &str) -> Result<String, MessageError> {
        let file = BASE64_STANDARD.decode(data).map_err(|_| MessageError::Data)?;
        let hash = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&file));
        self.keep(&hash, file.into()).map_err(MessageError::Store)?;
        Ok(format!("/mms/{kind}/{hash}"))
    }

    /// A phone's download of a file.
    pub(super) fn download(&self, attachment: &Attachment) -> Result<Vec<u8>, MessageError> {
        let sealed = self.get(&attachment.direct_path).ok_or(MessageError::NoFile)?;
        DownloadUtils::verify_and_decrypt(&sealed, &attachment.media_key, attachment.kind)
            .map_err(|_| MessageError::NoFile)
    }
}

/// The hash at the end of a path: 43 characters of base64url, and nothing that could climb out of a folder.
fn hash_in(path: &str) -> Option<&str> {
    let (kind, hash) = path.strip_prefix("/mms/")?.split_once('/')?;
    let is_word = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    (is_word(kind) && hash.len() == 43 && is_word(hash)).then_some(hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_by_the_path_it_was_put_at_and_by_no_other() {
        let store = MediaStore::new("auth".to_owned());
        let body = Bytes::from_static(b"sealed");
        let path = format!("/mms/image/{}", BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(&body)));
        assert_eq!(store.put(&path, None, body.clone()), Err(MediaRefusal::Unauthorized));
        assert_eq!(store.put(&path, Some("auth"), Bytes::from_static(b"other")), Err(MediaRefusal::Hash));
        assert_eq!(store.put(&path, Some("auth"), body.clone()), Ok(()));
        assert_eq!(store.get(&path), Some(body));
        for wrong in ["/mms/image/../../../../etc/passwd", "/mms/image", "/mms//", "/phones"] {
            assert_eq!(store.get(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn what_a_phone_uploads_it_can_download() {
        let store = MediaStore::new("auth".to_owned());
        let uploaded = store.upload(&BASE64_STANDARD.encode(b"a picture"), MediaType::Image).unwrap();
        assert_eq!(uploaded.length, 9);
        let Uploaded { direct_path, media_key, .. } = uploaded;
        let attachment = Attachment { kind: MediaType::Image, direct_path: direct_path.clone(), media_key };
        assert_eq!(store.download(&attachment).unwrap(), b"a picture");
        assert_ne!(store.get(&direct_path).unwrap(), b"a picture".as_slice());
        assert!(matches!(store.upload("no base64!", MediaType::Image), Err(MessageError::Data)));
    }
}
