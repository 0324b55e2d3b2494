//! Cross-origin requests (the Fetch standard, 3.2): pages of the origins that accounts list may read the answers of the
//! public API, whichever account they ask about; their token decides that. All other pages get no header, and the browser
//! keeps the answer from them.
//!
//! Cookies are never meant: an answer names the one origin it is for and says nothing of credentials.

use std::collections::HashSet;

use actix_web::HttpResponse;
use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD, HeaderMap, HeaderValue,
    ORIGIN, VARY,
};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{HttpMessage, HttpRequest};
use parking_lot::RwLock;

use crate::domain::origin::Origin;
use crate::store::{Store, StoreError, account_origin};

use super::state::ApiState;

/// What a page may send: where tokens and ids stand, and what changes how a request is read.
const ALLOWED: &str = "authorization, x-api-key, access-token, x-instance-id, content-type, idempotency-key, \
                       last-event-id, x-request-id";

/// What a page may read beside the body.
const EXPOSED: &str = "content-digest, ratelimit, ratelimit-policy, retry-after, x-qr-attempt, x-qr-expires-at, \
                       x-qr-max-attempts, x-request-id";

/// Seconds for which a browser need not ask again: a release that allows more is then met soon enough.
const MAX_AGE: u32 = 600;

/// The origins that accounts list, as they stood when they were last read.
#[derive(Debug, Default)]
pub(crate) struct Origins {
    listed: RwLock<HashSet<Origin>>,
}

impl Origins {
    /// Reads them again.
    pub(crate) async fn refresh(&self, store: &Store) -> Result<(), StoreError> {
        let mut conn = store.acquire().await?;
        let listed = account_origin::all(&mut conn).await?.into_iter().collect();
        *self.listed.write() = listed;
        Ok(())
    }

    /// The origin of a request, if it is listed.
    fn of(&self, headers: &HeaderMap) -> Option<HeaderValue> {
        let mut given = headers.get_all(ORIGIN);
        let (origin, None) = (given.next()?, given.next()) else { return None };
        let listed = self.listed.read();
        // Most gateways serve no page at all; theirs need not be read.
        if listed.is_empty() {
            return None;
        }
        let parsed = Origin::parse(origin.to_str().ok()?).ok()?;
        listed.contains(&parsed).then(|| origin.clone())
    }
}

/// That a request's origin is listed; kept among its extensions.
#[derive(Clone)]
struct Listed;

/// Wraps the whole public API: what a page may read is said on every answer, errors too.
pub(super) async fn share(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, actix_web::Error> {
    let state = request.app_data::<Data<ApiState>>().expect("every route is configured with the state");
    let Some(origin) = state.origins.of(request.headers()) else { return next.call(request).await };
    request.extensions_mut().insert(Listed);
    let mut response = next.call(request).await?;
    let headers = response.headers_mut();
    headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, HeaderValue::from_static(EXPOSED));
    // An answer carried here from another node says so already.
    if !headers.get_all(VARY).any(|value| value == "Origin") {
        headers.append(VARY, HeaderValue::from_static("Origin"));
    }
    Ok(response)
}

/// The answer to a browser that asks what a page of a listed origin may do on a route with these methods; `None` for any
/// other request. It comes without a token, so nothing is looked up.
pub(super) fn preflight(request: &HttpRequest, methods: &'static str) -> Option<HttpResponse> {
    let asks = request.method() == Method::OPTIONS && request.headers().contains_key(ACCESS_CONTROL_REQUEST_METHOD);
    (asks && request.extensions().get::<Listed>().is_some()).then(|| {
        HttpResponse::NoContent()
            .insert_header((ACCESS_CONTROL_ALLOW_METHODS, methods))
            .insert_header((ACCESS_CONTROL_ALLOW_HEADERS, ALLOWED))
            .insert_header((ACCESS_CONTROL_MAX_AGE, MAX_AGE))
            .finish()
    })
}
