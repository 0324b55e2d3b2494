//! The files that messages come with. Pure.

use waproto::whatsapp::message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage};
use waproto::whatsapp::{ContextInfo, Message};

use crate::domain::media_reference::{MediaKind, MediaReference};
use crate::domain::payload::{Media, MessageKind, Said};

/// A message's file.
pub(super) enum Attached<'a> {
    Image(&'a ImageMessage),
    Video(&'a VideoMessage),
    Audio(&'a AudioMessage),
    Document(&'a DocumentMessage),
    Sticker(&'a StickerMessage),
}

/// What WhatsApp says of any file.
struct File<'a> {
    kind: MediaKind,
    direct_path: Option<&'a String>,
    media_key: Option<&'a Vec<u8>>,
    sha256: Option<&'a Vec<u8>>,
    enc_sha256: Option<&'a Vec<u8>>,
    size: Option<u64>,
    mimetype: Option<&'a String>,
    filename: Option<&'a String>,
}

impl<'a> Attached<'a> {
    /// The file of an unwrapped message.
    pub(super) fn read(message: &'a Message) -> Option<Self> {
        let image = || message.image_message.as_option().map(Self::Image);
        let video = || message.video_message.as_option().or(message.ptv_message.as_option()).map(Self::Video);
        let audio = || message.audio_message.as_option().map(Self::Audio);
        let document = || message.document_message.as_option().map(Self::Document);
        let sticker = || message.sticker_message.as_option().map(Self::Sticker);
        image().or_else(video).or_else(audio).or_else(document).or_else(sticker)
    }

    /// What is told of it, what the message says of others, and where the file lies. The address under which it can be
    /// fetched is filled in by whoever knows the message's id.
    pub(super) fn told(&self) -> (Said, Option<&'a ContextInfo>, Option<MediaReference>) {
        let (kind, caption, seconds, is_view_once) = match self {
            Self::Image(image) => (MessageKind::Image, image.caption.clone(), None, image.view_once),
            Self::Video(video) => (MessageKind::Video, video.caption.clone(), video.seconds, video.view_once),
            Self::Audio(audio) if audio.ptt == Some(true) => (MessageKind::Voice, None, audio.seconds, audio.view_once),
            Self::Audio(audio) => (MessageKind::Audio, None, audio.seconds, audio.view_once),
            Self::Document(document) => (MessageKind::Document, document.caption.clone(), None, None),
            Self::Sticker(_) => (MessageKind::Sticker, None, None, None),
        };
        let file = self.file();
        let media = Media {
            url: None,
            mimetype: file.mimetype.cloned(),
            filename: file.filename.cloned(),
            size: file.size,
            seconds,
        };
        let said = Said {
            body: caption,
            has_media: true,
            media: Some(media),
            is_view_once: is_view_once == Some(true),
            ..Said::nothing(kind)
        };
        (said, self.context(), file.reference())
    }

    fn context(&self) -> Option<&'a ContextInfo> {
        match self {
            Self::Image(image) => image.context_info.as_option(),
            Self::Video(video) => video.context_info.as_option(),
            Self::Audio(audio) => audio.context_info.as_option(),
            Self::Document(document) => document.context_info.as_option(),
            Self::Sticker(sticker) => sticker.context_info.as_option(),
        }
    }

    fn file(&self) -> File<'a> {
        macro_rules! file {
            ($kind:ident, $it:expr, $filename:expr) => {
                File {
                    kind: MediaKind::$kind,
                    direct_path: $it.direct_path.as_ref(),
                    media_key: $it.media_key.as_ref(),
                    sha256: $it.file_sha256.as_ref(),
                    enc_sha256: $it.file_enc_sha256.as_ref(),
                    size: $it.file_length,
                    mimetype: $it.mimetype.as_ref(),
                    filename: $filename,
                }
            };
        }
        match self {
            Self::Image(image) => file!(Image, image, None),
            Self::Video(video) => file!(Video, video, None),
            Self::Audio(audio) => file!(Audio, audio, None),
            Self::Document(document) => {
                file!(Document, document, document.file_name.as_ref().or(document.title.as_ref()))
            }
            Self::Sticker(sticker) => file!(Sticker, sticker, None),
        }
    }
}

impl File<'_> {
    /// Where it lies; `None` if that is not said in full, as of a picture to be seen once.
    fn reference(&self) -> Option<MediaReference> {
        Some(MediaReference {
            kind: self.kind,
            direct_path: self.direct_path.filter(|path| !path.is_empty())?.clone(),
            media_key: self.media_key?.clone(),
            sha256: self.sha256.cloned().unwrap_or_default(),
            enc_sha256: self.enc_sha256?.clone(),
            size: self.size,
            mimetype: self.mimetype.cloned(),
            filename: self.filename.cloned(),
        })
    }
}
