//! Who has a number, and where a picture is.

use std::collections::HashMap;

use wacore::iq::usync::{
    UsyncAddressingMode, UsyncContactResult, UsyncContext, UsyncMode, UsyncOutcome, UsyncProtocol, UsyncProtocolKind,
    UsyncProtocolResult, UsyncQuery, UsyncUser, UsyncUserResult,
};
use wacore::types::lid_pn::LearningSource;
use wacore_binary::Jid;
use whatsapp_rust::Client;

use crate::domain::chat_id::ChatId;
use crate::domain::contact::{NumberCheck, Person};
use crate::domain::phone_number::PhoneNumber;
use crate::engine::DirectoryError;

use super::{chat_id, failed, jid};

/// Who has these numbers.
///
/// Not the library's own check: it drops the number that WhatsApp repeats in each answer, by which alone an answer under
/// another spelling of the number is told from an answer about another number.
pub(super) async fn check(client: &Client, numbers: &[PhoneNumber]) -> Result<Vec<NumberCheck>, DirectoryError> {
    let protocols = vec![UsyncProtocol::Contact { addressing_mode: UsyncAddressingMode::Pn }, UsyncProtocol::Lid];
    let users = numbers.iter().map(|number| UsyncUser::from_phone(number.digits())).collect();
    let query = UsyncQuery::new(UsyncMode::Query, UsyncContext::Interactive, protocols, users);
    let query = query.map_err(|_| DirectoryError::Failed)?;
    let answer = client.query_usync(query).await.map_err(|error| failed(&error))?;
    if let Some(error) = answer.protocol_state(UsyncProtocolKind::Contact).and_then(|state| state.error.as_ref()) {
        return Err(refused(error.code));
    }
    let mut people = HashMap::new();
    for user in &answer.users {
        match contact(user) {
            Some(UsyncOutcome::Value(contact)) if contact.contact_type == "in" => {}
            Some(UsyncOutcome::Value(_)) | None => continue,
            // That nobody could look is not that nobody is there.
            Some(UsyncOutcome::Error(error)) => return Err(refused(error.code)),
        }
        learn(client, user).await;
        let Some(person) = Person::of(addresses(user).filter_map(chat_id)) else { continue };
        for name in names(user) {
            people.insert(name, person.clone());
        }
    }
    let checked = |number: &PhoneNumber| NumberCheck { number: *number, person: people.get(&number.digits()).cloned() };
    Ok(numbers.iter().map(checked).collect())
}

fn refused(code: Option<u16>) -> DirectoryError {
    code.map_or(DirectoryError::Failed, |code| DirectoryError::Refused { code })
}

fn contact(user: &UsyncUserResult) -> Option<&UsyncOutcome<UsyncContactResult>> {
    match user.protocol(UsyncProtocolKind::Contact) {
        Some(UsyncProtocolResult::Contact(outcome)) => Some(outcome),
        Some(_) | None => None,
    }
}

fn lid(user: &UsyncUserResult) -> Option<&Jid> {
    match user.protocol(UsyncProtocolKind::Lid) {
        Some(UsyncProtocolResult::Lid(UsyncOutcome::Value(lid))) => lid.as_ref(),
        Some(_) | None => None,
    }
}

/// Every address of a user.
fn addresses(user: &UsyncUserResult) -> impl Iterator<Item = &Jid> {
    [user.id.as_ref(), user.pn_jid.as_ref(), lid(user)].into_iter().flatten()
}

/// The numbers an answer is about: as it was asked for, and as WhatsApp writes it.
fn names(user: &UsyncUserResult) -> impl Iterator<Item = String> {
    let asked = contact(user).and_then(UsyncOutcome::value).and_then(|contact| contact.content.as_deref());
    let asked = asked.map(|number| number.trim_start_matches('+').to_owned());
    let written = addresses(user).filter(|jid| jid.is_pn()).map(|jid| jid.user.to_string());
    asked.into_iter().chain(written)
}

/// Lets the client remember which hidden id belongs to which number: it writes to people under that.
async fn learn(client: &Client, user: &UsyncUserResult) {
    let number = addresses(user).find(|jid| jid.is_pn());
    let lid = addresses(user).find(|jid| jid.is_lid());
    if let (Some(number), Some(lid)) = (number, lid) {
        // It learns it again with the first message; the library logs why it could not.
        let _ = client.add_lid_pn_mapping(&lid.user, &number.user, LearningSource::Usync).await;
    }
}

/// Where a picture is, full size.
pub(super) async fn picture(client: &Client, chat: &ChatId) -> Result<Option<String>, DirectoryError> {
    let found = client.contacts().get_profile_picture(&jid(chat), false).await;
    Ok(found.map_err(|error| failed(&error))?.map(|picture| picture.url))
}
