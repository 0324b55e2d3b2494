//! Groups: what they are, who is in them, and what became of a change to that.

use std::fmt;

use chrono::{DateTime, Utc};

use super::chat_id::ChatId;
use super::contact::Person;

/// Characters of a group's name at most; WhatsApp refuses longer ones.
pub const MAX_NAME: usize = 100;

/// Members that one request may name.
pub const MAX_NAMED: usize = 256;

/// A group as WhatsApp tells of it to one who is in it. Its name and description are other people's words:
/// [`fmt::Debug`] shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct Group {
    /// Its address.
    pub id: ChatId,
    /// Its name.
    pub name: String,
    /// What its admins say about it.
    pub description: Option<String>,
    /// Who made it.
    pub owner: Option<Person>,
    /// When.
    pub created_at: Option<DateTime<Utc>>,
    /// Whether only admins may write.
    pub only_admins_send: bool,
    /// Whether only admins may change its name, picture and description.
    pub only_admins_edit: bool,
    /// Who is in it.
    pub members: Vec<Member>,
}

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Group").field("members", &self.members.len()).finish_non_exhaustive()
    }
}

/// Somebody in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub person: Person,
    /// What they may do.
    pub role: Role,
}

/// What a member of a group may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Write, where not only admins may.
    Member,
    /// Change the group and who is in it.
    Admin,
    /// The same, and no other admin can take it away: who made the group.
    Superadmin,
}

impl Role {
    /// WhatsApp's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Admin => "admin",
            Self::Superadmin => "superadmin",
        }
    }
}

/// A change to who is in a group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// They join.
    Add,
    /// They are removed.
    Remove,
}

/// What became of a change for one person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// Who.
    pub person: Person,
    /// WhatsApp's code: 200, or why not.
    pub code: u16,
}

/// What WhatsApp's code for one person means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// Their privacy settings let nobody, or not this account, add them: send them the invite code.
    InviteOnly,
    /// They left a short while ago: only they themselves can come back, by the invite code.
    LeftRecently,
    /// They are in the group already.
    AlreadyMember,
    /// Adding: the number is not on WhatsApp. Removing: they are not in the group.
    NotFound,
    /// The group is full.
    Full,
    /// They have blocked the account, or are above it in the group.
    NotAllowed,
    /// WhatsApp refused for a reason that has no name here.
    Refused,
}

impl Changed {
    /// What the code means.
    pub fn outcome(&self) -> Outcome {
        match self.code {
            200 => Outcome::Done,
            401 => Outcome::NotAllowed,
            403 => Outcome::InviteOnly,
            404 => Outcome::NotFound,
            408 => Outcome::LeftRecently,
            409 => Outcome::AlreadyMember,
            419 | 500 => Outcome::Full,
            _ => Outcome::Refused,
        }
    }
}

impl Outcome {
    /// Its word in an answer.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::InviteOnly => "invite_only",
            Self::LeftRecently => "left_recently",
            Self::AlreadyMember => "already_member",
            Self::NotFound => "not_found",
            Self::Full => "group_full",
            Self::NotAllowed => "not_allowed",
            Self::Refused => "refused",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_no_words_of_a_group() {
        let group = Group {
            id: ChatId::parse("120363025246125486@g.us").unwrap(),
            name: "Surprise party".into(),
            description: Some("for Nadia".into()),
            owner: None,
            created_at: None,
            only_admins_send: false,
            only_admins_edit: false,
            members: Vec::new(),
        };
        assert_eq!(format!("{group:?}"), "Group { members: 0, .. }");
    }

    #[test]
    fn a_code_nobody_knows_is_a_refusal() {
        let person = Person::of([ChatId::parse("4915112345678").unwrap()]).unwrap();
        let outcome = |code| Changed { person: person.clone(), code }.outcome();
        assert_eq!(outcome(200), Outcome::Done);
        assert_eq!(outcome(403), Outcome::InviteOnly);
        assert_eq!(outcome(777), Outcome::Refused);
    }
}
