//! `/v2/auth/qr-image`: the live code as a PNG, within JSON or by itself.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderValue, VARY};

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond;
use crate::domain::qr_code::QrCode;
use crate::domain::token::Scope;
use crate::qr::render::DEFAULT_SCALE;

use super::body::Source;
use super::code::{DEFAULT_WAIT, MAX_WAIT, live};

/// Answers with the picture: `camera`, `wait`.
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
