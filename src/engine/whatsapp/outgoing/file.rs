//! Messages with a file, in WhatsApp's own form.

use buffa::MessageField;
use chrono::{DateTime, Utc};
use waproto::whatsapp::message::{AudioMessage, DocumentMessage, ImageMessage, StickerMessage, VideoMessage};
use waproto::whatsapp::{ContextInfo, Message as Written};

use crate::domain::outgoing::Words;
use crate::domain::outgoing_file::{FileKind, OutgoingFile, Placed};

/// What people see of a document that was given no name.
const NAMELESS: &str = "document";

/// A file, with the words below it.
pub(super) fn message(
    (file, placed): (&OutgoingFile, &Placed),
    caption: Option<&Words>,
    context_info: MessageField<ContextInfo>,
    now: DateTime<Utc>,
) -> Written {
    let url = Some(placed.url.clone());
    let direct_path = Some(placed.direct_path.clone());
    let media_key = Some(file.media_key.clone());
    let file_sha256 = Some(file.sha256.clone());
    let file_enc_sha256 = Some(file.enc_sha256.clone());
    let file_length = Some(file.size);
    let mimetype = Some(file.mimetype.clone());
    let media_key_timestamp = Some(now.timestamp());
    let caption = caption.map(|words| words.as_str().to_owned());
    let streaming_sidecar = file.sidecar.clone();
    let (width, height) = file.dimensions.unzip();
    match file.kind {
        FileKind::Image => Written {
            image_message: MessageField::some(ImageMessage {
                url,
                direct_path,
                media_key,
                file_sha256,
                file_enc_sha256,
                file_length,
                mimetype,
                media_key_timestamp,
                caption,
                width,
                height,
                context_info,
                ..Default::default()
            }),
            ..Default::default()
        },
        FileKind::Video => Written {
            video_message: MessageField::some(VideoMessage {
                url,
                direct_path,
                media_key,
                file_sha256,
                file_enc_sha256,
                file_length,
                mimetype,
                media_key_timestamp,
                caption,
                streaming_sidecar,
                context_info,
                ..Default::default()
            }),
            ..Default::default()
        },
        FileKind::Voice | FileKind::Audio => Written {
            audio_message: MessageField::some(AudioMessage {
                url,
                direct_path,
                media_key,
                file_sha256,
                file_enc_sha256,
                file_length,
                mimetype,
                media_key_timestamp,
                streaming_sidecar,
                ptt: Some(file.kind == FileKind::Voice),
                seconds: file.seconds,
                context_info,
                ..Default::default()
            }),
            ..Default::default()
        },
        FileKind::Pdf | FileKind::Document => {
            let name = Some(file.filename.clone().unwrap_or_else(|| NAMELESS.to_owned()));
            Written {
                document_message: MessageField::some(DocumentMessage {
                    url,
                    direct_path,
                    media_key,
                    file_sha256,
                    file_enc_sha256,
                    file_length,
                    mimetype,
                    media_key_timestamp,
                    caption,
                    title: name.clone(),
                    file_name: name,
                    context_info,
                    ..Default::default()
                }),
                ..Default::default()
            }
        }
        FileKind::Sticker => Written {
            sticker_message: MessageField::some(StickerMessage {
                url,
                direct_path,
                media_key,
                file_sha256,
                file_enc_sha256,
                file_length,
                mimetype,
                media_key_timestamp,
                width,
                height,
                context_info,
                ..Default::default()
            }),
            ..Default::default()
        },
    }
}
