//! `/v2/auth/qr-image`: the live code as a PNG, within JSON or by itself.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, VARY};
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::qr_code::QrCode;
use crate::domain::token::Scope;
use crate::qr::render::DEFAULT_SCALE;

use super::body::Source;
use super::code::{DEFAULT_WAIT, MAX_WAIT, live};

/// The picture as a data URL.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "`body` writes it once a code, and not through this type")]
pub(super) struct Image {
    #[schema(pattern = "^data:image/png;base64,", example = "data:image/png;base64,iVBORw0KGgo…")]
    qr: String,
}

/// Gives the live QR code as a picture.
///
/// Where `Accept` prefers an image, as a browser's `<img>` does, the answer is the PNG itself. Black on white, quiet zone
/// 4, error correction M.
#[utoipa::path(
    method(post, get), path = "/v2/auth/qr-image", tag = "Linking",
    params(
        ("instance_id" = InstanceId, Query),
        ("camera" = Option<bool>, Query, example = false,
            description = "Put WhatsApp's own prefix before the value, so that a phone's camera app opens WhatsApp."),
        ("wait" = Option<u32>, Query, description = "The longest wait for a code in seconds; 5 unless given.",
            minimum = 0, maximum = 25, example = 5),
    ),
    responses(
        (status = 200, description = "The picture.",
            headers(("X-QR-Expires-At"), ("X-QR-Attempt"), ("X-QR-Max-Attempts"), ("Content-Digest")),
            content((Image = "application/json"), (Vec<u8> = "image/png")),
        ),
        EveryRoute, OfInstance, OfStatus,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn qr_image(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let camera = read.boolean("camera").unwrap_or(false);
    let wait = read.integer("wait", 0..=MAX_WAIT).unwrap_or(DEFAULT_WAIT);
    read.finish()?;
    let id = call.instance(target, Scope::Link).await?;
    let code = live(&call, id, Duration::from_secs(wait.into())).await?;
    answer(&call, &code, Source::new(&code, camera))
}

/// JSON, or the PNG itself where `Accept` prefers an image: a browser's `<img>` then needs no script.
pub(super) fn answer(call: &Call, code: &QrCode, source: Source<'_>) -> Result<HttpResponse, ApiError> {
    let mut answer = if call.prefers_image() {
        respond::code(code, "image/png", &source.png(DEFAULT_SCALE)?)
    } else {
        respond::code(code, "application/json", &source.image()?)
    };
    answer.headers_mut().insert(VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}
