//! What the API tells, for a page.

use actix_web::HttpResponse;
use actix_web::body::to_bytes;
use actix_web::http::StatusCode;
use actix_web::http::header::LOCATION;
use askama::Template;
use serde::de::DeserializeOwned;

use crate::api::error::ApiError;
use crate::web::page;

/// A handler's document.
pub(super) async fn told<T: DeserializeOwned>(answer: Result<HttpResponse, ApiError>) -> Result<T, ApiError> {
    let body = to_bytes(answer?.into_body()).await.map_err(|error| ApiError::Internal(error.to_string().into()))?;
    serde_json::from_slice(&body).map_err(|error| ApiError::Internal(error.into()))
}

/// A page, or the way to the door for whoever is not signed in, or words for whatever else went wrong. Another node's
/// instance stays the error it is: the page is then that node's.
pub(super) fn shown(outcome: Result<HttpResponse, ApiError>) -> Result<HttpResponse, ApiError> {
    match outcome {
        Err(ApiError::Unauthorized) => Ok(to("/dashboard/sign-in")),
        Err(error @ (ApiError::SessionNotFound | ApiError::WebhookNotFound | ApiError::Parameters(_))) => {
            Ok(problem("Not found", &format!("{error} It may have been deleted."), StatusCode::NOT_FOUND))
        }
        Err(error @ (ApiError::RateLimited(_) | ApiError::Busy | ApiError::OwnerUnreachable)) => {
            Ok(problem("Please try again", &error.to_string(), error.status()))
        }
        other => other,
    }
}

/// Leads a browser on, by a GET.
pub(super) fn to(path: &'static str) -> HttpResponse {
    page::guard(HttpResponse::SeeOther().insert_header((LOCATION, path))).finish()
}

/// Draws a template.
pub(super) fn drawn(template: &impl Template) -> Result<HttpResponse, ApiError> {
    drawn_as(StatusCode::OK, template)
}

/// Draws a template that is no success.
pub(super) fn drawn_as(status: StatusCode, template: &impl Template) -> Result<HttpResponse, ApiError> {
    let text = template.render().map_err(|error| ApiError::Internal(error.into()))?;
    Ok(page::answer(status, text))
}

#[derive(Template)]
#[template(path = "dashboard/problem.html", config = ".askama.toml")]
struct Problem<'a> {
    title: &'a str,
    message: &'a str,
}

fn problem(title: &str, message: &str, status: StatusCode) -> HttpResponse {
    drawn_as(status, &Problem { title, message }).unwrap_or_else(|_| HttpResponse::new(status))
}
