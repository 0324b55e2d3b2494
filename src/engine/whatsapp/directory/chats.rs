//! Marks on chats. They are app state: encrypted changes that every device of the account, the phone too, applies.

use chrono::{DateTime, Utc};
use whatsapp_rust::Client;
use whatsapp_rust::features::message_range;

use crate::domain::chat_id::ChatId;
use crate::domain::contact::ChatMark;
use crate::engine::DirectoryError;

use super::{failed, jid};

/// Marks a chat.
///
/// A mark says up to which message it holds, so that one which another device has received meanwhile is not swallowed.
/// This client keeps no messages, so it says: up to now.
pub(super) async fn mark(
    client: &Client,
    chat: &ChatId,
    mark: ChatMark,
    now: DateTime<Utc>,
) -> Result<(), DirectoryError> {
    let actions = client.chat_actions();
    let chat = jid(chat);
    let range = Some(message_range(now.timestamp(), None, Vec::new()));
    let marked = match mark {
        ChatMark::Read => actions.mark_chat_as_read(&chat, true, range).await,
        ChatMark::Unread => actions.mark_chat_as_read(&chat, false, range).await,
        ChatMark::Archived => actions.archive_chat(&chat, range).await,
        ChatMark::Unarchived => actions.unarchive_chat(&chat, range).await,
    };
    marked.map_err(|error| failed(&error))
}
