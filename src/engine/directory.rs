//! What a client asks WhatsApp about people, chats and groups, and what it changes there.

use async_trait::async_trait;

use crate::domain::chat_id::ChatId;
use crate::domain::contact::{ChatMark, NumberCheck};
use crate::domain::group::{Change, Changed, Group};
use crate::domain::phone_number::PhoneNumber;

/// What a client asks WhatsApp about people, chats and groups, and what it changes there.
#[async_trait]
pub trait Directory: Send + Sync {
    /// Who has these numbers, in their order.
    async fn check_numbers(&self, numbers: &[PhoneNumber]) -> Result<Vec<NumberCheck>, DirectoryError>;

    /// Where the picture of a person or a group is, for some hours; `None` if there is none or it is not shown to this
    /// account.
    async fn profile_picture(&self, chat: &ChatId) -> Result<Option<String>, DirectoryError>;

    /// Marks a chat on every device of the account.
    async fn mark_chat(&self, chat: &ChatId, mark: ChatMark) -> Result<(), DirectoryError>;

    /// The groups the account is in.
    async fn groups(&self) -> Result<Vec<Group>, DirectoryError>;

    /// One of them.
    async fn group(&self, group: &ChatId) -> Result<Group, DirectoryError>;

    /// Makes a group with these people.
    async fn create_group(&self, name: &str, people: &[ChatId]) -> Result<Group, DirectoryError>;

    /// The code that lets people into a group.
    async fn invite_code(&self, group: &ChatId) -> Result<String, DirectoryError>;

    /// Makes the code good for nothing, and another.
    async fn revoke_invite_code(&self, group: &ChatId) -> Result<String, DirectoryError>;

    /// Adds people to a group or removes them; what became of each.
    async fn change_members(
        &self,
        group: &ChatId,
        change: Change,
        people: &[ChatId],
    ) -> Result<Vec<Changed>, DirectoryError>;

    /// Leaves a group.
    async fn leave_group(&self, group: &ChatId) -> Result<(), DirectoryError>;
}

/// Why WhatsApp did not do what was asked. Nothing in it quotes an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DirectoryError {
    /// WhatsApp answered with a refusal.
    #[error("WhatsApp refused with the code {code}")]
    Refused {
        /// WhatsApp's code; what it means depends on what was asked.
        code: u16,
    },
    /// WhatsApp did not answer in time, or the connection broke.
    #[error("WhatsApp did not answer")]
    Unreachable,
    /// The client could not ask, or could not make sense of the answer.
    #[error("the client could not ask or did not understand the answer")]
    Failed,
}
