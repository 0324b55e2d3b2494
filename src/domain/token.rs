//! Tokens: what callers prove themselves with.
//!
//! A token is a four-character prefix, 43 base-62 characters (256 random bits) and 6 base-62 characters of CRC-32 over
//! both. The checksum is no secret: it lets a typo be refused before the database is asked, and lets secret scanners
//! tell a leaked token from noise. Only the SHA-256 of a token is ever stored: with 256 random bits behind it, a slow
//! hash would add cost and no safety.

use std::fmt;

use rand::{CryptoRng, RngExt};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const PREFIX: usize = 4;
const RANDOM: usize = 43;
const CHECKSUM: usize = 6;

/// Length of every token in characters.
pub const LENGTH: usize = PREFIX + RANDOM + CHECKSUM;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// Runs the gateway; owns nothing in it. Operator listener only.
    Operator,
    /// An account's key: everything on its instances.
    Account,
    /// One instance, by scope.
    Instance,
    /// One instance's linking, for a hosted page.
    Link,
    /// Signed in to the dashboard: the value of its cookie, which the API itself never takes.
    Session,
    /// Signs one browser in to the dashboard, once: what a sign-in QR holds.
    Pairing,
}

impl TokenKind {
    /// Every kind.
    pub const ALL: [Self; 6] =
        [Self::Operator, Self::Account, Self::Instance, Self::Link, Self::Session, Self::Pairing];

    /// The prefix its tokens begin with.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Operator => "wgo_",
            Self::Account => "wga_",
            Self::Instance => "wgi_",
            Self::Link => "wgl_",
            Self::Session => "wgs_",
            Self::Pairing => "wgp_",
        }
    }

    /// The word that stands in SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Operator => "operator",
            Self::Account => "account",
            Self::Instance => "instance",
            Self::Link => "link",
            Self::Session => "session",
            Self::Pairing => "pairing",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// What an instance token may do with its instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
pub enum Scope {
    /// info, me, events.
    Read,
    /// qr, qr-image, request-code, passkey, temp-link.
    Link,
    /// Sending messages.
    Send,
    /// start, stop, restart, logout, delete.
    Control,
}

impl Scope {
    /// Every scope: what an instance token has unless fewer were asked for.
    pub const ALL: [Self; 4] = [Self::Read, Self::Link, Self::Send, Self::Control];

    /// The word that stands in JSON and SQL.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Link => "link",
            Self::Send => "send",
            Self::Control => "control",
        }
    }

    /// Reads [`Self::as_str`] back.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == word)
    }
}

/// A token in clear. It has no `Display`, its `Debug` says nothing, and its memory is wiped when it is dropped.
#[derive(Clone)]
pub struct Token {
    kind: TokenKind,
    text: SecretString,
}

/// The text is not a token: another length or prefix, a foreign character, or a wrong checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the text is not a token")]
pub struct InvalidToken;

/// SHA-256 of a token's text: what is stored and looked up.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenHash(pub [u8; 32]);

impl fmt::Debug for TokenHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TokenHash([redacted])")
    }
}

impl TokenHash {
    /// Its first eight bytes: enough to tell, among millions of tokens, that one is none of them.
    pub fn prefix(&self) -> u64 {
        let (first, _) = self.0.split_first_chunk().expect("a hash is longer than that");
        u64::from_be_bytes(*first)
    }
}

impl Token {
    /// Draws a new token. The generator must be fit for secrets, and its type says so.
    pub fn generate(kind: TokenKind, rng: &mut impl CryptoRng) -> Self {
        let mut text = String::with_capacity(LENGTH);
        text.push_str(kind.prefix());
        // 43 uniform characters out of 62 carry 256.03 bits.
        text.extend((0..RANDOM).map(|_| char::from(ALPHABET[rng.random_range(0..ALPHABET.len())])));
        let checksum = checksum(text.as_bytes());
        text.extend(checksum.map(char::from));
        Self { kind, text: SecretString::from(text) }
    }

    /// Reads a token as a caller sent it.
    pub fn parse(text: &str) -> Result<Self, InvalidToken> {
        if text.len() != LENGTH || !text.is_ascii() {
            return Err(InvalidToken);
        }
        let kind = TokenKind::ALL.into_iter().find(|kind| text.starts_with(kind.prefix())).ok_or(InvalidToken)?;
        let (signed, check) = text.as_bytes().split_at(PREFIX + RANDOM);
        let well_formed = signed[PREFIX..].iter().all(u8::is_ascii_alphanumeric) && checksum(signed) == check;
        if well_formed { Ok(Self { kind, text: SecretString::from(text) }) } else { Err(InvalidToken) }
    }

    /// What it is for, by its prefix.
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// What is stored and looked up in its place.
    pub fn hash(&self) -> TokenHash {
        TokenHash(Sha256::digest(self.expose().as_bytes()).into())
    }

    /// The last four characters, by which people tell tokens apart. They belong to the checksum and reveal nothing.
    pub fn last4(&self) -> &str {
        &self.expose()[LENGTH - 4..]
    }

    /// The text itself, for the one answer that shows it.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}[redacted])", self.kind.prefix())
    }
}

/// CRC-32 (ISO-HDLC) of `signed` in base 62, most significant digit first; `62^6 > 2^32`.
fn checksum(signed: &[u8]) -> [u8; CHECKSUM] {
    let mut rest = crc32fast::hash(signed);
    let mut digits = [0; CHECKSUM];
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET[(rest % 62) as usize];
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn kinds() -> impl Strategy<Value = TokenKind> {
        proptest::sample::select(TokenKind::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn a_generated_token_parses_to_itself(seed: u64, kind in kinds()) {
            let token = Token::generate(kind, &mut StdRng::seed_from_u64(seed));
            let again = Token::parse(token.expose()).unwrap();
            prop_assert_eq!(again.kind(), kind);
            prop_assert_eq!(again.hash(), token.hash());
            prop_assert_eq!(token.expose().len(), LENGTH);
            prop_assert!(token.expose().starts_with(kind.prefix()));
            prop_assert!(token.expose().ends_with(token.last4()));
        }

        #[test]
        fn one_changed_character_is_refused(seed: u64, kind in kinds(), at in 0..LENGTH, to in 0..62_usize) {
            let token = Token::generate(kind, &mut StdRng::seed_from_u64(seed));
            let mut typo = token.expose().as_bytes().to_vec();
            prop_assume!(typo[at] != ALPHABET[to]);
            typo[at] = ALPHABET[to];
            prop_assert!(Token::parse(std::str::from_utf8(&typo).unwrap()).is_err());
        }

        #[test]
        fn any_other_text_is_refused(text in ".{0,80}") {
            prop_assert!(Token::parse(&text).is_err());
        }

        #[test]
        fn debug_shows_neither_the_secret_nor_its_hash(seed: u64, kind in kinds()) {
            let token = Token::generate(kind, &mut StdRng::seed_from_u64(seed));
            let shown = format!("{token:?} {:?}", token.hash());
            prop_assert!(!shown.contains(&token.expose()[PREFIX..PREFIX + 8]));
        }
    }

    #[test]
    fn two_draws_differ() {
        let mut rng = StdRng::seed_from_u64(1);
        let first = Token::generate(TokenKind::Account, &mut rng);
        assert_ne!(first.hash(), Token::generate(TokenKind::Account, &mut rng).hash());
    }

    #[test]
    fn words_read_back() {
        for kind in TokenKind::ALL {
            assert_eq!(TokenKind::parse(kind.as_str()), Some(kind));
        }
        for scope in Scope::ALL {
            assert_eq!(Scope::parse(scope.as_str()), Some(scope));
        }
        assert_eq!((TokenKind::parse("root"), Scope::parse("all")), (None, None));
    }
}
