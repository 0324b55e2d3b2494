//! People as WhatsApp addresses them, and what it tells about a phone number.

use super::chat_id::ChatId;
use super::phone_number::PhoneNumber;

/// A person, under every address that is known of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// By phone number where that is known, else by linked id.
    pub id: ChatId,
    /// By linked id, where that is known.
    pub lid: Option<ChatId>,
}

impl Person {
    /// The person behind some addresses; `None` if none of them is a person's.
    pub fn of(addresses: impl IntoIterator<Item = ChatId>) -> Option<Self> {
        let (mut number, mut lid) = (None, None);
        for address in addresses {
            match address {
                ChatId::Number(_) => number = number.or(Some(address)),
                ChatId::Lid(_) => lid = lid.or(Some(address)),
                ChatId::Group(_) => {}
            }
        }
        Some(Self { id: number.or_else(|| lid.clone())?, lid })
    }
}

/// What WhatsApp says about a phone number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumberCheck {
    /// The number that was asked about.
    pub number: PhoneNumber,
    /// Who has it. WhatsApp may write the number in another way than it was dialled, as in Brazil and Mexico: what is
    /// told here is what messages go to.
    pub person: Option<Person>,
}

/// What is done to a chat in the list of chats; every device of the account shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChatMark {
    /// Its badge goes. The authors are told nothing.
    Read,
    /// It gets a badge without a number.
    Unread,
    /// It moves out of the list.
    Archived,
    /// It moves back.
    Unarchived,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(text: &str) -> ChatId {
        ChatId::parse(text).unwrap()
    }

    #[test]
    fn a_person_goes_by_number_where_it_is_known() {
        let both = Person::of([chat("123456@lid"), chat("4915112345678@c.us")]).unwrap();
        assert_eq!(both, Person { id: chat("4915112345678@c.us"), lid: Some(chat("123456@lid")) });
        let hidden = Person::of([chat("123456@lid")]).unwrap();
        assert_eq!(hidden, Person { id: chat("123456@lid"), lid: Some(chat("123456@lid")) });
        let open = Person::of([chat("4915112345678@c.us")]).unwrap();
        assert_eq!(open, Person { id: chat("4915112345678@c.us"), lid: None });
    }

    #[test]
    fn a_group_is_no_person() {
        assert_eq!(Person::of([chat("120363025246125486@g.us")]), None);
        assert_eq!(Person::of([]), None);
    }
}
