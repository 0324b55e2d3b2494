//! `/health/live` and `/health/ready`: for those who start, stop and route to this process.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;

use super::respond;
use super::state::ApiState;

#[derive(Serialize)]
struct Live {
    status: &'static str,
}

#[derive(Serialize)]
struct Ready {
    status: &'static str,
    checks: Checks,
}

#[derive(Serialize)]
struct Checks {
    database: &'static str,
    lease: &'static str,
    engine: &'static str,
}

/// 200 as long as the process serves requests.
pub async fn live() -> HttpResponse {
    respond::json(StatusCode::OK, &Live { status: "ok" })
}

/// 200 if sessions can be served: the database answers, this node's lease is held, the engine can start. Else 503,
/// naming what fails.
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
