//! `/v2/send/text`: words.

use actix_web::HttpResponse;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Content, LinkPreview, Over, Words, first_link};
use crate::media::preview;

use super::accept::Form;
use super::document::Taken;

/// Sends a text.
///
/// 200 `sent` once WhatsApp's server has acknowledged it, within ten seconds; else 202 `queued`, and
/// `/v2/messages/{message_id}` and the events tell the rest. A linked instance that is reconnecting takes it as 202 too. The
/// message keeps its id, whatever happens; if the connection ends before WhatsApp answers, it is `unknown` until a late
/// answer or a receipt settles it, and is never sent again by itself. Messages of a chat are sent in the order they were
/// accepted.
#[utoipa::path(
    method(post, get), path = "/v2/send/text", tag = "Messages",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one message.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, example = "201012345678@c.us",
            description = "`…@c.us`, `…@s.whatsapp.net`, `…@lid`, `…@g.us`, or a phone number."),
        ("message" = String, Query, description = "The text.", min_length = 1, max_length = 4096, example = "Hello!"),
        ("reply_to" = Option<String>, Query, description = "The id of the message that it answers.", max_length = 128,
            example = "3EB0C767D097B7C7C030"),
        ("participant" = Option<String>, Query, example = "201012345678@c.us",
            description = "Who wrote the message named in `reply_to`: needed in a group, unless this gateway sent it."),
        ("from_me" = Option<bool>, Query, example = false,
            description = "Whether this account wrote it, on its phone or another device."),
        ("mentions" = Option<Vec<String>>, Query, max_items = 256, example = json!(["201012345678@c.us"]),
            description = "People who are mentioned; the text names each as `@201012345678`."),
        ("preview" = Option<bool>, Query, example = false,
            description = "Shows the title and description of the page that the first link of the text leads to. A page \
                that has not come within 5 s is left out, and the text is sent all the same."),
        ("ttl" = Option<u32>, Query, minimum = 1, maximum = 86400, example = 3600,
            description = "Seconds that it may wait to be sent; an hour unless configured otherwise."),
        ("over" = Option<Over>, Query, example = "queue",
            description = "`refuse` (429) or `queue`, should it be faster than the instance's pace."),
    ),
    responses(Taken, EveryRoute, OfInstance, OfStatus, Conflicting),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn text(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let form = Form::read_with_reply(&call, &mut read);
    let chat = read.chat("chatId");
    let text = read.needed("message", Words::parse);
    let mentions = read.mentions();
    let shows_preview = read.boolean("preview").unwrap_or_default();
    read.finish()?;
    let (chat, text) = chat.zip(text).expect("without them there was a problem");
    let asked = json!({ "text": text, "mentions": mentions, "preview": shows_preview });
    let link = first_link(text.as_str()).filter(|_| shows_preview).map(ToOwned::to_owned);
    let preview = async |_, _: &MessageId| Ok(preview(&call, link.as_deref()).await);
    let content = |preview, quote| Content::Text { text, quote, mentions, preview };
    form.send_prepared(&call, "send.text", (chat, asked), preview, content).await
}

/// What a message shows of the page it leads to. That a page cannot be had keeps no message back.
async fn preview(call: &Call, link: Option<&str>) -> Option<Box<LinkPreview>> {
    match preview::of(&call.state.fetcher, link?).await {
        Ok(preview) => preview.map(Box::new),
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a text is sent without a preview");
            None
        }
    }
}
