//! A group as answers tell of it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::contact;
use crate::domain::group::{self, Member};

/// A group.
#[derive(Serialize, ToSchema)]
#[schema(as = Group)]
pub(super) struct Document {
    #[schema(example = "120363025246125486@g.us")]
    id: String,
    #[schema(example = "Tea")]
    name: String,
    #[schema(required = true)]
    description: Option<String>,
    /// Who made it.
    #[schema(required = true)]
    owner: Option<Person>,
    #[schema(required = true, example = "2026-11-24T21:00:00Z")]
    created_at: Option<String>,
    /// Whether only admins may write.
    only_admins_send: bool,
    /// Whether only admins may change its name, picture and description.
    only_admins_edit: bool,
    /// How many are in it.
    size: usize,
    /// Who is in it; absent where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(required = false, nullable = false)]
    participants: Option<Vec<Participant>>,
}

/// Somebody, under each address that is known.
#[derive(Serialize, ToSchema)]
pub(super) struct Person {
    /// By number where that is known, else by linked id.
    #[schema(example = "201012345678@c.us")]
    id: String,
    #[schema(required = true, example = "123456789012345@lid")]
    lid: Option<String>,
}

/// Somebody in a group.
#[derive(Serialize, ToSchema)]
#[schema(as = GroupParticipant)]
struct Participant {
    #[serde(flatten)]
    person: Person,
    /// `member`, `admin` or `superadmin`.
    #[schema(value_type = String, example = "member")]
    role: &'static str,
}

impl Document {
    /// A group, with who is in it or without.
    pub(super) fn new(group: group::Group, with_participants: bool) -> Self {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Secs, true);
        Self {
            id: group.id.to_string(),
            name: group.name,
            description: group.description,
            owner: group.owner.map(Person::from),
            created_at: group.created_at.map(time),
            only_admins_send: group.only_admins_send,
            only_admins_edit: group.only_admins_edit,
            size: group.members.len(),
            participants: with_participants.then(|| group.members.into_iter().map(Participant::from).collect()),
        }
    }
}

impl From<contact::Person> for Person {
    fn from(person: contact::Person) -> Self {
        Self { id: person.id.to_string(), lid: person.lid.map(|lid| lid.to_string()) }
    }
}

impl From<Member> for Participant {
    fn from(member: Member) -> Self {
        Self { person: member.person.into(), role: member.role.as_str() }
    }
}
