//! `/dashboard/sign-in`: the door.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::SET_COOKIE;
use askama::Template;

use crate::api::dashboard::{Guest, session};
use crate::api::error::ApiError;

use super::told::{drawn_as, to};

#[derive(Template)]
#[template(path = "dashboard/sign_in.html", config = ".askama.toml")]
struct Door {
    problem: Option<String>,
    keeps_cookies: bool,
    /// What the account is called that may be entered without a key.
    at_home: Option<String>,
}

/// The form. A cookie that opened nothing is taken back, so that it is not tried again.
pub(super) async fn page(guest: Guest) -> Result<HttpResponse, ApiError> {
    let mut answer = door(&guest, StatusCode::OK, None).await?;
    if guest.has_cookie() && !guest.is_signed_in().await {
        answer.headers_mut().insert(SET_COOKIE, session::NO_COOKIE);
    }
    Ok(answer)
}

/// Takes a key.
pub(super) async fn sign_in(guest: Guest) -> Result<HttpResponse, ApiError> {
    answered(&guest, session::sign_in(&guest).await).await
}

/// Takes none, where the operator allows it.
pub(super) async fn sign_in_at_home(guest: Guest) -> Result<HttpResponse, ApiError> {
    answered(&guest, session::sign_in_at_home(&guest).await).await
}

async fn answered(guest: &Guest, outcome: Result<session::Begun, ApiError>) -> Result<HttpResponse, ApiError> {
    let problem = match outcome {
        Ok(begun) => {
            let mut answer = to("/dashboard");
            answer.headers_mut().insert(SET_COOKIE, begun.cookie());
            return Ok(answer);
        }
        Err(ApiError::Unauthorized) => {
            "This key opens nothing. It must be an account's own (wga_…), whole, and neither expired nor revoked."
                .to_owned()
        }
        Err(error @ (ApiError::RateLimited(_) | ApiError::Busy)) => error.to_string(),
        Err(error) => return Err(error),
    };
    door(guest, StatusCode::UNAUTHORIZED, Some(problem)).await
}

async fn door(guest: &Guest, status: StatusCode, problem: Option<String>) -> Result<HttpResponse, ApiError> {
    let at_home = guest.at_home().await?.map(|(_, name)| name);
    let keeps_cookies = guest.state.own_pages.keep_cookies();
    drawn_as(status, &Door { problem, keeps_cookies, at_home })
}
