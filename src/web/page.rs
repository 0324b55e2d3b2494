//! What the answer of every page carries: nothing but our own scripts and styles runs on it, no other page frames it, and
//! nobody keeps it.

use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use actix_web::{HttpResponse, HttpResponseBuilder};

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors";
const PERMISSIONS: &str = "camera=(), microphone=(), geolocation=(), payment=(), usb=()";
const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");
const OPENER_POLICY: HeaderName = HeaderName::from_static("cross-origin-opener-policy");

/// Puts the headers on.
pub(super) fn guard(answer: &mut HttpResponseBuilder) -> &mut HttpResponseBuilder {
    guard_framed_by(answer, &[])
}

/// Puts the headers on, for a page that these origins may frame.
fn guard_framed_by<'a>(answer: &'a mut HttpResponseBuilder, origins: &[&str]) -> &'a mut HttpResponseBuilder {
    if origins.is_empty() {
        answer.insert_header((CONTENT_SECURITY_POLICY, format!("{POLICY} 'none'")));
        answer.insert_header((X_FRAME_OPTIONS, "DENY"));
    } else {
        // Whoever knows no `frame-ancestors` has no header that could name several origins.
        answer.insert_header((CONTENT_SECURITY_POLICY, format!("{POLICY} {}", origins.join(" "))));
    }
    answer
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"))
        .insert_header((REFERRER_POLICY, "no-referrer"))
        .insert_header((PERMISSIONS_POLICY, PERMISSIONS))
        .insert_header((OPENER_POLICY, "same-origin"))
}

/// A page.
pub(super) fn answer(status: StatusCode, text: String) -> HttpResponse {
    guard(&mut HttpResponse::build(status)).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(text)
}

/// A page that these origins may frame.
pub(super) fn answer_framed_by(origins: &[&str], status: StatusCode, text: String) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    guard_framed_by(&mut answer, origins).insert_header((CONTENT_TYPE, "text/html; charset=utf-8")).body(text)
}
