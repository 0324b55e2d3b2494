//! `/v2/send/{image,video,voice,audio,pdf,document,sticker}`: files.

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::FileCall;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::Over;
use crate::domain::outgoing_file::FileKind;

use super::document::Accepted;
use super::file;

/// One route: they differ in what the file must be.
macro_rules! route {
    ($(#[doc = $doc:literal])+ $name:ident, $path:tt, $kind:expr $(, caption: $caption:tt)?) => {
        $(#[doc = $doc])+
        ///
        /// The file is given as the part `file` of a multipart body, which must be its last; as `file` with either `url` or
        /// `data` (base64, 16 MiB of it at most) and perhaps `filename` and `mimetype`; or by its `url`. It may be 100 MiB
        /// long, unless the operator has set another length. An address is followed over three redirects, to the public
        /// internet only. The type is told by the file itself; one that is given must be of its class. Answered as
        /// `/v2/send/text` is.
        #[utoipa::path(
            post, path = $path, tag = "Messages",
            params(
                ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one message.",
                    min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
                ("instance_id" = InstanceId, Query),
                ("chatId" = String, Query, description = "To whom.", example = "201012345678@c.us"),
                ("file" = Option<Object>, Query, description = "The file: `url` or `data`, `filename`, `mimetype`.",
                    example = json!({"url": "https://example.com/a.png"})),
                ("url" = Option<String>, Query, description = "Where the file is.", max_length = 2048,
                    example = "https://example.com/a.png"),
                ("filename" = Option<String>, Query, description = "Its name.", max_length = 255, example = "a.png"),
                ("mimetype" = Option<String>, Query, description = "Its type.", max_length = 255, example = "image/png"),
                $(("caption" = Option<String>, Query, max_length = 4096, example = "Look!", description = $caption),)?
                ("reply_to" = Option<String>, Query, max_length = 128, example = "3EB0C767D097B7C7C030",
                    description = "The id of the message that it answers."),
                ("participant" = Option<String>, Query, description = "Who wrote that message.",
                    example = "201012345678@c.us"),
                ("from_me" = Option<bool>, Query, description = "Whether this account wrote it.", example = false),
                ("mentions" = Option<Vec<String>>, Query, max_items = 256, example = json!(["201012345678@c.us"]),
                    description = "People who are mentioned in the caption."),
                ("ttl" = Option<u32>, Query, description = "Seconds that it may wait to be sent.", minimum = 1,
                    maximum = 86400, example = 3600),
                ("over" = Option<Over>, Query, description = "`refuse` or `queue`, should it be too fast.",
                    example = "queue"),
            ),
            responses(
                (status = 200, description = "WhatsApp has it.", body = Accepted, headers(("Idempotency-Replayed"))),
                (status = 202, description = "It is queued, or nobody knows yet.", body = Accepted,
                    headers(("Idempotency-Replayed"))),
                EveryRoute, OfInstance, OfStatus, Conflicting,
            ),
        )]
        #[tracing::instrument(skip_all, fields(instance.id))]
        pub async fn $name(request: FileCall) -> Result<HttpResponse, ApiError> {
            file::send(request, $kind).await
        }
    };
}

route!(
    /// Sends a picture: JPEG or PNG.
    image, "/v2/send/image", FileKind::Image, caption: "Words below it."
);
route!(
    /// Sends a film: MP4 or 3GP.
    video, "/v2/send/video", FileKind::Video, caption: "Words below it."
);
route!(
    /// Sends a voice note: Opus within Ogg. Other sound is not transcoded, and refused with 415.
    voice, "/v2/send/voice", FileKind::Voice
);
route!(
    /// Sends sound as a file: MP3, M4A, AAC, AMR, or Opus within Ogg.
    audio, "/v2/send/audio", FileKind::Audio
);
route!(
    /// Sends a PDF as a document.
    pdf, "/v2/send/pdf", FileKind::Pdf, caption: "Words below it."
);
route!(
    /// Sends any file as a document.
    document, "/v2/send/document", FileKind::Document, caption: "Words below it."
);
route!(
    /// Sends a sticker: WebP.
    sticker, "/v2/send/sticker", FileKind::Sticker
);
