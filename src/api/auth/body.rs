//! The bodies a code is served as: made once for the forms everybody polls, on demand for the others.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::api::error::ApiError;
use crate::domain::qr_code::{QrCode, Rendition};
use crate::qr::render::DEFAULT_SCALE;
use crate::qr::{CAMERA_PREFIX, Matrix, TooLong, render};

/// How the body of `/v2/auth/qr-image` begins, up to the quotes with its value in them.
const IMAGE_BEGINS: &str = r#"{"qr":""#;

/// The code as the `data:` address of a PNG of one pixel a module, a quarter of the one that others are served: for a
/// page of ours, which draws it as large as it likes.
pub(in crate::api) fn small_data_uri(code: &QrCode) -> Result<String, ApiError> {
    let png = render::png(&Source::new(code, false).matrix()?, 1);
    Ok(format!("data:image/png;base64,{}", STANDARD.encode(png)))
}

/// What the code is drawn from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    code: &'a QrCode,
    camera: bool,
}

/// The envelope's inside.
#[derive(Serialize)]
struct Inside<'a> {
    value: &'a str,
    expiry: i64,
}

impl<'a> Source<'a> {
    /// The value itself, or with `camera` the link that opens WhatsApp.
    pub(super) fn new(code: &'a QrCode, camera: bool) -> Self {
        Self { code, camera }
    }

    /// `{"mimetype": …, "data": base64 of {"value", "expiry"}}`
    pub(super) fn envelope(self) -> Rendition {
        if self.camera {
            return self.make_envelope();
        }
        self.code.renditions.envelope.get_or_init(|| self.make_envelope()).clone()
    }

    /// `{"qr": "data:image/png;base64,…"}` at the default scale.
    pub(super) fn image(self) -> Result<Rendition, ApiError> {
        if self.camera {
            return self.make_image();
        }
        if let Some(ready) = self.code.renditions.image.get() {
            return Ok(ready.clone());
        }
        let made = self.make_image()?;
        Ok(self.code.renditions.image.get_or_init(|| made).clone())
    }

    /// A PNG.
    pub(super) fn png(self, scale: u8) -> Result<Rendition, ApiError> {
        if self.camera || scale != DEFAULT_SCALE {
            return self.make_png(scale);
        }
        if let Some(ready) = self.code.renditions.png.get() {
            return Ok(ready.clone());
        }
        let made = self.make_png(scale)?;
        Ok(self.code.renditions.png.get_or_init(|| made).clone())
    }

    /// An SVG document.
    pub(super) fn svg(self) -> Result<Rendition, ApiError> {
        Ok(rendition(render::svg(&self.matrix()?)))
    }

    /// Half blocks for a terminal.
    pub(super) fn text(self) -> Result<Rendition, ApiError> {
        Ok(rendition(render::text(&self.matrix()?)))
    }

    fn value(self) -> String {
        let prefix = if self.camera { CAMERA_PREFIX } else { "" };
        format!("{prefix}{}", self.code.value.expose())
    }

    fn matrix(self) -> Result<Matrix, ApiError> {
        Matrix::encode(&self.value()).map_err(|error: TooLong| ApiError::Internal(Box::new(error)))
    }

    fn make_envelope(self) -> Rendition {
        let inside = Inside { value: &self.value(), expiry: self.code.expires_at_ms() };
        let inside = serde_json::to_vec(&inside).expect("it has no keys but text");
        let data = STANDARD.encode(inside);
        rendition(format!(r#"{{"mimetype":"application/json; charset=utf-8","data":"{data}"}}"#))
    }

    fn make_image(self) -> Result<Rendition, ApiError> {
        let png = self.png(DEFAULT_SCALE)?;
        let mut body = String::with_capacity(40 + png.body.len().div_ceil(3) * 4);
        body.push_str(IMAGE_BEGINS);
        body.push_str("data:image/png;base64,");
        STANDARD.encode_string(&png.body, &mut body);
        body.push_str(r#""}"#);
        Ok(rendition(body))
    }

    fn make_png(self, scale: u8) -> Result<Rendition, ApiError> {
        Ok(rendition(render::png(&self.matrix()?, scale)))
    }
}

fn rendition(body: impl Into<Bytes>) -> Rendition {
    let body = body.into();
    let digest = STANDARD.encode(Sha256::digest(&body));
    Rendition { body, content_digest: Bytes::from(format!("sha-256=:{digest}:")) }
}
