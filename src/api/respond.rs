//! Answers that succeed.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use crate::domain::qr_code::{MAX_ATTEMPTS, QrCode, Rendition};

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("content-digest");
const X_QR_EXPIRES_AT: HeaderName = HeaderName::from_static("x-qr-expires-at");
const X_QR_ATTEMPT: HeaderName = HeaderName::from_static("x-qr-attempt");
const X_QR_MAX_ATTEMPTS: HeaderName = HeaderName::from_static("x-qr-max-attempts");

/// A JSON document.
pub(super) fn json(status: StatusCode, document: &impl Serialize) -> HttpResponse {
    let body = serde_json::to_vec(document).expect("our documents have no keys but text");
    HttpResponse::build(status).insert_header((CONTENT_TYPE, "application/json")).body(body)
}

/// `2026-11-24T21:00:00Z`
pub(super) fn time<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Secs, true))
}

/// One rendition of a code.
pub(super) fn code(code: &QrCode, content_type: &'static str, rendition: &Rendition) -> HttpResponse {
    let digest = HeaderValue::from_maybe_shared(rendition.content_digest.clone()).expect("base64 is visible ASCII");
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, HeaderValue::from_static(content_type)))
        .insert_header((CONTENT_DIGEST, digest))
        .insert_header((X_QR_EXPIRES_AT, code.expires_at_ms()))
        .insert_header((X_QR_ATTEMPT, code.attempt))
        .insert_header((X_QR_MAX_ATTEMPTS, MAX_ATTEMPTS))
        .body(rendition.body.clone())
}
