//! `/v2/contacts/erase`: removes what is stored of a contact, or of a group.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::api::openapi::answers::{EveryRoute, OfInstance};
use crate::api::respond;
use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::store::audit::Action;
use crate::store::{StoreError, event, message_reference, outbound};

/// The longest spelling of a chat that makes sense.
const LONGEST: usize = 64;

/// How much there was to erase.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Erased {
    /// Events whose content is gone. Their numbers stay.
    #[schema(example = 42)]
    events: u64,
    /// Files and polls that can no longer be fetched or read.
    #[schema(example = 3)]
    references: u64,
    /// Messages that were sent to the chat, or waited to be: those are not sent any more.
    #[schema(example = 7)]
    messages: u64,
}

/// Erases what is stored of a contact.
///
/// The events of the chat keep their numbers and lose their content: whoever reads them later, a replay included, is told
/// `payload: null`. A person is erased under the phone number and the LID, where both are known. What somebody wrote in a
/// group goes with the group's chat id. Asked again, there is nothing left to erase. What comes in afterwards is stored.
#[utoipa::path(
    post, path = "/v2/contacts/erase", tag = "Contacts", operation_id = "erase_contact",
    params(
        ("instance_id" = InstanceId, Query),
        ("chatId" = String, Query, example = "201012345678@c.us",
            description = "A person's or a group's chat id, or a phone number."),
    ),
    responses((status = 200, description = "What there was is erased.", body = Erased), EveryRoute, OfInstance),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn erase(call: Call) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let chat = chat(&mut read);
    read.finish()?;
    let id = call.instance(target, Scope::Control).await?;
    let chat = chat.ok_or(ApiError::NotFound)?;
    let addresses = call.state.sessions.addresses(id, &chat).await?;
    let erased = erase_each(&call, id, &addresses).await?;
    Ok(respond::json(StatusCode::OK, &erased))
}

fn chat(read: &mut Read<'_>) -> Option<ChatId> {
    read.require("chatId");
    let text = read.text("chatId", LONGEST)?;
    ChatId::parse(text).map_err(|error| read.wrong::<ChatId>("chatId", &format!("is no chat id: {error}"))).ok()
}

/// All of it, and the note of who did it, or nothing. Not under the lease: what is erased is written by nobody.
async fn erase_each(call: &Call, id: InstanceId, addresses: &[ChatId]) -> Result<Erased, ApiError> {
    let mut tx = call.state.store.begin().await?;
    let cipher = call.state.vault.cipher(&mut tx, id).await?;
    let mut erased = Erased::default();
    for chat in addresses {
        erased.events += event::erase_chat(&mut tx, &cipher, id, chat).await?;
        erased.references += message_reference::erase_chat(&mut tx, &cipher, id, chat).await?;
        erased.messages += outbound::erase_chat(&mut tx, &cipher, id, chat).await?;
    }
    let detail = json!({ "events": erased.events, "references": erased.references, "messages": erased.messages });
    call.record(&mut tx, Action::ContactErased, id, detail).await?;
    tx.commit().await.map_err(StoreError::while_("commit the erasure of a contact"))?;
    Ok(erased)
}
