//! `/v2/send/poll`: a question with answers to choose from.

use actix_web::HttpResponse;
use serde_json::json;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Content, MAX_OPTIONS, Over, Poll, Words};

use super::accept::{Form, secret};
use super::document::Taken;

/// Sends a poll.
///
/// Votes come as events. Answered as `/v2/send/text` is.
#[utoipa::path(
    post, path = "/v2/send/poll", tag = "Messages",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one message.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "To whom.", example = "201012345678@c.us"),
        ("question" = String, Query, description = "What is asked.", min_length = 1, max_length = 255,
            example = "When shall we deliver?"),
        ("options" = Vec<String>, Query, min_items = 2, max_items = 12, example = json!(["today", "tomorrow"]),
            description = "The answers, each another, of 100 characters at most; a list, or separated by commas."),
        ("selectable" = Option<u32>, Query, description = "How many may be chosen; 1 unless given.", minimum = 1,
            maximum = 12, example = 1),
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
pub async fn poll(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let form = Form::read_with_reply(&call, &mut read);
    let chat = read.chat("chatId");
    let question = read.needed("question", Words::line);
    let options = read.texts("options").and_then(|options| match Poll::answers(&options) {
        Ok(answers) => Some(answers),
        Err(error) => read.wrong("options", &error.to_string()),
    });
    let selectable = read.integer("selectable", 1..=u32::try_from(MAX_OPTIONS).unwrap_or(u32::MAX)).unwrap_or(1);
    let poll = question.zip(options).and_then(|(question, options)| match Poll::new(question, options, selectable) {
        Ok(poll) => Some(poll),
        Err(error) => read.wrong("selectable", &error.to_string()),
    });
    read.finish()?;
    let (chat, poll) = chat.zip(poll).expect("without them there was a problem");
    let (asked, secret) = (json!(poll), secret(&call));
    form.send(&call, "send.poll", (chat, asked), |quote| Content::Poll { poll, secret, quote }).await
}
