//! Where the file of a message lies at WhatsApp, and what opens it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// What kind of file it is. WhatsApp derives the keys of a file from its media key by this kind.
    MediaKind {
        /// A picture.
        Image = "image",
        /// A film.
        Video = "video",
        /// A piece of sound or a voice note.
        Audio = "audio",
        /// Any other file.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
    }
}

/// All it takes to fetch and open a file that a message refers to. It holds the file's key: it is stored sealed, and
/// [`fmt::Debug`] shows only the kind and the size.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MediaReference {
    /// What kind of file it is.
    pub kind: MediaKind,
    /// The path of the encrypted file on WhatsApp's media servers.
    pub direct_path: String,
    /// The media key: 32 bytes.
    pub media_key: Vec<u8>,
    /// SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// SHA-256 of the encrypted file.
    pub enc_sha256: Vec<u8>,
    /// The size of the file in bytes, as its sender gave it.
    pub size: Option<u64>,
    /// The media type its sender gave it.
    pub mimetype: Option<String>,
    /// The name its sender gave it.
    pub filename: Option<String>,
}

impl fmt::Debug for MediaReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaReference").field("kind", &self.kind).field("size", &self.size).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_key_and_no_name() {
        let reference = MediaReference {
            kind: MediaKind::Document,
            direct_path: "/v/t62/secret".to_owned(),
            media_key: vec![7; 32],
            sha256: vec![1],
            enc_sha256: vec![2],
            size: Some(3),
            mimetype: Some("application/pdf".to_owned()),
            filename: Some("payslip.pdf".to_owned()),
        };
        assert_eq!(format!("{reference:?}"), "MediaReference { kind: Document, size: Some(3), .. }");
        let json = serde_json::to_vec(&reference).unwrap();
        assert_eq!(serde_json::from_slice::<MediaReference>(&json).unwrap(), reference);
    }
}
