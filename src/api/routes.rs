//! Which route answers to which methods, in one table.

use actix_web::guard::{self, Guard};
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, web};

use super::error::ApiError;
use super::extract::drain;
use super::{auth, forward, health, session};

const READ: (&str, &[Method]) = ("GET, HEAD, POST", &[Method::GET, Method::HEAD, Method::POST]);
const CONTROL: (&str, &[Method]) = ("POST, GET", &[Method::POST, Method::GET]);
const POST: (&str, &[Method]) = ("POST", &[Method::POST]);
const DELETE: (&str, &[Method]) = ("DELETE, POST", &[Method::DELETE, Method::POST]);
const GET: (&str, &[Method]) = ("GET, HEAD", &[Method::GET, Method::HEAD]);

/// Adds every route to a scope that is already framed.
pub(super) fn add(config: &mut web::ServiceConfig) {
    config
        .service(route("/v2/auth/qr", READ, auth::qr::qr))
        .service(route("/v2/auth/qr-image", READ, auth::qr_image::qr_image))
        .service(route("/v2/auth/request-code", POST, auth::request_code::request_code))
        .service(route("/v2/auth/passkey", READ, auth::passkey::passkey))
        .service(route("/v2/session/create", POST, session::create::create))
        .service(route("/v2/session/list", READ, session::list::list))
        .service(route("/v2/session/info", READ, session::info::info))
        .service(route("/v2/session/start", CONTROL, session::start::start))
        .service(route("/v2/session/stop", CONTROL, session::stop::stop))
        .service(route("/v2/session/restart", CONTROL, session::restart::restart))
        .service(route("/v2/session/logout", POST, session::logout::logout))
        .service(route(forward::DELETE, DELETE, session::delete::delete));
    add_health(config);
}

/// Adds the health of the node, which both listeners tell.
pub(super) fn add_health(config: &mut web::ServiceConfig) {
    config.service(route("/health/live", GET, health::live)).service(route("/health/ready", GET, health::ready));
}

/// A resource that answers to `methods`, and to any other with 405.
fn route<F, Args>(path: &str, (allow, methods): (&'static str, &'static [Method]), handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    web::resource(path)
        .route(web::route().guard(any_of(methods)).to(handler))
        .default_service(web::to(move |payload: web::Payload| refuse(payload, ApiError::MethodNotAllowed { allow })))
}

fn any_of(methods: &'static [Method]) -> impl Guard {
    guard::fn_guard(move |context| methods.contains(&context.head().method))
}

/// What answers where there is no route.
pub(super) async fn no_route(_: HttpRequest, payload: web::Payload) -> Result<HttpResponse, ApiError> {
    refuse(payload, ApiError::NotFound).await
}

/// Refuses after the body was read, so that the connection lives on.
async fn refuse(payload: web::Payload, error: ApiError) -> Result<HttpResponse, ApiError> {
    // A body too large ends the connection as it would on any route, and is the clearer answer.
    drain(&mut payload.into_inner()).await?;
    Err(error)
}
