//! The frame around every answer: the request's id, the headers each answer carries, and the rendering of errors, in the
//! form the client would rather have. Where another node owns the instance, the answer is that node's
//! ([`super::forward`]).
//!
//! An error is rendered here and not where it arises, because its body names the request; a failure of ours is logged
//! here, once, with that name. Logs name the matched route: a URI may hold a token.

use std::error::Error;
use std::fmt::Write as _;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    self, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, REFERRER_POLICY,
    RETRY_AFTER, VARY, WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest, HttpResponse};

use crate::domain::token::TokenKind;
use crate::limit::Standing;

use super::error::{ApiError, ErrorBody, Rendering};
use super::extract::Accept;
use super::forward;
use super::routes::matched;
use super::state::ApiState;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// Wraps every route.
pub(super) async fn frame(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse, actix_web::Error> {
    let state = request.app_data::<Data<ApiState>>().cloned().expect("every route is configured with the state");
    let id = given_id(request.headers()).unwrap_or_else(|| state.uuid().to_string());
    let began = state.ticks.elapsed();
    let (request, response) = next.call(request).await?.map_into_boxed_body().into_parts();
    let mut response = match response.error().map(|error| error.as_error::<ApiError>()) {
        None => response,
        Some(Some(ApiError::Elsewhere { addr })) => {
            let answer = forward::answer(&state, &request, addr, &id).await;
            answer.unwrap_or_else(|error| render(&state, &request, &error, &id))
        }
        Some(Some(error)) => render(&state, &request, error, &id),
        Some(None) => render(&state, &request, &frameworks(response.status()), &id),
    };
    let standing = request.extensions().get::<Standing>().copied();
    common_headers(response.headers_mut(), &id, standing);
    let took = state.ticks.elapsed().saturating_sub(began);
    state.meter.answered(matched(&request), request.method().as_str(), response.status().as_u16(), took);
    Ok(ServiceResponse::new(request, response))
}

/// The caller's own `X-Request-Id`, if it is a short word that cannot be mistaken for a token.
fn given_id(headers: &HeaderMap) -> Option<String> {
    let id = headers.get(&X_REQUEST_ID)?.to_str().ok()?;
    let sane = (1..=64).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
        && !TokenKind::ALL.iter().any(|kind| id.contains(kind.prefix()));
    sane.then(|| id.to_owned())
}

/// The framework's own error, of which a client is told what its status says; one that only a defect of ours can raise, a
/// broken extractor for example, is that.
fn frameworks(status: StatusCode) -> ApiError {
    match status {
        StatusCode::NOT_FOUND => ApiError::NotFound,
        StatusCode::REQUEST_TIMEOUT => ApiError::BodyTimeout,
        StatusCode::PAYLOAD_TOO_LARGE => ApiError::BodyTooLarge,
        StatusCode::UNSUPPORTED_MEDIA_TYPE => ApiError::UnsupportedMediaType,
        StatusCode::BAD_REQUEST => ApiError::MalformedBody("it could not be read"),
        _ => ApiError::Internal(format!("the framework refused the request with {status}").into()),
    }
}

fn render(state: &ApiState, request: &HttpRequest, error: &ApiError, id: &str) -> HttpResponse {
    let route = || request.match_pattern().unwrap_or_default();
    match error {
        ApiError::Internal(_) => {
            tracing::error!(request.id = %id, http.route = %route(), error = %chain(error), "a request failed");
        }
        ApiError::DatabaseUnavailable(_) => {
            state.store.doubt();
            tracing::warn!(request.id = %id, http.route = %route(), error = %chain(error), "the database went away");
        }
        _ => {}
    }
    let rendering = Rendering::chosen_by(&Accept::of(request.headers()));
    let mut answer = HttpResponse::build(error.status());
    answer.insert_header((CONTENT_TYPE, rendering.content_type())).insert_header((VARY, "Accept"));
    if rendering == Rendering::Html {
        // Were there ever anything in the page that is not text, a browser would still leave it alone.
        answer.insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"));
    }
    if let Some(seconds) = error.retry_after() {
        answer.insert_header((RETRY_AFTER, seconds));
    }
    match error {
        ApiError::Unauthorized => {
            answer.insert_header((WWW_AUTHENTICATE, "Bearer"));
        }
        ApiError::MethodNotAllowed { allow } => {
            answer.insert_header((header::ALLOW, *allow));
        }
        ApiError::RangeNotSatisfiable { length } => {
            answer.insert_header((header::CONTENT_RANGE, format!("bytes */{length}")));
        }
        _ => {}
    }
    if error.closes_connection() {
        answer.force_close();
    }
    answer.body(rendering.write(&ErrorBody::new(error, id)))
}

fn common_headers(headers: &mut HeaderMap, id: &str, standing: Option<Standing>) {
    // What is the same for everybody says itself how long it may be kept.
    if !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(X_REQUEST_ID, HeaderValue::from_str(id).expect("an id is made of visible ASCII"));
    // The owner of an instance has told of the limit that was nearest; ours does not replace it.
    if let Some(standing) = standing.filter(|_| !headers.contains_key(&RATE_LIMIT)) {
        let value = |text: String| HeaderValue::try_from(text).expect("names and numbers are visible ASCII");
        headers.insert(RATE_LIMIT_POLICY, value(standing.policy_header()));
        headers.insert(RATE_LIMIT, value(standing.header()));
    }
}

/// An error and what it comes from, on one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let _ = write!(text, ": {cause}");
        source = cause.source();
    }
    text
}
