//! `/v2/chats`: marks on chats, which every device of the account shows. One file per operation.

pub mod archive;
pub mod read;
pub mod unarchive;
pub mod unread;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::directory::refusal;
use super::error::ApiError;
use super::extract::Call;
use super::respond;
use crate::domain::contact::ChatMark;
use crate::domain::token::Scope;

/// A chat and the mark it has now.
#[derive(Serialize, ToSchema)]
#[schema(as = MarkedChat)]
struct Marked {
    #[serde(rename = "chatId")]
    #[schema(example = "201012345678@c.us")]
    chat_id: String,
    /// `read`, `unread`, `archived` or `unarchived`.
    #[schema(value_type = String, example = "read")]
    mark: &'static str,
}

/// Marks the chat that a request names.
async fn mark(call: &Call, mark: ChatMark) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    let chat = read.chat("chatId");
    read.finish()?;
    let chat = chat.expect("without a chat there was a problem");
    let id = call.instance(target, Scope::Send).await?;
    let marked = call.state.sessions.mark_chat(id, &chat, mark).await;
    marked.map_err(|error| refusal(error, call.state.clock.now()))?;
    Ok(respond::json(StatusCode::OK, &Marked { chat_id: chat.to_string(), mark: word(mark) }))
}

fn word(mark: ChatMark) -> &'static str {
    match mark {
        ChatMark::Read => "read",
        ChatMark::Unread => "unread",
        ChatMark::Archived => "archived",
        ChatMark::Unarchived => "unarchived",
    }
}
