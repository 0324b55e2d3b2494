//! `/v2/session/delete`: unlinks the device and erases everything of the instance. Its id is never issued again.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfInstance};
use crate::api::respond;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::audit::Action;

use super::logout::Unlinked;

/// What was erased.
#[derive(Serialize, ToSchema)]
struct Deleted {
    instance_id: InstanceId,
    #[serde(rename = "deleted")]
    erased: bool,
    #[serde(flatten)]
    unlinked: Unlinked,
}

/// Unlinks the device and erases everything of the instance.
///
/// Its id is never issued again. If WhatsApp cannot be reached it is 502 and nothing has changed, unless `force` is given.
#[utoipa::path(
    method(delete, post), path = "/v2/session/delete", tag = "Sessions",
    params(
        ("instance_id" = InstanceId, Query),
        ("force" = Option<bool>, Query, description = "Erase even if WhatsApp cannot be told.", example = false),
    ),
    responses((status = 200, description = "It is gone.", body = Deleted), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn delete(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let force = read.boolean("force").unwrap_or(false);
    read.finish()?;
    let id = call.instance(target, Scope::Control).await?;
    let outcome = call.state.sessions.delete(id, force).await?;
    call.state.forget(id);
    let mut conn = call.state.store.acquire().await?;
    call.record(&mut conn, Action::InstanceDeleted, id, json!({ "force": force })).await?;
    let unlinked = Unlinked::new(outcome.unlinked_at_whatsapp);
    Ok(respond::json(StatusCode::OK, &Deleted { instance_id: id, erased: true, unlinked }))
}
