//! `/health/live` and `/health/ready`: for those who start, stop and route to this process.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::respond;
use super::state::ApiState;

/// The process serves requests.
#[derive(Serialize, ToSchema)]
struct Live {
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
}

/// Whether sessions can be served.
#[derive(Serialize, ToSchema)]
struct Ready {
    /// `ok` or `unavailable`.
    #[schema(value_type = String, example = "ok")]
    status: &'static str,
    checks: Checks,
}

/// `ok` or `failing`, each.
#[derive(Serialize, ToSchema)]
struct Checks {
    #[schema(value_type = String, example = "ok")]
    database: &'static str,
    #[schema(value_type = String, example = "ok")]
    lease: &'static str,
    #[schema(value_type = String, example = "ok")]
    engine: &'static str,
}

/// Says that the process serves requests.
#[utoipa::path(
    get, path = "/health/live", tag = "Health", security(()),
    responses((status = 200, description = "It does.", body = Live)),
)]
pub async fn live() -> HttpResponse {
    respond::json(StatusCode::OK, &Live { status: "ok" })
}

/// Says whether sessions can be served.
///
/// They can if the database answers, this node's lease is held and the engine can start.
#[utoipa::path(
    get, path = "/health/ready", tag = "Health", security(()),
    responses(
        (status = 200, description = "They can.", body = Ready),
        (status = 503, description = "They cannot; `checks` names what fails.", body = Ready),
    ),
)]
#[tracing::instrument(skip_all)]
pub async fn ready(state: Data<ApiState>) -> HttpResponse {
    let database = state.ping().await.is_ok();
    let sessions = state.sessions.readiness();
    let word = |ok| if ok { "ok" } else { "failing" };
    let checks = Checks { database: word(database), lease: word(sessions.lease), engine: word(sessions.engine) };
    if database && sessions.lease && sessions.engine {
        respond::json(StatusCode::OK, &Ready { status: "ok", checks })
    } else {
        respond::json(StatusCode::SERVICE_UNAVAILABLE, &Ready { status: "unavailable", checks })
    }
}
