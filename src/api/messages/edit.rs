//! `/v2/messages/edit`: other words for a text that was sent.

use actix_web::HttpResponse;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::api::send::{Form, Taken};
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Content, Over, Words};

/// Edits a text of this account.
///
/// WhatsApp shows an edit of a text that is 15 minutes old at most. Answered as `/v2/send/text` is; the id is the edit's own,
/// the message keeps its id.
#[utoipa::path(
    post, path = "/v2/messages/edit", tag = "Messages", operation_id = "edit_message",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one edit.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "The chat that the message is in.", example = "201012345678@c.us"),
        ("message_id" = String, Query, description = "The message.", max_length = 128, example = "3EB0C767D097B7C7C030"),
        ("message" = String, Query, description = "The text from now on.", min_length = 1, max_length = 4096,
            example = "Hello again!"),
        ("mentions" = Option<Vec<String>>, Query, description = "People who are mentioned.", max_items = 256,
            example = json!(["201012345678@c.us"])),
        ("ttl" = Option<u32>, Query, description = "Seconds that it may wait to be sent.", minimum = 1, maximum = 86400,
            example = 3600),
        ("over" = Option<Over>, Query, description = "`refuse` or `queue`, should it be too fast.", example = "queue"),
    ),
    responses(Taken, EveryRoute, OfInstance, OfStatus, Conflicting),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn edit(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let form = Form::read(&call, &mut read);
    let chat = read.chat("chatId");
    read.require("message_id");
    let target = read.message_id("message_id");
    let text = read.needed("message", Words::parse);
    let mentions = read.mentions();
    read.finish()?;
    let ((chat, target), text) = chat.zip(target).zip(text).expect("without them there was a problem");
    let asked = json!({ "target": target, "text": text, "mentions": mentions });
    form.send(&call, "messages.edit", (chat, asked), |_| Content::Edit { target, text, mentions }).await
}
