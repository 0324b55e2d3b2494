//! `/v2/auth/qr`: the live code in whichever form is wanted.

use std::time::Duration;

use actix_web::HttpResponse;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::qr::render::{DEFAULT_SCALE, SCALES};

use super::body::Source;
use super::code::{DEFAULT_WAIT, MAX_WAIT, live};
use super::qr_image::{self, Image};

#[derive(Debug, Clone, Copy, ToSchema)]
#[schema(rename_all = "lowercase")]
enum Format {
    Raw,
    Image,
    Png,
    Svg,
    Text,
}

const FORMATS: [(&str, Format); 5] = [
    ("raw", Format::Raw),
    ("image", Format::Image),
    ("png", Format::Png),
    ("svg", Format::Svg),
    ("text", Format::Text),
];

/// What `raw` and `image` answer with.
#[derive(ToSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "`body` writes these once a code, and not through this type")]
enum Code {
    /// `raw`.
    Raw(Envelope),
    /// `image`.
    Image(Image),
}

/// A code in its envelope.
#[derive(ToSchema)]
#[expect(dead_code, reason = "`body` writes it once a code, and not through this type")]
#[schema(as = CodeEnvelope)]
#[serde(deny_unknown_fields)]
struct Envelope {
    #[schema(example = "application/json; charset=utf-8")]
    mimetype: String,
    #[schema(content_encoding = "base64")]
    data: String,
}

/// Gives the live QR code.
///
/// `data` is the base64 of `{"value":"2@…","expiry":1790000000000}`: what a phone must scan, and when it rotates out in
/// Unix milliseconds. Poll every 5 to 7 seconds; one a second and a burst of 20 is let through.
#[utoipa::path(
    method(post, get), path = "/v2/auth/qr", tag = "Linking",
    params(
        ("instance_id" = InstanceId, Query),
        ("format" = inline(Option<Format>), Query, example = "raw",
            description = "`raw` unless given; `image` is the answer of `/v2/auth/qr-image`."),
        ("scale" = Option<u32>, Query, description = "Pixels a module of a png; 8 unless given.",
            minimum = 4, maximum = 16, example = 8),
        ("camera" = Option<bool>, Query, example = false,
            description = "Put WhatsApp's own prefix before the value, so that a phone's camera app opens WhatsApp."),
        ("wait" = Option<u32>, Query, description = "The longest wait for a code in seconds; 5 unless given.",
            minimum = 0, maximum = 25, example = 5),
    ),
    responses(
        (status = 200, description = "The code, in the form that was asked for.",
            headers(("X-QR-Expires-At"), ("X-QR-Attempt"), ("X-QR-Max-Attempts"), ("Content-Digest")),
            content(
                (Code = "application/json", example = json!({
                    "mimetype": "application/json; charset=utf-8",
                    "data": "eyJ2YWx1ZSI6IjJA4oCmIiwiZXhwaXJ5IjoxNzkwMDAwMDAwMDAwfQ==",
                })),
                (Vec<u8> = "image/png"),
                (String = "image/svg+xml"),
                (String = "text/plain"),
            ),
        ),
        EveryRoute, OfInstance, OfStatus,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn qr(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let format = read.word("format", &FORMATS).unwrap_or(Format::Raw);
    let scale = read.integer("scale", u32::from(*SCALES.start())..=u32::from(*SCALES.end()));
    let camera = read.boolean("camera").unwrap_or(false);
    let wait = read.integer("wait", 0..=MAX_WAIT).unwrap_or(DEFAULT_WAIT);
    read.finish()?;
    let id = call.instance(target, Scope::Link).await?;
    let code = live(&call, id, Duration::from_secs(wait.into())).await?;
    let source = Source::new(&code, camera);
    let scale = scale.and_then(|scale| u8::try_from(scale).ok()).unwrap_or(DEFAULT_SCALE);
    Ok(match format {
        Format::Raw => respond::code(&code, "application/json", &source.envelope()),
        Format::Image => qr_image::answer(&call, &code, source)?,
        Format::Png => respond::code(&code, "image/png", &source.png(scale)?),
        Format::Svg => respond::code(&code, "image/svg+xml", &source.svg()?),
        Format::Text => respond::code(&code, "text/plain; charset=utf-8", &source.text()?),
    })
}
