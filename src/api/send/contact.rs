//! `/v2/send/contact`: people's cards.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::api::openapi::answers::{Conflicting, EveryRoute, OfInstance, OfStatus};
use crate::domain::instance::InstanceId;
use crate::domain::outgoing::{Card, Content, MAX_CARDS, Over, Vcard, Words};
use crate::domain::phone_number::PhoneNumber;

use super::accept::Form;
use super::document::Taken;

/// Sends people's cards.
///
/// One card by `name` and `phone_number` or by `name` and `vcard`; several as `contacts`, each with these fields. Answered
/// as `/v2/send/text` is.
#[utoipa::path(
    post, path = "/v2/send/contact", tag = "Messages",
    params(
        ("Idempotency-Key" = Option<String>, Header, description = "Made up by the caller for this one message.",
            min_length = 1, max_length = 255, pattern = "^[!-~]+$", example = "b7f9d0c2-order-1042"),
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, description = "To whom.", example = "201012345678@c.us"),
        ("name" = Option<String>, Query, description = "The name on the card.", max_length = 255, example = "Jane Doe"),
        ("phone_number" = Option<String>, Query, description = "The number on it.", example = "+20 10 12345678"),
        ("organization" = Option<String>, Query, description = "Where that person works.", max_length = 255,
            example = "Example Shops"),
        ("vcard" = Option<String>, Query, description = "The card itself, instead of a number.", max_length = 4096,
            example = "BEGIN:VCARD\nVERSION:3.0\nFN:Jane Doe\nEND:VCARD"),
        ("contacts" = Option<Vec<Object>>, Query, description = "Several cards.", max_items = 20,
            example = json!([{"name": "Jane Doe", "phone_number": "+20 10 12345678"}])),
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
pub async fn contact(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let form = Form::read_with_reply(&call, &mut read);
    let chat = read.chat("chatId");
    let cards = cards(&mut read);
    read.finish()?;
    let (chat, cards) = chat.zip(cards).expect("without them there was a problem");
    let asked = json!(cards);
    form.send(&call, "send.contact", (chat, asked), |quote| Content::Contact { cards, quote }).await
}

fn cards(read: &mut Read<'_>) -> Option<Vec<Card>> {
    if let Some(contacts) = read.objects("contacts") {
        let cards: Option<Vec<Card>> = contacts.iter().map(of_object).collect();
        let cards = cards.filter(|cards| (1..=MAX_CARDS).contains(&cards.len()));
        return cards.or_else(|| {
            read.wrong(
                "contacts",
                &format!("must be 1 to {MAX_CARDS} objects with a name and a phone_number or a vcard"),
            )
        });
    }
    let name = read.needed("name", Words::line);
    let organization = read.written("organization", Words::line);
    let card = match read.written("vcard", Vcard::parse) {
        Some(vcard) => name.map(|name| Card::written(name, vcard)),
        None if read.is_given("vcard") => None,
        None => read
            .phone_number("phone_number")
            .zip(name)
            .map(|(number, name)| Card::of(name, number, organization.as_ref())),
    };
    card.map(|card| vec![card])
}

fn of_object(contact: &Map<String, Value>) -> Option<Card> {
    let field = |name: &str| contact.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
    let name = Words::line(field("name")?).ok()?;
    if let Some(vcard) = field("vcard") {
        return Vcard::parse(vcard).ok().map(|vcard| Card::written(name, vcard));
    }
    let organization = field("organization").map(Words::line).transpose().ok()?;
    Some(Card::of(name, PhoneNumber::parse(field("phone_number")?).ok()?, organization.as_ref()))
}
