//! What a client asks WhatsApp about people, chats and groups, and what it changes there.

use std::error::Error;
use std::future::Future;

use async_trait::async_trait;
use wacore_binary::Jid;
use whatsapp_rust::ErrorChainExt as _;

use crate::domain::chat_id::ChatId;
use crate::domain::contact::{ChatMark, NumberCheck};
use crate::domain::group::{Change, Changed, Group};
use crate::domain::phone_number::PhoneNumber;
use crate::engine::{Directory, DirectoryError};

use super::run::Run;

mod chats;
mod contacts;
mod groups;

#[async_trait]
impl Directory for Run {
    async fn check_numbers(&self, numbers: &[PhoneNumber]) -> Result<Vec<NumberCheck>, DirectoryError> {
        self.asked(contacts::check(&self.client, numbers)).await
    }

    async fn profile_picture(&self, chat: &ChatId) -> Result<Option<String>, DirectoryError> {
        self.asked(contacts::picture(&self.client, chat)).await
    }

    async fn mark_chat(&self, chat: &ChatId, mark: ChatMark) -> Result<(), DirectoryError> {
        // Boxed: it builds the patch anew as often as another device was faster.
        Box::pin(self.asked(chats::mark(&self.client, chat, mark, self.listener.now()))).await
    }

    async fn groups(&self) -> Result<Vec<Group>, DirectoryError> {
        self.asked(groups::all(&self.client)).await
    }

    async fn group(&self, group: &ChatId) -> Result<Group, DirectoryError> {
        self.asked(groups::one(&self.client, group)).await
    }

    async fn create_group(&self, name: &str, people: &[ChatId]) -> Result<Group, DirectoryError> {
        let made = self.asked(groups::create(&self.client, name, people)).await?;
        // The answer to a creation lists those too whom WhatsApp refused to add. The group itself does not; it exists
        // now, whether or not it can be looked at.
        Ok(self.group(&made.id).await.unwrap_or(made))
    }

    async fn invite_code(&self, group: &ChatId) -> Result<String, DirectoryError> {
        self.asked(groups::invite_code(&self.client, group, false)).await
    }

    async fn revoke_invite_code(&self, group: &ChatId) -> Result<String, DirectoryError> {
        self.asked(groups::invite_code(&self.client, group, true)).await
    }

    async fn change_members(
        &self,
        group: &ChatId,
        change: Change,
        people: &[ChatId],
    ) -> Result<Vec<Changed>, DirectoryError> {
        self.asked(groups::change(&self.client, group, change, people)).await
    }

    async fn leave_group(&self, group: &ChatId) -> Result<(), DirectoryError> {
        self.asked(groups::leave(&self.client, group)).await
    }
}

impl Run {
    /// Waits for an answer as long as the configuration allows.
    async fn asked<T>(
        &self,
        request: impl Future<Output = Result<T, DirectoryError>> + Send,
    ) -> Result<T, DirectoryError> {
        tokio::time::timeout(self.request_timeout, request).await.unwrap_or(Err(DirectoryError::Unreachable))
    }
}

/// A failure in the engine's words. The library's own words may quote stanzas, which hold addresses.
fn failed(error: &(impl Error + 'static)) -> DirectoryError {
    match error.server_rejection() {
        Some(rejection) => DirectoryError::Refused { code: rejection.code },
        None if error.is_timeout() || error.is_transport_unavailable() => DirectoryError::Unreachable,
        None => DirectoryError::Failed,
    }
}

/// The library's form of an address.
fn jid(chat: &ChatId) -> Jid {
    match chat {
        ChatId::Number(number) => Jid::pn(number.as_str()),
        ChatId::Lid(lid) => Jid::lid(lid.as_str()),
        ChatId::Group(group) => Jid::group(group.as_str()),
    }
}

/// Our form of an address, if it is a person's or a group's.
fn chat_id(jid: &Jid) -> Option<ChatId> {
    ChatId::parse(&jid.to_non_ad().to_string()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_the_same_in_both_forms() {
        for text in ["201012345678@c.us", "123456789012345@lid", "120363025246125486@g.us", "20101-1500000000@g.us"] {
            let chat = ChatId::parse(text).unwrap();
            assert_eq!(jid(&chat).to_string(), chat.jid());
            assert_eq!(chat_id(&jid(&chat)), Some(chat));
        }
    }

    #[test]
    fn a_device_s_address_is_its_account_s() {
        let device: Jid = "201012345678:4@s.whatsapp.net".parse().unwrap();
        assert_eq!(chat_id(&device), Some(ChatId::parse("201012345678").unwrap()));
        assert_eq!(chat_id(&"status@broadcast".parse().unwrap()), None);
    }
}
