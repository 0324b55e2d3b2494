//! `/dashboard/sign-out`: ends this session, another of the account's, or all of them.

use actix_web::HttpResponse;
use actix_web::http::header::{HeaderName, HeaderValue, SET_COOKIE};

use crate::api::dashboard::session;
use crate::api::error::ApiError;
use crate::api::extract::Call;

use super::told::{shown, to};

const CLEAR_SITE_DATA: HeaderName = HeaderName::from_static("clear-site-data");

/// Takes `session_id`, or `everywhere`, or neither.
pub(super) async fn sign_out(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(end(call).await)
}

async fn end(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let mut read = call.read();
    let other = read.uuid("session_id");
    let everywhere = read.boolean("everywhere").unwrap_or(false);
    read.finish()?;
    if let Some(id) = other {
        session::sign_out_other(&call, id).await?;
        return Ok(to("/dashboard/keys"));
    }
    if everywhere {
        session::sign_out_everywhere(&call).await?;
    } else {
        session::sign_out(&call).await?;
    }
    let mut answer = to("/dashboard/sign-in");
    answer.headers_mut().insert(SET_COOKIE, session::NO_COOKIE);
    // What a browser keeps of the pages to go back to them goes too.
    answer.headers_mut().insert(CLEAR_SITE_DATA, HeaderValue::from_static("\"cache\""));
    Ok(answer)
}
