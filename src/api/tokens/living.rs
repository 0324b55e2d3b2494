//! Which tokens are alive, in eight bytes each: enough to tell a token somebody was given from a guess before the
//! database is asked.

use parking_lot::RwLock;

use crate::domain::token::TokenHash;

/// Prefixes kept at most: 32 MiB. Tokens beyond that are looked up like guesses, under the cap.
pub(super) const MOST: usize = 4 << 20;

/// The first eight bytes of the hash of every live token, sorted: 8 bytes a token, where a hash set of them takes up to
/// 18. A token that ended may linger until the next reload; a guess meets one of a million prefixes once in 2^44.
#[derive(Debug, Default)]
pub(super) struct Living(RwLock<Vec<u64>>);

impl Living {
    /// Whether a live token has this hash; all but never `true` for one that nobody was given.
    pub(super) fn contains(&self, hash: &TokenHash) -> bool {
        self.0.read().binary_search(&hash.prefix()).is_ok()
    }

    /// Takes these for all that live.
    pub(super) fn replace(&self, mut prefixes: Vec<u64>) {
        prefixes.sort_unstable();
        prefixes.dedup();
        prefixes.shrink_to_fit();
        *self.0.write() = prefixes;
    }

    /// Adds a token that was just made.
    pub(super) fn add(&self, prefix: u64) {
        let mut living = self.0.write();
        if living.len() < MOST
            && let Err(place) = living.binary_search(&prefix)
        {
            living.insert(place, prefix);
        }
    }

    /// Takes a token out that was revoked.
    pub(super) fn remove(&self, prefix: u64) {
        let mut living = self.0.write();
        if let Ok(place) = living.binary_search(&prefix) {
            living.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hash(prefix: u64) -> TokenHash {
        let mut hash = [7; 32];
        hash[..8].copy_from_slice(&prefix.to_be_bytes());
        TokenHash(hash)
    }

    proptest! {
        #[test]
        fn what_was_added_and_not_removed_is_there_and_nothing_else(
            first in proptest::collection::vec(0..50_u64, 0..40),
            added in proptest::collection::vec(0..50_u64, 0..40),
            removed in proptest::collection::vec(0..50_u64, 0..40),
        ) {
            let living = Living::default();
            living.replace(first.clone());
            for prefix in &added {
                living.add(*prefix);
            }
            for prefix in &removed {
                living.remove(*prefix);
            }
            for prefix in 0..50 {
                let expected = (first.contains(&prefix) || added.contains(&prefix)) && !removed.contains(&prefix);
                prop_assert_eq!(living.contains(&hash(prefix)), expected, "{}", prefix);
            }
        }
    }
}
