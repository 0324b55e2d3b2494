//! `/v2/session/rate-limit`: how fast an instance sends.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use chrono::TimeDelta;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance};
use crate::api::respond;
use crate::api::send::refusal;
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Over, Pace};
use crate::domain::token::Scope;
use crate::supervisor::PaceView;

/// How fast an instance sends.
#[derive(Serialize, ToSchema)]
#[schema(as = SendingPace)]
struct Document {
    /// Messages within any 60 seconds.
    #[schema(example = 60)]
    per_minute: u32,
    /// Messages within a day of UTC.
    #[schema(example = 10_000)]
    per_day: u32,
    /// Between two messages, in milliseconds.
    #[schema(example = 0)]
    pause_ms: i64,
    /// What becomes of a message that is faster, unless its sender says otherwise: `refuse` is 429 with `Retry-After`,
    /// `queue` lets it wait for its moment.
    over: Over,
    /// Messages that were given a moment of this day.
    #[schema(example = 12)]
    used_today: u32,
}

impl From<PaceView> for Document {
    fn from(PaceView { pace, today }: PaceView) -> Self {
        Self {
            per_minute: pace.per_minute,
            per_day: pace.per_day,
            pause_ms: pace.pause.num_milliseconds(),
            over: pace.over,
            used_today: today,
        }
    }
}

/// Tells how fast the instance sends.
#[utoipa::path(
    get, path = "/v2/session/rate-limit", tag = "Messages", operation_id = "show_rate_limit",
    params(("instance_id" = InstanceId, Query)),
    responses((status = 200, description = "The pace.", body = Document), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn show(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance(target, Scope::Read).await?;
    let pace = call.state.sessions.pace(id).await.map_err(|error| refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &Document::from(pace)))
}

/// Chooses how fast the instance sends.
///
/// What is not given stays as it is; messages that wait already keep their moment. WhatsApp has limits of its own, which it
/// does not publish: a new number that writes to many strangers is restricted within hours, at any pace.
#[utoipa::path(
    post, path = "/v2/session/rate-limit", tag = "Messages", operation_id = "change_rate_limit",
    params(
        ("instance_id" = InstanceId, Query),
        ("per_minute" = Option<u32>, Query, description = "Messages within any 60 seconds.", minimum = 1, maximum = 6000,
            example = 30),
        ("per_day" = Option<u32>, Query, description = "Messages within a day of UTC.", minimum = 1, maximum = 1_000_000,
            example = 1000),
        ("pause_ms" = Option<u32>, Query, description = "Between two messages, in milliseconds.", minimum = 0,
            maximum = 600_000, example = 500),
        ("over" = Option<Over>, Query, description = "`refuse` or `queue` what is faster.", example = "queue"),
    ),
    responses((status = 200, description = "The pace from now on.", body = Document), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn change(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let per_minute = read.integer("per_minute", Pace::PER_MINUTE);
    let per_day = read.integer("per_day", Pace::PER_DAY);
    let pause = read.integer("pause_ms", Pace::PAUSE_MS).map(|ms| TimeDelta::milliseconds(ms.into()));
    let over = read.over();
    read.finish()?;
    let id = call.instance(target, Scope::Control).await?;
    let refused = |error| refusal(error, call.state.clock.now());
    let PaceView { pace: old, .. } = call.state.sessions.pace(id).await.map_err(refused)?;
    let pace = Pace {
        per_minute: per_minute.unwrap_or(old.per_minute),
        per_day: per_day.unwrap_or(old.per_day),
        pause: pause.unwrap_or(old.pause),
        over: over.unwrap_or(old.over),
    };
    let changed = call.state.sessions.set_pace(id, pace).await.map_err(refused)?;
    Ok(respond::json(StatusCode::OK, &Document::from(changed)))
}
