//! `/v2/send/location`: a place.

use actix_web::HttpResponse;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Content, Over, Place, Words};

use super::accept::Form;
use super::document::Taken;

/// Sends a place.
///
/// Answered as `/v2/send/text` is.
#[utoipa::path(
    post, path = "/v2/send/location", tag = "Messages",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one message.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "To whom.", example = "201012345678@c.us"),
        ("latitude" = f64, Query, description = "Degrees north.", minimum = -90, maximum = 90, example = 30.0444),
        ("longitude" = f64, Query, description = "Degrees east.", minimum = -180, maximum = 180, example = 31.2357),
        ("name" = Option<String>, Query, description = "What the place is called.", max_length = 255,
            example = "Cairo"),
        ("address" = Option<String>, Query, description = "Where it is, in words.", max_length = 255,
            example = "Tahrir Square"),
        ("reply_to" = Option<String>, Query, description = "The id of the message that it answers.", max_length = 128,
            example = "3EB0C767D097B7C7C030"),
        ("participant" = Option<String>, Query, description = "Who wrote that message.", example = "201012345678@c.us"),
        ("from_me" = Option<bool>, Query, description = "Whether this account wrote it.", example = false),
        ("ttl" = Option<u32>, Query, description = "Seconds that it may wait to be sent.", minimum = 1, maximum = 86400,
            example = 3600),
        ("over" = Option<Over>, Query, description = "`refuse` or `queue`, should it be too fast.", example = "queue"),
    ),
    responses(Taken, EveryRoute, OfInstance, OfStatus, Conflicting),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn location(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let form = Form::read_with_reply(&call, &mut read);
    let chat = read.chat("chatId");
    let coordinates = read.decimal("latitude", -90.0..=90.0).zip(read.decimal("longitude", -180.0..=180.0));
    let (name, address) = (read.written("name", Words::line), read.written("address", Words::line));
    let place = coordinates.and_then(|(latitude, longitude)| match Place::new(latitude, longitude) {
        Ok(place) => Some(place.called(name, address)),
        Err(error) => read.wrong("latitude", &error.to_string()),
    });
    read.finish()?;
    let (chat, place) = chat.zip(place).expect("without them there was a problem");
    let asked = json!(place);
    form.send(&call, "send.location", (chat, asked), |quote| Content::Location { place, quote }).await
}
