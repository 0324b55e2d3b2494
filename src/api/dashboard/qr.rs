//! `/api/qr` and `/api/v1/qr`: the code that signs a phone in to the dashboard, as PocketPaw's clients ask for it.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_TYPE, HeaderName};
use bytes::Bytes;
use futures_util::stream;

use crate::api::DASHBOARD;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::EveryRoute;
use crate::qr::Matrix;
use crate::qr::render::{DEFAULT_SCALE, png};

use super::pairing;

/// A picture that a page of another origin may not even show (the Fetch standard, 3.7).
const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");

/// Draws a QR code that signs a phone in to the dashboard.
///
/// It leads to a page that names the account and asks for a tap. The code is good for one sign-in within 60 seconds, and is
/// not a session itself. Needs the account's key as `Authorization: Bearer`, or the dashboard's session cookie.
#[utoipa::path(
    get, path = "/api/qr", tag = "Dashboard", operation_id = "sign_in_qr",
    responses((status = 200, description = "The picture.", body = Vec<u8>, content_type = "image/png"), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn qr(call: Call) -> Result<HttpResponse, ApiError> {
    answer(&call).await
}

/// The same as `/api/qr`.
#[utoipa::path(
    get, path = "/api/v1/qr", tag = "Dashboard", operation_id = "sign_in_qr_v1",
    responses((status = 200, description = "The picture.", body = Vec<u8>, content_type = "image/png"), EveryRoute),
)]
#[tracing::instrument(skip_all)]
pub async fn qr_v1(call: Call) -> Result<HttpResponse, ApiError> {
    answer(&call).await
}

async fn answer(call: &Call) -> Result<HttpResponse, ApiError> {
    call.read().finish()?;
    call.account_key()?;
    let mut response = HttpResponse::Ok();
    response.insert_header((CONTENT_TYPE, "image/png")).insert_header((RESOURCE_POLICY, "same-origin"));
    if call.is_head() {
        return Ok(response.finish());
    }
    let token = pairing::make(call).await?;
    // In the fragment, which browsers send to nobody: no proxy and no log on the way sees it.
    let address = format!("{}{DASHBOARD}/pair#token={}", call.state.public_url, token.expose());
    let matrix = Matrix::encode(&address).map_err(|error| ApiError::Internal(error.into()))?;
    let picture = Bytes::from(png(&matrix, DEFAULT_SCALE));
    Ok(response.streaming(stream::iter([Ok::<_, std::convert::Infallible>(picture)])))
}
