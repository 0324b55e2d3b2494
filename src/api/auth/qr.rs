//! `/v2/auth/qr`: the live code in whichever form is wanted.

use std::time::Duration;

use actix_web::HttpResponse;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::respond;
use crate::domain::token::Scope;
use crate::qr::render::{DEFAULT_SCALE, SCALES};

use super::body::Source;
use super::code::{DEFAULT_WAIT, MAX_WAIT, live};
use super::qr_image;

#[derive(Debug, Clone, Copy)]
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

/// Answers with the code: `format`, `scale`, `camera`, `wait`.
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
