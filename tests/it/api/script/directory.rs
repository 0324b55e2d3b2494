//! People, chats and groups as a test wants them: one person, one group.

use wagate::api::directory::Directory;
use wagate::domain::chat_id::ChatId;
use wagate::domain::contact::{ChatMark, NumberCheck, Person};
use wagate::domain::group::{Change, Changed, Group, Member, Role};
use wagate::domain::instance::InstanceId;
use wagate::domain::phone_number::PhoneNumber;
use wagate::domain::session::Status;
use wagate::supervisor::{ClientRefusal, DirectoryRefusal};

use super::Script;

/// How WhatsApp refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    Code(u16),
    Silence,
    Nonsense,
}

/// The only number that somebody has.
pub(crate) const KNOWN: &str = "201012345678";

fn person() -> Person {
    Person::of([ChatId::Number(KNOWN.into()), ChatId::Lid("123456789012345".into())]).unwrap()
}

fn group(id: &ChatId, name: &str) -> Group {
    Group {
        id: id.clone(),
        name: name.to_owned(),
        description: None,
        owner: Some(person()),
        created_at: Some(chrono::DateTime::UNIX_EPOCH),
        only_admins_send: false,
        only_admins_edit: true,
        members: vec![Member { person: person(), role: Role::Superadmin }],
    }
}

fn tea() -> ChatId {
    ChatId::parse("120363025246125486@g.us").unwrap()
}

fn list(people: &[ChatId]) -> String {
    people.iter().map(ToString::to_string).collect::<Vec<_>>().join(",")
}

impl Script {
    fn asks(&self, id: InstanceId, what: &str) -> Result<(), DirectoryRefusal> {
        self.called(what);
        let view = self.found(id).map_err(ClientRefusal::from)?;
        if view.status != Status::Working {
            return Err(ClientRefusal::NotConnected { view: Box::new(view) }.into());
        }
        match *self.directory_refusal.lock() {
            None => Ok(()),
            Some(Refusal::Code(code)) => Err(DirectoryRefusal::Refused { code }),
            Some(Refusal::Silence) => Err(DirectoryRefusal::Unreachable),
            Some(Refusal::Nonsense) => Err(DirectoryRefusal::Failed),
        }
    }
}

#[async_trait::async_trait]
impl Directory for Script {
    async fn check_numbers(
        &self,
        id: InstanceId,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<NumberCheck>, DirectoryRefusal> {
        let asked: Vec<String> = numbers.iter().map(|number| number.digits()).collect();
        self.asks(id, &format!("check_numbers {}", asked.join(",")))?;
        let person = |number: &PhoneNumber| (number.digits() == KNOWN).then(person);
        Ok(numbers.iter().map(|number| NumberCheck { number: *number, person: person(number) }).collect())
    }

    async fn profile_picture(&self, id: InstanceId, chat: &ChatId) -> Result<Option<String>, DirectoryRefusal> {
        self.asks(id, &format!("profile_picture {chat}"))?;
        Ok((chat.to_string() == format!("{KNOWN}@c.us")).then(|| "https://pps.whatsapp.net/v/1.jpg".to_owned()))
    }

    async fn mark_chat(&self, id: InstanceId, chat: &ChatId, mark: ChatMark) -> Result<(), DirectoryRefusal> {
        self.asks(id, &format!("mark_chat {chat} {mark:?}"))
    }

    async fn groups(&self, id: InstanceId) -> Result<Vec<Group>, DirectoryRefusal> {
        self.asks(id, "groups")?;
        Ok(vec![group(&tea(), "Tea")])
    }

    async fn group(&self, id: InstanceId, asked: &ChatId) -> Result<Group, DirectoryRefusal> {
        self.asks(id, &format!("group {asked}"))?;
        Ok(group(asked, "Tea"))
    }

    async fn create_group(&self, id: InstanceId, name: &str, people: &[ChatId]) -> Result<Group, DirectoryRefusal> {
        self.asks(id, &format!("create_group {name} {}", list(people)))?;
        Ok(group(&tea(), name))
    }

    async fn invite_code(&self, id: InstanceId, group: &ChatId) -> Result<String, DirectoryRefusal> {
        self.asks(id, &format!("invite_code {group}"))?;
        Ok("old".to_owned())
    }

    async fn revoke_invite_code(&self, id: InstanceId, group: &ChatId) -> Result<String, DirectoryRefusal> {
        self.asks(id, &format!("revoke_invite_code {group}"))?;
        Ok("new".to_owned())
    }

    async fn change_members(
        &self,
        id: InstanceId,
        group: &ChatId,
        change: Change,
        people: &[ChatId],
    ) -> Result<Vec<Changed>, DirectoryRefusal> {
        self.asks(id, &format!("change_members {group} {change:?} {}", list(people)))?;
        let code = |person: &Person| if person.id.to_string().starts_with(KNOWN) { 200 } else { 403 };
        let people = people.iter().filter_map(|chat| Person::of([chat.clone()]));
        Ok(people.map(|person| Changed { code: code(&person), person }).collect())
    }

    async fn leave_group(&self, id: InstanceId, group: &ChatId) -> Result<(), DirectoryRefusal> {
        self.asks(id, &format!("leave_group {group}"))
    }
}
