//! Linking by a typed code: what the client asks, and what the phone makes of the code.
//!
//! The server never sees the code. The client hides a key under it and says for which number; the phone, once the code
//! is typed, hides one of its own; both then share a secret if and only if both had the same code, and the client's
//! keys come sealed with it.

use rand::rngs::StdRng;
use wacore::crypto::hkdf_sha256_into;
use wacore::libsignal::crypto::Aes256GcmDecryption;
use wacore::libsignal::protocol::{KeyPair, PublicKey};
use wacore::pair_code::PairCodeUtils;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef, SERVER_JID};

use super::phone::Phone;

/// A key hidden under a code: salt, initial vector and the key.
pub(super) type Wrapped = [u8; 80];

const STAGE: &str = "link_code_companion_reg";
const BUNDLE_INFO: &[u8] = b"link_code_pairing_key_bundle_encryption_key";
/// Salt, nonce, three keys, tag.
const BUNDLE: usize = 32 + 12 + 96 + 16;

/// A client asks for the phone of a number.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct CompanionHello {
    pub(super) number: String,
    pub(super) wrapped_ephemeral: Wrapped,
    pub(super) noise_key: [u8; 32],
}

/// A client hands over its keys.
pub(super) struct CompanionFinish {
    bundle: [u8; BUNDLE],
    identity_key: [u8; 32],
    reference: Vec<u8>,
}

/// What a client says of a link by code.
pub(super) enum Said {
    Hello(CompanionHello),
    Finish(CompanionFinish),
    Malformed,
}

/// Reads what a client says of a link by code; `None` if it speaks of something else.
pub(super) fn read(request: &NodeRef<'_>) -> Option<Said> {
    let stage = request.get_optional_child(STAGE)?;
    let name = stage.get_attr("stage").map(|name| name.as_str().into_owned());
    let said = match name.as_deref() {
        Some("companion_hello") => hello(stage).map(Said::Hello),
        Some("companion_finish") => finish(stage).map(Said::Finish),
        Some(_) | None => None,
    };
    Some(said.unwrap_or(Said::Malformed))
}

fn hello(stage: &NodeRef<'_>) -> Option<CompanionHello> {
    let jid = stage.get_attr("jid")?.as_str().into_owned();
    Some(CompanionHello {
        number: jid.strip_suffix("@s.whatsapp.net")?.to_owned(),
        wrapped_ephemeral: bytes(stage, "link_code_pairing_wrapped_companion_ephemeral_pub")?.try_into().ok()?,
        noise_key: bytes(stage, "companion_server_auth_key_pub")?.try_into().ok()?,
    })
}

fn finish(stage: &NodeRef<'_>) -> Option<CompanionFinish> {
    Some(CompanionFinish {
        bundle: bytes(stage, "link_code_pairing_wrapped_key_bundle")?.try_into().ok()?,
        identity_key: bytes(stage, "companion_identity_public")?.try_into().ok()?,
        reference: bytes(stage, "link_code_pairing_ref")?.to_vec(),
    })
}

fn bytes<'n>(node: &'n NodeRef<'_>, child: &str) -> Option<&'n [u8]> {
    node.get_optional_child(child)?.content_bytes()
}

/// The answer to a hello.
pub(super) fn reference(reference: &[u8]) -> Node {
    let reference = NodeBuilder::new("link_code_pairing_ref").bytes(reference).build();
    NodeBuilder::new(STAGE).children([reference]).build()
}

/// The code as it is typed, in either case, with the dash or without; `None` if no phone would take it.
pub(super) fn parse_code(text: &str) -> Option<String> {
    let code: String = text.chars().filter(|c| *c != '-' && !c.is_whitespace()).collect();
    PairCodeUtils::validate_code(&code).then(|| code.to_ascii_uppercase())
}

/// A phone into which a code was typed.
pub(super) struct Typed {
    phone: Phone,
    ephemeral: KeyPair,
    companion_ephemeral: PublicKey,
    wrapped: Wrapped,
    reference: Vec<u8>,
}

impl Typed {
    /// The phone makes its key and reads the client's, if the code is the right one; nobody knows yet. Slow: two keys are
    /// derived from the code.
    pub(super) fn new(
        phone: Phone,
        code: &str,
        wrapped_companion: &Wrapped,
        reference: Vec<u8>,
        rng: &mut StdRng,
    ) -> Option<Self> {
        let ephemeral = KeyPair::generate(rng);
        let own: [u8; 32] = ephemeral.public_key.public_key_bytes().try_into().ok()?;
        let wrapped = PairCodeUtils::encrypt_ephemeral_pub(&own, code);
        let companion = PairCodeUtils::decrypt_primary_ephemeral_pub(wrapped_companion, code).ok()?;
        let companion_ephemeral = PublicKey::from_djb_public_key_bytes(&companion).ok()?;
        Some(Self { phone, ephemeral, companion_ephemeral, wrapped, reference })
    }

    /// Whose phone it is.
    pub(super) fn number(&self) -> &str {
        &self.phone.number
    }

    /// Tells the client that the code was typed.
    pub(super) fn primary_hello(&self, id: &str, seconds: i64) -> Node {
        let leaf = |tag: &'static str, bytes: &[u8]| NodeBuilder::new(tag).bytes(bytes).build();
        let stage = NodeBuilder::new(STAGE).attr("stage", "primary_hello").children([
            leaf("link_code_pairing_wrapped_primary_ephemeral_pub", &self.wrapped),
            leaf("primary_identity_pub", self.phone.identity.public_key.public_key_bytes()),
            leaf("link_code_pairing_ref", &self.reference),
        ]);
        NodeBuilder::new("notification")
            .attr("from", SERVER_JID)
            .attr("type", STAGE)
            .attr("id", id)
            .attr("t", seconds)
            .children([stage.build()])
            .build()
    }

    /// Opens the client's keys: the secret by which the client knows its phone. `None` if the code was another, or the
    /// keys are not those of the client.
    pub(super) fn open(&self, finish: &CompanionFinish, identity_key: &[u8; 32]) -> Option<[u8; 32]> {
        let (salt, rest) = finish.bundle.split_at(32);
        let (nonce, sealed) = rest.split_at(12);
        let (sealed, tag) = sealed.split_at(96);
        let shared = self.ephemeral.private_key.calculate_agreement(&self.companion_ephemeral).ok()?;
        let mut key = [0; 32];
        hkdf_sha256_into(&shared, Some(salt), BUNDLE_INFO, &mut key).ok()?;
        let mut bundle: [u8; 96] = sealed.try_into().ok()?;
        let mut cipher = Aes256GcmDecryption::new(&key, nonce, b"").ok()?;
        cipher.decrypt(&mut bundle);
        cipher.verify_tag(tag).ok()?;
        let (companion, rest) = bundle.split_at(32);
        let (own, random) = rest.split_at(32);
        let is_theirs = companion == identity_key && finish.identity_key == *identity_key;
        let is_ours = own == self.phone.identity.public_key.public_key_bytes() && finish.reference == self.reference;
        if !is_theirs || !is_ours {
            return None;
        }
        let companion = PublicKey::from_djb_public_key_bytes(companion).ok()?;
        let identities = self.phone.identity.private_key.calculate_agreement(&companion).ok()?;
        let mut adv_secret = [0; 32];
        hkdf_sha256_into(&[&shared[..], &identities[..], random].concat(), None, b"adv_secret", &mut adv_secret)
            .ok()?;
        Some(adv_secret)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;

    /// What a client does, by the library's own functions.
    fn exchange(shown: &str, typed: &str) -> (Option<[u8; 32]>, [u8; 32]) {
        let mut rng = StdRng::seed_from_u64(5);
        let phone = Phone::generate("15550100000".to_owned(), "Nadia".to_owned(), &mut rng);
        let (ephemeral, identity) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
        let raw = |pair: &KeyPair| -> [u8; 32] { pair.public_key.public_key_bytes().try_into().unwrap() };
        let hello = PairCodeUtils::encrypt_ephemeral_pub(&raw(&ephemeral), shown);
        let phones_key = raw(&phone.identity);
        let typed = Typed::new(phone, typed, &hello, b"reference".to_vec(), &mut rng).unwrap();
        let primary = PairCodeUtils::decrypt_primary_ephemeral_pub(&typed.wrapped, shown).unwrap();
        let (bundle, secret) = PairCodeUtils::prepare_key_bundle(&ephemeral, &primary, &phones_key, &identity).unwrap();
        let finish = CompanionFinish {
            bundle: bundle.try_into().unwrap(),
            identity_key: raw(&identity),
            reference: b"reference".to_vec(),
        };
        (typed.open(&finish, &raw(&identity)), secret)
    }

    #[test]
    fn both_sides_of_the_same_code_share_a_secret_and_those_of_two_codes_do_not() {
        let (opened, secret) = exchange("ABCD1234", "ABCD1234");
        assert_eq!(opened, Some(secret));
        let (opened, _) = exchange("ABCD1234", "ABCD1235");
        assert_eq!(opened, None);
    }

    #[test]
    fn a_code_is_read_as_people_type_it() {
        for text in ["ABCD-1234", "abcd1234", " abcd - 1234 "] {
            assert_eq!(parse_code(text).as_deref(), Some("ABCD1234"), "{text}");
        }
        for wrong in ["", "ABCD-123", "ABCD-12345", "ABCD-123O", "2@reference"] {
            assert_eq!(parse_code(wrong), None, "{wrong}");
        }
    }
}
