//! Who is who: WhatsApp names people by phone number or by linked id (LID), and accounts are told both where both are
//! known.

use wacore_binary::{Jid, JidExt as _};
use whatsapp_rust::Client;

use crate::domain::chat_id::ChatId;
use crate::domain::payload::Party;

/// Somebody or a group, by every address that is known; `alternative` is what the stanza itself gave beside `jid`.
pub(super) async fn party(client: &Client, jid: &Jid, alternative: Option<&Jid>) -> Party {
    if jid.is_group() {
        return Party { group: Some(format!("{}@g.us", jid.user)), ..Party::default() };
    }
    let mut party = Party::default();
    for jid in std::iter::once(jid).chain(alternative) {
        if jid.server.is_pn_family() {
            party.phone = Some(phone(&jid.user));
        } else if jid.server.is_lid_family() {
            party.lid = Some(lid(&jid.user));
        }
    }
    if party.phone.is_none() != party.lid.is_none() {
        // What is not known is left out; a storage that does not answer is no reason to tell nothing.
        if let Ok(Some(entry)) = client.get_lid_pn_entry(&jid.to_non_ad()).await {
            party.phone = Some(phone(&entry.phone_number));
            party.lid = Some(lid(&entry.lid));
        }
    }
    party
}

/// This account.
pub(super) fn oneself(client: &Client) -> Party {
    Party { phone: client.pn().map(|jid| phone(&jid.user)), lid: client.lid().map(|jid| lid(&jid.user)), group: None }
}

/// The address somebody is called by, given as WhatsApp gave it in a message; as it is if it makes no sense.
pub(super) async fn called(client: &Client, address: &str) -> String {
    let Ok(jid) = address.parse::<Jid>() else { return address.to_owned() };
    address_of(&party(client, &jid, None).await, &jid)
}

/// The address a party is called by; bots and other strangers by WhatsApp's own address.
pub(super) fn address_of(party: &Party, jid: &Jid) -> String {
    party.id().map_or_else(|| jid.to_non_ad_string(), ToOwned::to_owned)
}

/// A party as a chat.
pub(super) fn chat_id(party: &Party) -> Option<ChatId> {
    ChatId::parse(party.id()?).ok()
}

fn phone(user: &str) -> String {
    format!("{user}@c.us")
}

fn lid(user: &str) -> String {
    format!("{user}@lid")
}
