//! `/v2/contacts/profile-picture`: where the picture of a person or a group is.

use std::num::NonZeroU32;

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

/// Where a picture is.
#[derive(Serialize, ToSchema)]
#[schema(as = ProfilePicture)]
struct Picture {
    /// At WhatsApp, for some hours, for whoever has the address. Null if there is none, or none for this account.
    #[schema(required = true, example = "https://pps.whatsapp.net/v/t61.24694-24/1234.jpg")]
    url: Option<String>,
}

/// Tells where the picture of a person or a group is.
///
/// `url` is null where there is none, and where privacy settings hide it: WhatsApp does not tell the two apart. One of the
/// limit `contacts` of the instance.
#[utoipa::path(
    method(get, post), path = "/v2/contacts/profile-picture", tag = "Contacts", operation_id = "profile_picture",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "A person's or a group's chat, or a phone number.",
            example = "201012345678@c.us"),
    ),
    responses((status = 200, description = "Where it is.", body = Picture), EveryRoute, OfInstance, OfStatus),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn profile_picture(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let chat = read.chat("chatId");
    read.finish()?;
    let chat = chat.expect("without a chat there was a problem");
    let id = call.instance(target, Scope::Read).await?;
    call.within_contact_limit(id, NonZeroU32::MIN)?;
    let found = call.state.sessions.profile_picture(id, &chat).await;
    let url = found.map_err(|error| refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &Picture { url }))
}
