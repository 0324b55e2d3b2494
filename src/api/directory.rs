//! What the handlers ask of a session's WhatsApp client: people, chats, groups. It is a part of
//! [`Sessions`](super::sessions::Sessions), with a page of its own; so is why there is no answer.

use async_trait::async_trait;
use chrono::{DateTime, Utc};

use crate::domain::chat_id::ChatId;
use crate::domain::contact::{ChatMark, NumberCheck};
use crate::domain::group::{Change, Changed, Group};
use crate::domain::instance::InstanceId;
use crate::domain::phone_number::PhoneNumber;
use crate::domain::session::{Reason, SessionView, Status};
use crate::supervisor::{ClientRefusal, DirectoryRefusal, Supervisor};

use super::auth::retry_after;
use super::error::{ApiError, StatusMismatch};

type Answer<T> = Result<T, DirectoryRefusal>;

/// What a session's client asks and changes at WhatsApp; each method is [`Supervisor`]'s of that name.
#[async_trait]
pub trait Directory: Send + Sync + 'static {
    /// Who has these numbers, in their order.
    async fn check_numbers(&self, id: InstanceId, numbers: &[PhoneNumber]) -> Answer<Vec<NumberCheck>>;

    /// Where the picture of a person or a group is; `None` if there is none for this account.
    async fn profile_picture(&self, id: InstanceId, chat: &ChatId) -> Answer<Option<String>>;

    /// Marks a chat on every device of the account.
    async fn mark_chat(&self, id: InstanceId, chat: &ChatId, mark: ChatMark) -> Answer<()>;

    /// The groups the account is in.
    async fn groups(&self, id: InstanceId) -> Answer<Vec<Group>>;

    /// One of them.
    async fn group(&self, id: InstanceId, group: &ChatId) -> Answer<Group>;

    /// Makes a group with these people.
    async fn create_group(&self, id: InstanceId, name: &str, people: &[ChatId]) -> Answer<Group>;

    /// The code that lets people into a group.
    async fn invite_code(&self, id: InstanceId, group: &ChatId) -> Answer<String>;

    /// Makes the code good for nothing, and another.
    async fn revoke_invite_code(&self, id: InstanceId, group: &ChatId) -> Answer<String>;

    /// Adds people to a group or removes them; what became of each.
    async fn change_members(
        &self,
        id: InstanceId,
        group: &ChatId,
        change: Change,
        people: &[ChatId],
    ) -> Answer<Vec<Changed>>;

    /// Leaves a group.
    async fn leave_group(&self, id: InstanceId, group: &ChatId) -> Answer<()>;
}

#[async_trait]
impl Directory for Supervisor {
    async fn check_numbers(&self, id: InstanceId, numbers: &[PhoneNumber]) -> Answer<Vec<NumberCheck>> {
        Self::check_numbers(self, id, numbers).await
    }

    async fn profile_picture(&self, id: InstanceId, chat: &ChatId) -> Answer<Option<String>> {
        Self::profile_picture(self, id, chat).await
    }

    async fn mark_chat(&self, id: InstanceId, chat: &ChatId, mark: ChatMark) -> Answer<()> {
        Self::mark_chat(self, id, chat, mark).await
    }

    async fn groups(&self, id: InstanceId) -> Answer<Vec<Group>> {
        Self::groups(self, id).await
    }

    async fn group(&self, id: InstanceId, group: &ChatId) -> Answer<Group> {
        Self::group(self, id, group).await
    }

    async fn create_group(&self, id: InstanceId, name: &str, people: &[ChatId]) -> Answer<Group> {
        Self::create_group(self, id, name, people).await
    }

    async fn invite_code(&self, id: InstanceId, group: &ChatId) -> Answer<String> {
        Self::invite_code(self, id, group).await
    }

    async fn revoke_invite_code(&self, id: InstanceId, group: &ChatId) -> Answer<String> {
        Self::revoke_invite_code(self, id, group).await
    }

    async fn change_members(
        &self,
        id: InstanceId,
        group: &ChatId,
        change: Change,
        people: &[ChatId],
    ) -> Answer<Vec<Changed>> {
        Self::change_members(self, id, group, change, people).await
    }

    async fn leave_group(&self, id: InstanceId, group: &ChatId) -> Answer<()> {
        Self::leave_group(self, id, group).await
    }
}

/// WhatsApp's code that means the same whatever was asked.
const ASKED_TOO_OFTEN: u16 = 429;

/// Why a question about people or chats was not answered.
pub(super) fn refusal(refusal: DirectoryRefusal, now: DateTime<Utc>) -> ApiError {
    match refusal {
        DirectoryRefusal::Client(ClientRefusal::Supervisor(error)) => error.into(),
        DirectoryRefusal::Client(ClientRefusal::NotConnected { view }) => not_connected(&view, now),
        DirectoryRefusal::Refused { code: ASKED_TOO_OFTEN } => ApiError::UpstreamRateLimited,
        DirectoryRefusal::Refused { .. } => ApiError::UpstreamRefused { what: "to do what was asked" },
        DirectoryRefusal::Unreachable => ApiError::UpstreamTimeout,
        DirectoryRefusal::Failed => {
            ApiError::UpstreamRefused { what: "to do what was asked, or answered in words the gateway does not know" }
        }
    }
}

/// Why a question about one group was not answered.
pub(super) fn group_refusal(refused: DirectoryRefusal, now: DateTime<Utc>) -> ApiError {
    match refused {
        DirectoryRefusal::Refused { code: 401 | 403 } => ApiError::GroupForbidden,
        DirectoryRefusal::Refused { code: 404 | 410 } => ApiError::GroupNotFound,
        other @ (DirectoryRefusal::Client(_)
        | DirectoryRefusal::Refused { .. }
        | DirectoryRefusal::Unreachable
        | DirectoryRefusal::Failed) => refusal(other, now),
    }
}

/// The session has no connection. Time mends that where it is on its way, or was and has lost it.
fn not_connected(view: &SessionView, now: DateTime<Utc>) -> ApiError {
    let on_its_way = view.linked || view.reason == Some(Reason::Pairing);
    let recovering = on_its_way && view.recovering && view.status != Status::Stopped;
    ApiError::SessionStatus(StatusMismatch {
        code: "session_status_mismatch",
        instance_id: view.instance_id,
        status: view.status,
        expected: &[Status::Working],
        recovering,
        retry_after: recovering.then(|| retry_after(view, now)),
    })
}
