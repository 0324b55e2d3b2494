//! A file that is to be sent: what it is to people, and all that its message says of it once it is encrypted.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::media_reference::MediaKind;
use super::words::words;

words! {
    /// What a file is sent as.
    FileKind {
        /// A picture.
        Image = "image",
        /// A film.
        Video = "video",
        /// A piece of sound that was spoken into the phone.
        Voice = "voice",
        /// A piece of sound, as a file.
        Audio = "audio",
        /// A document that must be a PDF.
        Pdf = "pdf",
        /// Any file.
        Document = "document",
        /// A sticker.
        Sticker = "sticker",
    }
}

impl FileKind {
    /// What WhatsApp encrypts it as.
    pub const fn media_kind(self) -> MediaKind {
        match self {
            Self::Image => MediaKind::Image,
            Self::Video => MediaKind::Video,
            Self::Voice | Self::Audio => MediaKind::Audio,
            Self::Pdf | Self::Document => MediaKind::Document,
            Self::Sticker => MediaKind::Sticker,
        }
    }

    /// Whether people can write something below it.
    pub const fn takes_caption(self) -> bool {
        match self {
            Self::Image | Self::Video | Self::Pdf | Self::Document => true,
            Self::Voice | Self::Audio | Self::Sticker => false,
        }
    }
}

/// An encrypted file, as its message describes it. It holds the file's key: it is stored sealed, and [`fmt::Debug`] shows
/// only the kind and the size.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutgoingFile {
    /// What it is sent as.
    pub kind: FileKind,
    /// The media key: 32 bytes.
    pub media_key: Vec<u8>,
    /// SHA-256 of the file.
    pub sha256: Vec<u8>,
    /// SHA-256 of the encrypted file.
    pub enc_sha256: Vec<u8>,
    /// The size of the file in bytes.
    pub size: u64,
    /// By which a phone checks a film or sound while it still comes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sidecar: Option<Vec<u8>>,
    /// Its media type.
    pub mimetype: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filename: Option<String>,
    /// Width and height of a picture, in pixels.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dimensions: Option<(u32, u32)>,
    /// How long a voice note takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u32>,
}

impl fmt::Debug for OutgoingFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutgoingFile").field("kind", &self.kind).field("size", &self.size).finish_non_exhaustive()
    }
}

/// Where a file lies that was uploaded, in the words that go into its message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Placed {
    /// Its address.
    pub url: String,
    /// Its path, good at each of WhatsApp's media hosts.
    pub direct_path: String,
}
