//! An account's app state: what its devices have changed for all of them, as encrypted patches in numbered collections.
//!
//! The server sees to it that each patch is built on the one before, and cannot read any; the phone can, since the key is
//! its own. Here both are one: a patch that the phone cannot read is refused. WhatsApp could not do that, but it shows a
//! client that is broken.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use buffa::{Message as _, MessageField};
use serde::Serialize;
use wacore::appstate::hash::HashState;
use wacore::appstate::keys::expand_app_state_keys;
use wacore::appstate::{AppStateError, Mutation, process_patch};
use waproto::whatsapp::{SyncdPatch, SyncdVersion};

use super::phone::AppStateKey;

/// The app state of an account.
#[derive(Debug, Clone, Default)]
pub(super) struct AppState {
    collections: BTreeMap<String, Collection>,
    chats: BTreeMap<String, ChatMarks>,
}

/// A collection: its version is the number of its patches.
#[derive(Debug, Clone, Default)]
struct Collection {
    patches: Vec<Vec<u8>>,
    hash: HashState,
    /// What stands where, by the MACs of both.
    macs: HashMap<Vec<u8>, Vec<u8>>,
}

/// How a phone shows a chat.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct ChatMarks {
    /// Whether it is in the archive.
    pub archived: bool,
    /// Whether it was marked as read or unread, the last time it was marked.
    pub read: Option<bool>,
}

/// Why a patch was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PatchRefusal {
    /// It is built on another version than the collection has.
    Conflict,
    /// The phone cannot read it.
    Unreadable,
}

impl AppState {
    /// The app state that is made of these patches; `None` if the phone cannot read them.
    pub(super) fn restore(
        key: &AppStateKey,
        collections: impl IntoIterator<Item = (String, Vec<Vec<u8>>)>,
    ) -> Option<Self> {
        let mut state = Self::default();
        for (name, patches) in collections {
            for (version, patch) in (0..).zip(&patches) {
                state.apply(key, &name, version, patch).ok()?;
            }
        }
        Some(state)
    }

    /// Every patch there is, by collection.
    pub(super) fn collections(&self) -> impl Iterator<Item = (&str, &[Vec<u8>])> {
        self.collections.iter().map(|(name, collection)| (name.as_str(), collection.patches.as_slice()))
    }

    /// The version of a collection.
    pub(super) fn version(&self, collection: &str) -> u64 {
        self.collections.get(collection).map_or(0, |collection| collection.patches.len() as u64)
    }

    /// The patches that a device with this version of a collection lacks.
    pub(super) fn since(&self, collection: &str, version: u64) -> &[Vec<u8>] {
        let patches = self.collections.get(collection).map(|collection| collection.patches.as_slice());
        let known = usize::try_from(version).unwrap_or(usize::MAX);
        patches.and_then(|patches| patches.get(known..)).unwrap_or_default()
    }

    /// Takes a patch that is built on the version `base`.
    pub(super) fn apply(&mut self, key: &AppStateKey, name: &str, base: u64, patch: &[u8]) -> Result<(), PatchRefusal> {
        if base != self.version(name) {
            return Err(PatchRefusal::Conflict);
        }
        let mut patch = SyncdPatch::decode_from_slice(patch).map_err(|_| PatchRefusal::Unreadable)?;
        // A client leaves the number to the server.
        patch.version = MessageField::some(SyncdVersion { version: Some(base + 1) });
        let collection = self.collections.entry(name.to_owned()).or_default();
        let keys = Arc::new(expand_app_state_keys(&key.data));
        let find_key = |id: &[u8]| if id == key.id { Ok(Arc::clone(&keys)) } else { Err(AppStateError::KeyNotFound) };
        let mut hash = collection.hash.clone();
        let stands = |index: &[u8]| Ok(collection.macs.get(index).cloned());
        let read = process_patch(&patch, &mut hash, find_key, stands, true, name);
        // A client whose sum over the collection is another has lost something of it.
        let read = read.ok().filter(|read| !read.state.mac_mismatch_fatal).ok_or(PatchRefusal::Unreadable)?;
        collection.hash = read.state;
        collection.macs.extend(read.added_macs.into_iter().map(|macs| (macs.index_mac, macs.value_mac)));
        for index in &read.removed_index_macs {
            collection.macs.remove(index);
        }
        collection.patches.push(patch.encode_to_vec());
        for mutation in &read.mutations {
            self.note(mutation);
        }
        Ok(())
    }

    /// The chats that were marked, by their addresses.
    pub(super) fn chats(&self) -> &BTreeMap<String, ChatMarks> {
        &self.chats
    }

    fn note(&mut self, mutation: &Mutation) {
        let [action, chat] = mutation.index.as_slice() else { return };
        let Some(value) = &mutation.action_value else { return };
        let marks = self.chats.entry(chat.clone()).or_default();
        match action.as_str() {
            "archive" => {
                marks.archived = value.archive_chat_action.as_option().and_then(|action| action.archived) == Some(true);
            }
            "markChatAsRead" => {
                marks.read = value.mark_chat_as_read_action.as_option().and_then(|action| action.read);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::super::bootstrap::{NAME_COLLECTION, name_patch};
    use super::super::phone::Phone;
    use super::*;

    fn phone() -> (Phone, StdRng) {
        let mut rng = StdRng::seed_from_u64(1);
        (Phone::generate("15550100000".to_owned(), "Nadia".to_owned(), &mut rng), rng)
    }

    #[test]
    fn a_patch_is_taken_on_the_version_it_was_built_on_and_read_back_after_a_restart() {
        let (phone, mut rng) = phone();
        let patch = name_patch(&phone, 1, &mut rng);
        let mut state = AppState::default();
        assert_eq!(state.apply(&phone.app_state_key, NAME_COLLECTION, 1, &patch), Err(PatchRefusal::Conflict));
        assert_eq!(state.apply(&phone.app_state_key, NAME_COLLECTION, 0, &patch), Ok(()));
        assert_eq!(state.apply(&phone.app_state_key, NAME_COLLECTION, 0, &patch), Err(PatchRefusal::Conflict));
        assert_eq!((state.version(NAME_COLLECTION), state.since(NAME_COLLECTION, 0).len()), (1, 1));
        assert!(state.since(NAME_COLLECTION, 1).is_empty() && state.since(NAME_COLLECTION, 9).is_empty());
        let kept = state.collections().map(|(name, patches)| (name.to_owned(), patches.to_vec()));
        let restored = AppState::restore(&phone.app_state_key, kept.collect::<Vec<_>>()).unwrap();
        assert_eq!(restored.since(NAME_COLLECTION, 0), state.since(NAME_COLLECTION, 0));
    }

    #[test]
    fn what_the_phone_cannot_read_is_refused() {
        let (phone, mut rng) = phone();
        let mut patch = name_patch(&phone, 1, &mut rng);
        let mut state = AppState::default();
        assert_eq!(state.apply(&phone.app_state_key, "regular", 0, &patch), Err(PatchRefusal::Unreadable));
        let last = patch.len() - 1;
        patch[last] ^= 1;
        assert_eq!(state.apply(&phone.app_state_key, NAME_COLLECTION, 0, &patch), Err(PatchRefusal::Unreadable));
        assert_eq!(state.version(NAME_COLLECTION), 0);
    }
}
