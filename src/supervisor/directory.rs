//! What is asked and changed through an instance's client: people, chats, groups.

use crate::domain::chat_id::ChatId;
use crate::domain::contact::{ChatMark, NumberCheck};
use crate::domain::group::{Change, Changed, Group};
use crate::domain::instance::InstanceId;
use crate::domain::phone_number::PhoneNumber;
use crate::engine::DirectoryError;

use super::error::ClientRefusal;
use super::handle::Supervisor;

/// Why WhatsApp was not asked, or did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryRefusal {
    /// There is no client to ask with.
    #[error(transparent)]
    Client(#[from] ClientRefusal),
    /// WhatsApp answered with a refusal.
    #[error("WhatsApp refused with the code {code}")]
    Refused {
        /// WhatsApp's code; what it means depends on what was asked.
        code: u16,
    },
    /// WhatsApp did not answer. What was asked may have been done all the same.
    #[error("WhatsApp did not answer")]
    Unreachable,
    /// The client could not ask, or did not understand the answer.
    #[error("the client could not ask or did not understand the answer")]
    Failed,
}

impl From<DirectoryError> for DirectoryRefusal {
    fn from(error: DirectoryError) -> Self {
        match error {
            DirectoryError::Refused { code } => Self::Refused { code },
            DirectoryError::Unreachable => Self::Unreachable,
            DirectoryError::Failed => Self::Failed,
        }
    }
}

impl Supervisor {
    /// Who has these numbers, in their order.
    pub async fn check_numbers(
        &self,
        id: InstanceId,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<NumberCheck>, DirectoryRefusal> {
        Ok(self.client(id).await?.check_numbers(numbers).await?)
    }

    /// Where the picture of a person or a group is; `None` if there is none for this account.
    pub async fn profile_picture(&self, id: InstanceId, chat: &ChatId) -> Result<Option<String>, DirectoryRefusal> {
        Ok(self.client(id).await?.profile_picture(chat).await?)
    }

    /// Marks a chat on every device of the account.
    pub async fn mark_chat(&self, id: InstanceId, chat: &ChatId, mark: ChatMark) -> Result<(), DirectoryRefusal> {
        Ok(self.client(id).await?.mark_chat(chat, mark).await?)
    }

    /// The groups the instance's account is in.
    pub async fn groups(&self, id: InstanceId) -> Result<Vec<Group>, DirectoryRefusal> {
        Ok(self.client(id).await?.groups().await?)
    }

    /// One of them.
    pub async fn group(&self, id: InstanceId, group: &ChatId) -> Result<Group, DirectoryRefusal> {
        Ok(self.client(id).await?.group(group).await?)
    }

    /// Makes a group with these people.
    pub async fn create_group(&self, id: InstanceId, name: &str, people: &[ChatId]) -> Result<Group, DirectoryRefusal> {
        Ok(self.client(id).await?.create_group(name, people).await?)
    }

    /// The code that lets people into a group.
    pub async fn invite_code(&self, id: InstanceId, group: &ChatId) -> Result<String, DirectoryRefusal> {
        Ok(self.client(id).await?.invite_code(group).await?)
    }

    /// Makes the code good for nothing, and another.
    pub async fn revoke_invite_code(&self, id: InstanceId, group: &ChatId) -> Result<String, DirectoryRefusal> {
        Ok(self.client(id).await?.revoke_invite_code(group).await?)
    }

    /// Adds people to a group or removes them; what became of each.
    pub async fn change_members(
        &self,
        id: InstanceId,
        group: &ChatId,
        change: Change,
        people: &[ChatId],
    ) -> Result<Vec<Changed>, DirectoryRefusal> {
        Ok(self.client(id).await?.change_members(group, change, people).await?)
    }

    /// Leaves a group.
    pub async fn leave_group(&self, id: InstanceId, group: &ChatId) -> Result<(), DirectoryRefusal> {
        Ok(self.client(id).await?.leave_group(group).await?)
    }
}
