//! `/dashboard/pair`: where a sign-in QR leads. The token stands in the fragment, which `pair.js` takes out of the history
//! before anything else; it comes here in bodies alone.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, SET_COOKIE};
use askama::Template;
use serde_json::{Value, json};

use crate::api::dashboard::{Guest, pairing};
use crate::api::error::ApiError;

use super::told::drawn;

#[derive(Template)]
#[template(path = "dashboard/pair.html", config = ".askama.toml")]
struct Pair;

/// The page; the same for everybody.
pub(super) async fn page(_: Guest) -> Result<HttpResponse, ApiError> {
    drawn(&Pair)
}

/// Names the account, and leaves the token as it is.
pub(super) async fn look(guest: Guest) -> Result<HttpResponse, ApiError> {
    let seen = pairing::look(&guest).await?;
    Ok(json_answer(&json!({ "account": seen.account_name, "expires_at": seen.expires_at.timestamp_millis() })))
}

/// Uses the token up and signs in.
pub(super) async fn redeem(guest: Guest) -> Result<HttpResponse, ApiError> {
    let begun = pairing::redeem(&guest).await?;
    let mut answer = json_answer(&json!({ "location": "/dashboard" }));
    answer.headers_mut().insert(SET_COOKIE, begun.cookie());
    Ok(answer)
}

fn json_answer(document: &Value) -> HttpResponse {
    HttpResponse::build(StatusCode::OK).insert_header((CONTENT_TYPE, "application/json")).body(document.to_string())
}
