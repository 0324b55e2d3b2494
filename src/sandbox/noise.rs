//! The server's half of the Noise handshake: XX for clients that never met this server, IK for those that remember its
//! key, XXfallback for those that remember a key it no longer has.
//!
//! Nothing here does IO: frames go in, frames come out, so that a whole handshake is a unit test with fixed bytes.

use buffa::{Message as _, MessageField};
use rand::rngs::StdRng;
use wacore::handshake::{HandshakeError, NoiseCipher, NoiseHandshake};
use wacore::libsignal::protocol::{KeyPair, PrivateKey};
use wacore_binary::consts::{NOISE_PATTERN_IK, NOISE_PATTERN_XX, NOISE_PATTERN_XXFALLBACK, WA_CONN_HEADER};
use waproto::whatsapp::cert_chain::NoiseCertificate;
use waproto::whatsapp::cert_chain::noise_certificate::Details;
use waproto::whatsapp::handshake_message::{ClientHello, ServerHello};
use waproto::whatsapp::{CertChain, ClientPayload, HandshakeMessage};

/// 2020-01-01 to 2100-01-01, in Unix seconds: the sandbox's certificates outlive any test, whatever its clock says.
const CERTIFICATE_VALIDITY: (u64, u64) = (1_577_836_800, 4_102_444_800);

/// Why a handshake failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum NoiseError {
    /// The client's message is not what the pattern expects here.
    #[error("the client's handshake message lacks its {0}")]
    Missing(&'static str),
    /// A key of the client is not 32 bytes long.
    #[error("a key in the handshake is not 32 bytes long")]
    KeyLength,
    /// A message could not be decoded.
    #[error("a handshake message could not be decoded")]
    Decode(#[from] buffa::DecodeError),
    /// The cryptography refused.
    #[error("the handshake's cryptography failed")]
    Crypto(#[from] HandshakeError),
}

/// The server's long-lived key and the certificate chain that presents it.
#[derive(Clone)]
pub(super) struct ServerIdentity {
    key: KeyPair,
    chain: Vec<u8>,
}

impl ServerIdentity {
    /// Makes a new one.
    pub(super) fn generate(rng: &mut StdRng) -> Self {
        Self::from_key(KeyPair::generate(rng))
    }

    /// Restores one from its private key.
    pub(super) fn from_private(private: &[u8]) -> Option<Self> {
        let private = PrivateKey::deserialize(private).ok()?;
        let public = private.public_key().ok()?;
        Some(Self::from_key(KeyPair::new(public, private)))
    }

    fn from_key(key: KeyPair) -> Self {
        let chain = certificate_chain(key.public_key.public_key_bytes());
        Self { key, chain }
    }

    /// The private key, to be stored.
    pub(super) fn private_key(&self) -> &[u8; 32] {
        self.key.private_key.serialize()
    }
}

/// A well-formed chain for `key`. Its signatures are blank: only WhatsApp can sign it, and the build flavour that
/// contains the sandbox does not look at them.
fn certificate_chain(key: &[u8]) -> Vec<u8> {
    let (not_before, not_after) = CERTIFICATE_VALIDITY;
    let certificate = |serial: u32, issuer: u32, key: &[u8]| {
        let details = Details {
            serial: Some(serial),
            issuer_serial: Some(issuer),
            key: Some(key.to_vec()),
            not_before: Some(not_before),
            not_after: Some(not_after),
        };
        MessageField::some(NoiseCertificate { details: Some(details.encode_to_vec()), signature: Some(vec![0; 64]) })
    };
    CertChain { leaf: certificate(2, 1, key), intermediate: certificate(1, 0, &[0xCC; 32]) }.encode_to_vec()
}

/// A finished handshake.
pub(super) struct Established {
    /// What the client says about itself.
    pub(super) payload: ClientPayload,
    /// The client's long-lived noise key, proven to be its own.
    pub(super) client_key: [u8; 32],
    /// Decrypts what the client sends.
    pub(super) read: NoiseCipher,
    /// Encrypts what is sent to the client.
    pub(super) write: NoiseCipher,
}

/// What the client's hello leads to.
pub(super) enum Hello {
    /// IK: send this, and the connection stands.
    Established(Vec<u8>, Box<Established>),
    /// XX or XXfallback: send this and wait for the client's finish.
    AwaitFinish(Vec<u8>, Box<Pending>),
}

/// An XX handshake that waits for the client's finish.
pub(super) struct Pending {
    noise: NoiseHandshake,
    ephemeral: KeyPair,
}

/// Answers a client's hello with a key pair made for this connection.
pub(super) fn answer_hello(server: &ServerIdentity, frame: &[u8], ephemeral: KeyPair) -> Result<Hello, NoiseError> {
    let hello =
        HandshakeMessage::decode_from_slice(frame)?.client_hello.into_option().ok_or(NoiseError::Missing("hello"))?;
    let client_ephemeral = key_of(hello.ephemeral.as_deref().ok_or(NoiseError::Missing("ephemeral key"))?)?;
    let ClientHello { r#static: Some(sealed_key), payload: Some(sealed_payload), .. } = &hello else {
        return answer_xx(NOISE_PATTERN_XX, server, ephemeral, client_ephemeral);
    };
    match open_ik(server, &client_ephemeral, sealed_key, sealed_payload) {
        Ok((noise, client_key, payload)) => {
            answer_ik(server, noise, &ephemeral, client_ephemeral, client_key, &payload)
        }
        // The client's hello was sealed to a key this server no longer has: it is asked to start over with the new one.
        Err(_) => answer_xx(NOISE_PATTERN_XXFALLBACK, server, ephemeral, client_ephemeral),
    }
}

fn answer_xx(
    pattern: &str,
    server: &ServerIdentity,
    ephemeral: KeyPair,
    client_ephemeral: [u8; 32],
) -> Result<Hello, NoiseError> {
    let mut noise = NoiseHandshake::new(pattern, &WA_CONN_HEADER)?;
    noise.authenticate(&client_ephemeral);
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_ephemeral)?;
    let sealed_key = noise.encrypt(server.key.public_key.public_key_bytes())?;
    noise.mix_shared_secret(server.key.private_key.serialize(), &client_ephemeral)?;
    let sealed_chain = noise.encrypt(&server.chain)?;
    let reply = server_hello(&ephemeral, Some(sealed_key), sealed_chain);
    Ok(Hello::AwaitFinish(reply, Box::new(Pending { noise, ephemeral })))
}

fn open_ik(
    server: &ServerIdentity,
    client_ephemeral: &[u8; 32],
    sealed_key: &[u8],
    sealed_payload: &[u8],
) -> Result<(NoiseHandshake, [u8; 32], Vec<u8>), NoiseError> {
    let mut noise = NoiseHandshake::new(NOISE_PATTERN_IK, &WA_CONN_HEADER)?;
    noise.authenticate(server.key.public_key.public_key_bytes());
    noise.authenticate(client_ephemeral);
    noise.mix_shared_secret(server.key.private_key.serialize(), client_ephemeral)?;
    let client_key = key_of(&noise.decrypt(sealed_key)?)?;
    noise.mix_shared_secret(server.key.private_key.serialize(), &client_key)?;
    let payload = noise.decrypt(sealed_payload)?;
    Ok((noise, client_key, payload))
}

fn answer_ik(
    server: &ServerIdentity,
    mut noise: NoiseHandshake,
    ephemeral: &KeyPair,
    client_ephemeral: [u8; 32],
    client_key: [u8; 32],
    payload: &[u8],
) -> Result<Hello, NoiseError> {
    noise.authenticate(ephemeral.public_key.public_key_bytes());
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_ephemeral)?;
    noise.mix_shared_secret(ephemeral.private_key.serialize(), &client_key)?;
    let sealed_chain = noise.encrypt(&server.chain)?;
    let reply = server_hello(ephemeral, None, sealed_chain);
    Ok(Hello::Established(reply, Box::new(establish(noise, client_key, payload)?)))
}

impl Pending {
    /// Reads the client's finish.
    pub(super) fn finish(mut self, frame: &[u8]) -> Result<Established, NoiseError> {
        let finish = HandshakeMessage::decode_from_slice(frame)?
            .client_finish
            .into_option()
            .ok_or(NoiseError::Missing("finish"))?;
        let sealed_key = finish.r#static.ok_or(NoiseError::Missing("static key"))?;
        let sealed_payload = finish.payload.ok_or(NoiseError::Missing("payload"))?;
        let client_key = key_of(&self.noise.decrypt(&sealed_key)?)?;
        self.noise.mix_shared_secret(self.ephemeral.private_key.serialize(), &client_key)?;
        let payload = self.noise.decrypt(&sealed_payload)?;
        establish(self.noise, client_key, &payload)
    }
}

fn establish(noise: NoiseHandshake, client_key: [u8; 32], payload: &[u8]) -> Result<Established, NoiseError> {
    let payload = ClientPayload::decode_from_slice(payload)?;
    // Named from the client's side: the first key is what the client writes with.
    let (read, write) = noise.finish()?;
    Ok(Established { payload, client_key, read, write })
}

fn server_hello(ephemeral: &KeyPair, sealed_key: Option<Vec<u8>>, sealed_chain: Vec<u8>) -> Vec<u8> {
    let hello = ServerHello {
        ephemeral: Some(ephemeral.public_key.public_key_bytes().to_vec()),
        r#static: sealed_key,
        payload: Some(sealed_chain),
        ..Default::default()
    };
    HandshakeMessage { server_hello: MessageField::some(hello), ..Default::default() }.encode_to_vec()
}

fn key_of(bytes: &[u8]) -> Result<[u8; 32], NoiseError> {
    bytes.try_into().map_err(|_| NoiseError::KeyLength)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wacore::handshake::{IkHandshakeState, IkServerHelloOutcome, XxFallbackHandshakeState, XxHandshakeState};

    use super::*;

    /// Frames of one XX and one IK handshake with the client of whatsapp-rust 0.7.0, and the first encrypted frame each
    /// way. They do not change when both sides change in the same wrong way, and a second implementation of the patterns
    /// (independent of both) was seen to agree with them.
    struct Captured(Value);

    impl Captured {
        fn load() -> Self {
            let text = include_str!("../../tests/fixtures/sandbox/handshake.json");
            Self(serde_json::from_str(text).unwrap())
        }

        fn bytes(&self, path: &str) -> Vec<u8> {
            let text = self.0.pointer(path).and_then(Value::as_str).unwrap();
            let pairs = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
            pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
        }

        fn server(&self) -> ServerIdentity {
            ServerIdentity::from_private(&self.bytes("/server_key")).unwrap()
        }

        fn ephemeral(&self) -> KeyPair {
            let private = PrivateKey::deserialize(&self.bytes("/server_ephemeral")).unwrap();
            KeyPair::new(private.public_key().unwrap(), private)
        }

        fn assert_established(&self, pattern: &str, established: &Established) {
            assert_eq!(established.client_key.as_slice(), self.bytes("/client_key"));
            assert_eq!(established.payload.username, Some(15_550_100_000));
            assert_eq!(established.payload.device, Some(3));
            let mut from_client = self.bytes(&format!("/{pattern}/from_client"));
            established.read.decrypt_in_place_with_counter(0, &mut from_client).unwrap();
            assert_eq!(from_client, b"ping");
            let to_client = established.write.encrypt_with_counter(0, b"pong").unwrap();
            assert_eq!(to_client, self.bytes(&format!("/{pattern}/to_client")));
        }
    }

    #[test]
    fn a_captured_xx_handshake_is_answered_byte_for_byte() {
        let captured = Captured::load();
        let hello = captured.bytes("/xx/client_hello");
        let answer = answer_hello(&captured.server(), &hello, captured.ephemeral()).unwrap();
        let Hello::AwaitFinish(reply, pending) = answer else { panic!("XX has a finish") };
        assert_eq!(reply, captured.bytes("/xx/server_hello"));
        captured.assert_established("xx", &pending.finish(&captured.bytes("/xx/client_finish")).unwrap());
    }

    #[test]
    fn a_captured_ik_handshake_is_answered_byte_for_byte() {
        let captured = Captured::load();
        let hello = captured.bytes("/ik/client_hello");
        let answer = answer_hello(&captured.server(), &hello, captured.ephemeral()).unwrap();
        let Hello::Established(reply, established) = answer else { panic!("IK has no finish") };
        assert_eq!(reply, captured.bytes("/ik/server_hello"));
        captured.assert_established("ik", &established);
    }

    #[test]
    fn a_client_that_remembers_a_lost_key_falls_back_and_gets_in() {
        let captured = Captured::load();
        let client = captured.ephemeral();
        let lost_key = [9; 32];
        let mut ik = IkHandshakeState::new(client, lost_key, Vec::new(), &WA_CONN_HEADER).unwrap();
        let hello = ik.build_client_hello().unwrap();
        let server = captured.server();
        let answer = answer_hello(&server, &hello, captured.ephemeral()).unwrap();
        let Hello::AwaitFinish(reply, pending) = answer else { panic!("the fallback has a finish") };
        let IkServerHelloOutcome::Fallback(inputs) = ik.read_server_hello(&reply).unwrap() else {
            panic!("the client must see that its key is no longer the server's")
        };
        let mut fallback = XxFallbackHandshakeState::from_ik_failure(*inputs, &WA_CONN_HEADER).unwrap();
        let finish = fallback.build_client_finish().unwrap();
        let established = pending.finish(&finish).unwrap();
        let outcome = fallback.finish().unwrap();
        assert_eq!(outcome.server_cert_chain.leaf_key.as_slice(), server.key.public_key.public_key_bytes());
        let mut sealed = outcome.write_cipher.encrypt_with_counter(0, b"ping").unwrap();
        established.read.decrypt_in_place_with_counter(0, &mut sealed).unwrap();
        assert_eq!(sealed, b"ping");
    }

    #[test]
    fn a_finish_that_was_tampered_with_is_refused() {
        let captured = Captured::load();
        let hello = captured.bytes("/xx/client_hello");
        let finish = captured.bytes("/xx/client_finish");
        // The last byte belongs to the tag of the sealed payload.
        let mut tampered = finish.clone();
        *tampered.last_mut().unwrap() ^= 1;
        for wrong in [tampered, hello.clone(), Vec::new()] {
            let answer = answer_hello(&captured.server(), &hello, captured.ephemeral()).unwrap();
            let Hello::AwaitFinish(_, pending) = answer else { panic!("XX has a finish") };
            assert!(pending.finish(&wrong).is_err());
        }
        assert!(answer_hello(&captured.server(), &finish, captured.ephemeral()).is_err());
    }

    #[test]
    fn the_client_takes_the_certificate_chain_for_well_formed() {
        let captured = Captured::load();
        let mut client = XxHandshakeState::new(captured.ephemeral(), Vec::new(), &WA_CONN_HEADER).unwrap();
        let hello = client.build_client_hello().unwrap();
        let answer = answer_hello(&captured.server(), &hello, captured.ephemeral()).unwrap();
        let Hello::AwaitFinish(reply, _) = answer else { panic!("XX has a finish") };
        client.read_server_hello_and_build_client_finish(&reply).unwrap();
        let chain = client.finish().unwrap().server_cert_chain;
        assert_eq!((chain.leaf_not_before, chain.leaf_not_after), (1_577_836_800, 4_102_444_800));
    }
}
