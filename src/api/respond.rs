//! Answers that succeed.

use actix_web::http::StatusCode;
use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue, IF_NONE_MATCH};
use actix_web::{HttpRequest, HttpResponse};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

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

/// [`time`], or null.
#[expect(clippy::ref_option, reason = "serde asks for a reference")]
pub(super) fn maybe_time<S: Serializer>(moment: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match moment {
        Some(moment) => time(moment, serializer),
        None => serializer.serialize_none(),
    }
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

/// A body that only a new release changes.
pub(super) struct Cached {
    content_type: &'static str,
    body: Bytes,
    etag: HeaderValue,
}

impl Cached {
    pub(super) fn new(content_type: &'static str, body: Bytes) -> Self {
        let etag = format!("\"{}\"", URL_SAFE_NO_PAD.encode(&Sha256::digest(&body)[..16]));
        Self { content_type, body, etag: HeaderValue::try_from(etag).expect("base64 is visible ASCII") }
    }
}

/// Such a body, or 304 to who has it. It may be kept, but is asked for again: a new release must show at once.
pub(super) fn cached(request: &HttpRequest, cached: &Cached) -> HttpResponse {
    let known = request.headers().get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    let is_known = known.flat_map(|value| value.split(',')).any(|tag| {
        let tag = tag.trim();
        tag == "*" || tag.trim_start_matches("W/").as_bytes() == cached.etag.as_bytes()
    });
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((CACHE_CONTROL, "public, no-cache")).insert_header((ETAG, cached.etag.clone()));
    if is_known {
        return answer.finish();
    }
    answer.insert_header((CONTENT_TYPE, cached.content_type)).body(cached.body.clone())
}
