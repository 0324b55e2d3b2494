//! Linking with a passkey: the network asks for an assertion, and the phone and the client agree on a key by a code that
//! both show.
//!
//! The assertion is judged by its form, its challenge and its relying party. Its signature is not: nobody registered a
//! passkey here, so there is no key to check it against.

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use buffa::{Enumeration as _, Message as _};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use wacore::crypto::hkdf_sha256_into;
use wacore::libsignal::crypto::Aes256GcmDecryption;
use wacore::libsignal::protocol::{KeyPair, PublicKey};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Node, NodeRef, SERVER_JID};
use waproto::whatsapp::{
    CompanionEphemeralIdentity, EncryptedPairingRequest, PairingRequest, PrimaryEphemeralIdentity, ProloguePayload,
};

use super::network::LinkRequest;

/// Whom an assertion must be made for.
const RELYING_PARTY: &str = "web.whatsapp.com";
const KEY_INFO: &[u8] = b"Pairing Information Encryption Key";
/// The user was present and verified.
const FLAGS: u8 = 0b101;

/// A scan that waits for its passkey.
pub(super) struct PasskeyLink {
    request: Box<LinkRequest>,
    challenge: [u8; 32],
    credential: [u8; 16],
    reference: String,
    ephemeral: KeyPair,
    nonce: [u8; 32],
    /// The client's ephemeral key, its identity as it was sent, and what it promised.
    companion: Option<Companion>,
}

struct Companion {
    identity: Vec<u8>,
    commitment: Vec<u8>,
    key: PublicKey,
    device_type: i32,
}

/// What a client's request comes to.
pub(super) enum Passed {
    /// It is answered with this child, if with any, and the phone says that stanza, if any, later.
    Answer(Option<Box<Node>>, Option<Box<Node>>),
    /// It is refused.
    Refused,
    /// The device may be linked with this secret.
    Secret([u8; 32]),
}

impl PasskeyLink {
    /// Holds a scan back.
    pub(super) fn new(request: Box<LinkRequest>, rng: &mut StdRng) -> Self {
        let reference: [u8; 18] = rng.random();
        Self {
            request,
            challenge: rng.random(),
            credential: rng.random(),
            reference: BASE64_URL_SAFE_NO_PAD.encode(reference),
            ephemeral: KeyPair::generate(rng),
            nonce: rng.random(),
            companion: None,
        }
    }

    /// Asks the client for an assertion.
    pub(super) fn ask(&self, id: &str, seconds: i64) -> Node {
        let options = json!({
            "challenge": BASE64_URL_SAFE_NO_PAD.encode(self.challenge),
            "rpId": RELYING_PARTY,
            "timeout": 180_000,
            "userVerification": "required",
            "allowCredentials": [{ "type": "public-key", "id": BASE64_URL_SAFE_NO_PAD.encode(self.credential) }],
        });
        let options = NodeBuilder::new("passkey_request_options").bytes(options.to_string().into_bytes()).build();
        notification("passkey_prologue_request", id, seconds, options)
    }

    /// Takes one request of the client; `None` if it is about something else.
    pub(super) fn take(&mut self, request: &NodeRef<'_>, id: &str, seconds: i64) -> Option<Passed> {
        if request.get_optional_child("ref").is_some() {
            let reference = NodeBuilder::new("ref").bytes(self.reference.as_bytes()).build();
            return Some(Passed::Answer(Some(Box::new(reference)), None));
        }
        let passed = if let Some(prologue) = request.get_optional_child("passkey_prologue") {
            self.prologue(prologue).map(|()| Passed::Answer(None, Some(Box::new(self.continuation(id, seconds)))))
        } else if let Some(nonce) = request.get_optional_child("companion_nonce") {
            self.nonce(nonce.content_bytes()?).then_some(Passed::Answer(None, None))
        } else {
            let sealed = request.get_optional_child("encrypted_pairing_request")?;
            self.open(sealed.content_bytes()?).map(Passed::Secret)
        };
        Some(passed.unwrap_or(Passed::Refused))
    }

    /// The link, signed with the secret that the client handed over.
    pub(super) fn into_request(self, adv_secret: &[u8; 32], rng: &mut StdRng) -> Option<Box<LinkRequest>> {
        let mut request = self.request;
        let device = &request.device;
        let identity_key = &device.registration.identity_key;
        request.signed_identity = request.phone.sign_device(identity_key, adv_secret, &device.details, rng).ok()?;
        Some(request)
    }

    fn prologue(&mut self, prologue: &NodeRef<'_>) -> Option<()> {
        let part = |tag| prologue.get_optional_child(tag)?.content_bytes();
        let assertion: Value = serde_json::from_slice(part("webauthn_assertion")?).ok()?;
        if part("credential_id")? != self.credential || !self.is_answered_by(&assertion)? {
            return None;
        }
        let payload = ProloguePayload::decode_from_slice(part("prologue_payload")?).ok()?;
        let identity = payload.companion_ephemeral_identity?;
        let told = CompanionEphemeralIdentity::decode_from_slice(&identity).ok()?;
        if told.r#ref.as_deref() != Some(self.reference.as_str()) {
            return None;
        }
        self.companion = Some(Companion {
            commitment: payload.commitment.as_option()?.hash.clone()?,
            key: PublicKey::from_djb_public_key_bytes(told.public_key.as_deref()?).ok()?,
            device_type: told.device_type?.to_i32(),
            identity,
        });
        Some(())
    }

    fn is_answered_by(&self, assertion: &Value) -> Option<bool> {
        let part = |name: &str| BASE64_URL_SAFE_NO_PAD.decode(assertion["response"][name].as_str()?).ok();
        let client: Value = serde_json::from_slice(&part("clientDataJSON")?).ok()?;
        let challenge = BASE64_URL_SAFE_NO_PAD.encode(self.challenge);
        let authenticator = part("authenticatorData")?;
        let is_for_us = authenticator.get(..32)? == Sha256::digest(RELYING_PARTY).as_slice();
        Some(
            assertion["rawId"] == BASE64_URL_SAFE_NO_PAD.encode(self.credential)
                && client["type"] == "webauthn.get"
                && client["challenge"] == challenge
                && client["origin"] == format!("https://{RELYING_PARTY}")
                && is_for_us
                && authenticator.get(32)? & FLAGS == FLAGS
                && !part("signature")?.is_empty(),
        )
    }

    /// The phone's turn: its ephemeral key and nonce.
    fn continuation(&self, id: &str, seconds: i64) -> Node {
        let identity = PrimaryEphemeralIdentity {
            public_key: Some(self.ephemeral.public_key.public_key_bytes().to_vec()),
            nonce: Some(self.nonce.to_vec()),
        };
        let identity = NodeBuilder::new("primary_ephemeral_identity").bytes(identity.encode_to_vec()).build();
        notification("crsc_continuation", id, seconds, identity)
    }

    /// Whether the client's nonce is the one it promised.
    fn nonce(&self, nonce: &[u8]) -> bool {
        self.companion.as_ref().is_some_and(|companion| {
            let promised = Sha256::new().chain_update(&companion.identity).chain_update(nonce).finalize();
            promised.as_slice() == companion.commitment
        })
    }

    fn open(&self, sealed: &[u8]) -> Option<[u8; 32]> {
        let companion = self.companion.as_ref()?;
        let sealed = EncryptedPairingRequest::decode_from_slice(sealed).ok()?;
        let shared = self.ephemeral.private_key.calculate_agreement(&companion.key).ok()?;
        let salt = format!("Companion Pairing {} with ref {}", companion.device_type, self.reference);
        let mut key = [0; 32];
        hkdf_sha256_into(&shared, Some(salt.as_bytes()), KEY_INFO, &mut key).ok()?;
        let mut text = sealed.encrypted_payload?;
        let tag = text.split_off(text.len().checked_sub(16)?);
        let mut cipher = Aes256GcmDecryption::new(&key, sealed.iv.as_deref()?, b"").ok()?;
        cipher.decrypt(&mut text);
        cipher.verify_tag(&tag).ok()?;
        let request = PairingRequest::decode_from_slice(&text).ok()?;
        let device = &self.request.device;
        let is_theirs = request.companion_public_key.as_deref() == Some(&device.noise_key[..])
            && request.companion_identity_key.as_deref() == Some(&device.registration.identity_key[..]);
        if is_theirs { request.adv_secret?.try_into().ok() } else { None }
    }
}

fn notification(kind: &'static str, id: &str, seconds: i64, child: Node) -> Node {
    NodeBuilder::new("notification")
        .attr("from", SERVER_JID)
        .attr("type", kind)
        .attr("id", id)
        .attr("t", seconds)
        .children([child])
        .build()
}
