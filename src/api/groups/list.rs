//! `/v2/groups`: the groups the instance is in.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::directory::refusal;
use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;

use super::document::Document;

/// The groups.
#[derive(Serialize, ToSchema)]
#[schema(as = Groups)]
struct Groups {
    /// Ordered by their ids.
    groups: Vec<Document>,
}

/// What may be left out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Excluded {
    Participants,
}

/// Lists the groups the instance is in.
///
/// WhatsApp gives all of them at once, and not often: keep what you were told.
#[utoipa::path(
    get, path = "/v2/groups", tag = "Groups", operation_id = "list_groups",
    params(
        ("instance_id" = InstanceId, Query),
        ("exclude" = Option<String>, Query, description = "`participants` leaves out who is in them.",
            example = "participants"),
    ),
    responses((status = 200, description = "The groups.", body = Groups), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn list(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let excluded = read.word("exclude", &[("participants", Excluded::Participants)]);
    read.finish()?;
    let id = call.instance(target, Scope::Read).await?;
    let found = call.state.sessions.groups(id).await;
    let found = found.map_err(|error| refusal(error, call.state.clock.now()))?;
    let groups = found.into_iter().map(|group| Document::new(group, excluded.is_none())).collect();
    Ok(respond::json(StatusCode::OK, &Groups { groups }))
}
