//! Groups, between the library's words and ours.

use chrono::DateTime;
use wacore_binary::Jid;
use whatsapp_rust::Client;
use whatsapp_rust::features::{
    GroupCreateOptions, GroupMetadata, GroupParticipant, GroupParticipantOptions, ParticipantChangeResponse,
    ParticipantType,
};

use crate::domain::chat_id::ChatId;
use crate::domain::contact::Person;
use crate::domain::group::{Change, Changed, Group, Member, Role};
use crate::engine::DirectoryError;

use super::{chat_id, failed, jid};

/// What WhatsApp's code is where it names none: it is done.
const DONE: u16 = 200;

/// The library gives an invite code as a link; what follows is the code.
const INVITE_LINK: &str = "https://chat.whatsapp.com/";

/// Every group the account is in, ordered by address: the library has them in a table without an order.
pub(super) async fn all(client: &Client) -> Result<Vec<Group>, DirectoryError> {
    let found = client.groups().get_participating().await.map_err(|error| failed(&error))?;
    let mut groups: Vec<Group> = found.into_values().filter_map(group).collect();
    groups.sort_by_cached_key(|group| group.id.to_string());
    Ok(groups)
}

pub(super) async fn one(client: &Client, id: &ChatId) -> Result<Group, DirectoryError> {
    let found = client.groups().get_metadata(&jid(id)).await.map_err(|error| failed(&error))?;
    group(found).ok_or(DirectoryError::Failed)
}

pub(super) async fn create(client: &Client, name: &str, people: &[ChatId]) -> Result<Group, DirectoryError> {
    let people = people.iter().map(|person| GroupParticipantOptions::new(jid(person))).collect();
    let options: GroupCreateOptions = GroupCreateOptions::builder().subject(name).participants(people).build();
    let made = client.groups().create_group(options).await.map_err(|error| failed(&error))?;
    group(made.metadata).ok_or(DirectoryError::Failed)
}

/// The code of a group; another one if it is `revoked`.
pub(super) async fn invite_code(client: &Client, group: &ChatId, revoked: bool) -> Result<String, DirectoryError> {
    let link = client.groups().get_invite_link(jid(group), revoked).await.map_err(|error| failed(&error))?;
    link.strip_prefix(INVITE_LINK).map(ToOwned::to_owned).ok_or(DirectoryError::Failed)
}

pub(super) async fn change(
    client: &Client,
    group: &ChatId,
    change: Change,
    people: &[ChatId],
) -> Result<Vec<Changed>, DirectoryError> {
    let people: Vec<Jid> = people.iter().map(jid).collect();
    let groups = client.groups();
    let changed = match change {
        Change::Add => groups.add_participants(jid(group), &people).await,
        Change::Remove => groups.remove_participants(jid(group), &people).await,
    };
    let changed = changed.map_err(|error| failed(&error))?;
    Ok(changed.iter().filter_map(outcome).collect())
}

pub(super) async fn leave(client: &Client, group: &ChatId) -> Result<(), DirectoryError> {
    client.groups().leave(jid(group)).await.map_err(|error| failed(&error))
}

fn outcome(response: &ParticipantChangeResponse) -> Option<Changed> {
    let addresses = [Some(&response.jid), response.phone_number.as_ref()];
    let person = Person::of(addresses.into_iter().flatten().filter_map(chat_id))?;
    let code = response.error.as_deref().map_or(DONE, |code| code.parse().unwrap_or_default());
    Some(Changed { person, code })
}

fn group(found: GroupMetadata) -> Option<Group> {
    let owner = [found.creator.as_ref(), found.creator_pn.as_ref()];
    Some(Group {
        id: chat_id(&found.id)?,
        name: found.subject,
        description: found.description,
        owner: Person::of(owner.into_iter().flatten().filter_map(chat_id)),
        created_at: found
            .creation_time
            .and_then(|seconds| i64::try_from(seconds).ok())
            .and_then(|seconds| DateTime::from_timestamp(seconds, 0)),
        only_admins_send: found.is_announcement,
        only_admins_edit: found.is_locked,
        members: found.participants.iter().filter_map(member).collect(),
    })
}

fn member(found: &GroupParticipant) -> Option<Member> {
    let addresses = [Some(&found.jid), found.phone_number.as_ref(), found.lid.as_ref()];
    let person = Person::of(addresses.into_iter().flatten().filter_map(chat_id))?;
    let role = match found.participant_type {
        ParticipantType::Member => Role::Member,
        ParticipantType::Admin => Role::Admin,
        ParticipantType::SuperAdmin => Role::Superadmin,
    };
    Some(Member { person, role })
}
