//! `/v2/session/logout`: unlinks the device at WhatsApp and deletes its keys; id, name and settings stay.

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

use super::document::Info;
use super::temp_link::end_all;

/// The instance after its logout.
#[derive(Serialize, ToSchema)]
struct LoggedOut {
    #[serde(flatten)]
    info: Info,
    #[serde(flatten)]
    unlinked: Unlinked,
}

/// Whether WhatsApp knows.
#[derive(Serialize, ToSchema)]
pub(super) struct Unlinked {
    /// Whether the phone no longer lists the device.
    unlinked_at_whatsapp: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false)]
    message: Option<&'static str>,
}

impl Unlinked {
    pub(super) fn new(unlinked_at_whatsapp: bool) -> Self {
        let message = "Erased here only: WhatsApp could not be told, and the phone still lists the device. \
                       Remove it there under Linked devices.";
        Self { unlinked_at_whatsapp, message: (!unlinked_at_whatsapp).then_some(message) }
    }
}

/// Unlinks the device at WhatsApp and deletes its keys.
///
/// Id, name and settings stay. If WhatsApp cannot be reached it is 502 and nothing has changed, unless `force` is given:
/// then the keys are erased here, and the answer says that the phone still lists the device.
#[utoipa::path(
    post, path = "/v2/session/logout", tag = "Sessions",
    params(
        ("instance_id" = InstanceId, Query),
        ("force" = Option<bool>, Query, description = "Erase even if WhatsApp cannot be told.", example = false),
    ),
    responses((status = 200, description = "The instance after its logout.", body = LoggedOut), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn logout(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let force = read.boolean("force").unwrap_or(false);
    read.finish()?;
    let id = call.instance(target, Scope::Control).await?;
    let outcome = call.state.sessions.logout(id, force).await?;
    end_all(&call, id).await?;
    let mut conn = call.state.store.acquire().await?;
    call.record(&mut conn, Action::InstanceLoggedOut, id, json!({ "force": force })).await?;
    drop(conn);
    let info = Info::of(&call, outcome.view).await?;
    let unlinked = Unlinked::new(outcome.unlinked_at_whatsapp);
    Ok(respond::json(StatusCode::OK, &LoggedOut { info, unlinked }))
}
