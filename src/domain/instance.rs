//! Instance ids: 12 characters of Crockford's base 32, upper case only.

use std::fmt;

use rand::{Rng, RngExt};
use serde::{Serialize, Serializer};

/// The characters an id is made of: digits and letters without `I L O U`, so that nobody misreads one aloud.
pub const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Length of an id in characters.
pub const LENGTH: usize = 12;

/// Logical shards that every instance is hashed to, from day one (`docs/architecture.md`).
pub const SHARDS: i16 = 4096;

/// The id of one linked or linkable WhatsApp device: 60 random bits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, utoipa::ToSchema)]
#[schema(value_type = String, pattern = "^[0-9A-HJKMNP-TV-Z]{12}$", example = "7K2M9QX4T0AB")]
pub struct InstanceId([u8; LENGTH]);

/// The text is not an instance id: another length, or a character outside [`ALPHABET`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an instance id has 12 characters out of 0-9 and A-Z without I, L, O, U")]
pub struct InvalidInstanceId;

impl InstanceId {
    /// Reads an id as it stands in a request. Lower case is refused: an id has one spelling.
    pub fn parse(text: &str) -> Result<Self, InvalidInstanceId> {
        let bytes: [u8; LENGTH] = text.as_bytes().try_into().map_err(|_| InvalidInstanceId)?;
        if bytes.iter().all(|byte| ALPHABET.contains(byte)) { Ok(Self(bytes)) } else { Err(InvalidInstanceId) }
    }

    /// Draws a new id.
    pub fn generate(rng: &mut impl Rng) -> Self {
        Self(std::array::from_fn(|_| ALPHABET[rng.random_range(0..ALPHABET.len())]))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("the alphabet is ASCII")
    }

    /// What Wawp calls the session: a name made of the id, as `wagate-7k2m9qx4t0ab`.
    pub fn session_name(self) -> String {
        format!("wagate-{}", self.as_str().to_ascii_lowercase())
    }

    /// The shard of the instance's rows, `0..SHARDS`: FNV-1a of the id, folded. It never changes for an id.
    pub fn shard(&self) -> i16 {
        let hash = self.0.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        let folded = (hash ^ (hash >> 32)) % u64::from(SHARDS.unsigned_abs());
        i16::try_from(folded).expect("a shard is below SHARDS")
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for InstanceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;

    use super::*;

    proptest! {
        #[test]
        fn a_generated_id_parses_to_itself_and_has_a_shard_in_range(seed: u64) {
            let id = InstanceId::generate(&mut rand::rngs::StdRng::seed_from_u64(seed));
            prop_assert_eq!(InstanceId::parse(id.as_str()), Ok(id));
            prop_assert!((0..SHARDS).contains(&id.shard()));
        }

        #[test]
        fn only_twelve_characters_of_the_alphabet_parse(text in ".{0,16}") {
            let well_formed = text.len() == LENGTH && text.bytes().all(|byte| ALPHABET.contains(&byte));
            prop_assert_eq!(InstanceId::parse(&text).is_ok(), well_formed);
        }
    }

    #[test]
    fn lower_case_ambiguous_letters_and_other_lengths_are_refused() {
        for text in ["7k2m9qx4t0ab", "7K2M9QX4T0A", "7K2M9QX4T0ABC", "IIIIIIIIIIII", "7K2M9QX4T0A\0", ""] {
            assert_eq!(InstanceId::parse(text), Err(InvalidInstanceId), "{text:?}");
        }
    }
}
