//! `/v2/contacts/check`: whether numbers are on WhatsApp.

use std::num::NonZeroU32;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use crate::api::directory::refusal;
use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::api::openapi::answers::{EveryRoute, OfInstance, OfStatus};
use crate::api::respond;
use crate::domain::contact::NumberCheck;
use crate::domain::instance::InstanceId;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::token::Scope;

/// Numbers that one request may ask about.
const MAX_NUMBERS: usize = crate::config::MAX_LOOKUPS as usize;

/// What is known of a number.
#[derive(Serialize, ToSchema)]
#[schema(as = NumberCheck)]
struct Checked {
    /// The number that was asked about, digits only.
    #[schema(example = "201012345678")]
    phone: String,
    #[serde(rename = "numberExists")]
    number_exists: bool,
    /// Where messages go to; WhatsApp may write the number in another way than it was dialled.
    #[serde(rename = "chatId")]
    #[schema(required = true, example = "201012345678@c.us")]
    chat_id: Option<String>,
    /// The same person by the id that WhatsApp uses where it hides numbers.
    #[schema(required = true, example = "123456789012345@lid")]
    lid: Option<String>,
}

/// What is known of several.
#[derive(Serialize, ToSchema)]
#[schema(as = NumberChecks)]
struct Several {
    /// In the order they were asked about.
    results: Vec<Checked>,
}

/// What is known of the one, or of the several, that were asked about.
#[derive(Serialize, ToSchema)]
#[schema(as = NumbersChecked)]
#[serde(untagged)]
enum Answer {
    /// `phone`.
    One(Checked),
    /// `phones`.
    Several(Several),
}

/// What was asked about.
enum Asked {
    One(PhoneNumber),
    Several(Vec<PhoneNumber>),
}

impl Asked {
    fn numbers(&self) -> &[PhoneNumber] {
        match self {
            Self::One(number) => std::slice::from_ref(number),
            Self::Several(numbers) => numbers,
        }
    }
}

/// Tells whether a number is on WhatsApp.
///
/// One number as `phone`, or up to 50 as `phones`: then the answer is `{"results": […]}`, one for each in their order.
/// WhatsApp counts such questions and punishes whoever asks too many: each number is one of the limit `contacts` of the
/// instance.
#[utoipa::path(
    method(get, post), path = "/v2/contacts/check", tag = "Contacts", operation_id = "contacts_check",
    params(
        ("instance_id" = InstanceId, Query),
        ("phone" = Option<String>, Query, description =
            "A number: 7 to 15 digits with the country code first; a `+` and the usual separators may stand.",
            example = "+201012345678"),
        ("phones" = Option<Vec<String>>, Query, max_items = 50, description =
            "Several numbers instead, as a list or separated by commas: `201012345678,4915112345678`."),
    ),
    responses(
        (status = 200, description = "What is known of it.", body = Answer),
        EveryRoute, OfInstance, OfStatus,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn check(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let asked = asked(&mut read);
    read.finish()?;
    let asked = asked.expect("without numbers there was a problem");
    let id = call.instance(target, Scope::Read).await?;
    let count = u32::try_from(asked.numbers().len()).ok().and_then(NonZeroU32::new).unwrap_or(NonZeroU32::MIN);
    call.within_contact_limit(id, count)?;
    let checked = call.state.sessions.check_numbers(id, asked.numbers()).await;
    let mut results = checked.map_err(|error| refusal(error, call.state.clock.now()))?.into_iter().map(Checked::from);
    let answer = match (asked, results.next()) {
        (Asked::One(_), Some(checked)) => Answer::One(checked),
        (Asked::One(_) | Asked::Several(_), first) => {
            Answer::Several(Several { results: first.into_iter().chain(results).collect() })
        }
    };
    Ok(respond::json(StatusCode::OK, &answer))
}

fn asked(read: &mut Read<'_>) -> Option<Asked> {
    if !read.is_given("phones") {
        return read.phone_number("phone").map(Asked::One);
    }
    if read.is_given("phone") {
        return read.wrong("phone", "cannot be given beside phones");
    }
    read.phone_numbers("phones", MAX_NUMBERS).map(Asked::Several)
}

impl From<NumberCheck> for Checked {
    fn from(NumberCheck { number, person }: NumberCheck) -> Self {
        Self {
            phone: number.digits(),
            number_exists: person.is_some(),
            chat_id: person.as_ref().map(|person| person.id.to_string()),
            lid: person.and_then(|person| person.lid).map(|lid| lid.to_string()),
        }
    }
}
