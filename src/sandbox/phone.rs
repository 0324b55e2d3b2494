//! A phone: the account's own key, and what it signs with it when it links a device.

use std::sync::Arc;

use buffa::Message as _;
use hmac::{Hmac, KeyInit as _, Mac as _};
use rand::RngExt as _;
use rand::rngs::StdRng;
use sha2::Sha256;
use wacore::libsignal::protocol::{CurveError, KeyPair, PublicKey};
use wacore_binary::Jid;
use waproto::whatsapp::{
    ADVDeviceIdentity, ADVEncryptionType, ADVKeyIndexList, ADVSignedDeviceIdentity, ADVSignedDeviceIdentityHMAC,
    ADVSignedKeyIndexList,
};

use super::app_state::AppState;

/// What the account's signature of a device covers, before the details and the device's key.
const ACCOUNT_SIGNATURE_PREFIX: [u8; 2] = [6, 0];
/// What the device's own signature covers, before the details, its key and the account's.
const DEVICE_SIGNATURE_PREFIX: [u8; 2] = [6, 1];

/// A phone with its account.
#[derive(Clone)]
pub(super) struct Phone {
    /// The account's number, digits only.
    pub(super) number: String,
    /// The account's hidden id, digits only.
    pub(super) lid: String,
    /// The name its owner chose.
    pub(super) name: String,
    /// Signs linked devices and Signal sessions.
    pub(super) identity: KeyPair,
    /// The phone's Signal registration.
    pub(super) registration_id: u32,
    /// The key its app state is sealed with, and that key's id.
    pub(super) app_state_key: AppStateKey,
    /// What its devices have changed for all of them. Shared, because a phone is copied often.
    pub(super) app_state: Arc<AppState>,
    /// Where the media server has its picture.
    pub(super) picture: Option<String>,
    /// The number its next linked device gets; never given twice.
    pub(super) next_device: u16,
}

/// The key of an account's app state.
#[derive(Clone)]
pub(super) struct AppStateKey {
    /// Its id: six bytes, as WhatsApp makes them.
    pub(super) id: [u8; 6],
    /// The key itself.
    pub(super) data: [u8; 32],
}

impl Phone {
    /// A phone that is new to the network.
    pub(super) fn generate(number: String, name: String, rng: &mut StdRng) -> Self {
        let lid = format!("1{:014}", rng.random_range(0..100_000_000_000_000_u64));
        Self {
            number,
            lid,
            name,
            identity: KeyPair::generate(rng),
            registration_id: rng.random_range(1..0x3FFF),
            app_state_key: AppStateKey { id: [0, 0, 0, 0, rng.random(), rng.random()], data: rng.random() },
            app_state: Arc::default(),
            picture: None,
            next_device: 1,
        }
    }

    /// The account's address.
    pub(super) fn jid(&self) -> Jid {
        Jid::pn(self.number.as_str())
    }

    /// The account's hidden address.
    pub(super) fn lid(&self) -> Jid {
        Jid::lid(self.lid.as_str())
    }

    /// Signs a device's identity key and seals the signature with the secret from the code it showed: the content of
    /// `<device-identity>` in `pair-success`.
    pub(super) fn sign_device(
        &self,
        identity_key: &[u8; 32],
        adv_secret: &[u8; 32],
        details: &DeviceDetails,
        rng: &mut StdRng,
    ) -> Result<Vec<u8>, CurveError> {
        let details = details.encode();
        let signed = [&ACCOUNT_SIGNATURE_PREFIX, details.as_slice(), identity_key].concat();
        let signature = self.identity.calculate_signature(&signed, rng)?;
        let identity = ADVSignedDeviceIdentity {
            details: Some(details),
            account_signature_key: Some(self.identity.public_key.public_key_bytes().to_vec()),
            account_signature: Some(signature.to_vec()),
            ..Default::default()
        }
        .encode_to_vec();
        let mut mac = Hmac::<Sha256>::new_from_slice(adv_secret).expect("HMAC takes keys of any length");
        mac.update(&identity);
        let envelope = ADVSignedDeviceIdentityHMAC {
            hmac: Some(mac.finalize().into_bytes().to_vec()),
            details: Some(identity),
            ..Default::default()
        };
        Ok(envelope.encode_to_vec())
    }

    /// The list of the account's links; `None` if it has none. A real one is signed, which no client checks.
    pub(super) fn device_list(&self, indexes: &[u32]) -> Option<(u64, Vec<u8>)> {
        let newest = indexes.iter().max().copied().filter(|newest| *newest > 0)?;
        // Newer with every link, as a client must see it; the list itself has no time of its own.
        let timestamp = u64::from(newest);
        let details = ADVKeyIndexList {
            raw_id: Some(self.registration_id),
            timestamp: Some(timestamp),
            current_index: Some(newest),
            valid_indexes: indexes.to_vec(),
            account_type: Some(ADVEncryptionType::E2EE),
        }
        .encode_to_vec();
        let signed = ADVSignedKeyIndexList { details: Some(details), ..Default::default() };
        Some((timestamp, signed.encode_to_vec()))
    }

    /// Checks what the device answers, as a phone does: the same details, and the device's own signature of them.
    pub(super) fn verify_device(&self, identity_key: &[u8; 32], details: &DeviceDetails, answer: &[u8]) -> bool {
        let Ok(identity) = ADVSignedDeviceIdentity::decode_from_slice(answer) else { return false };
        let details = details.encode();
        let Some(signature) = identity.device_signature.as_deref() else { return false };
        if identity.details.as_deref() != Some(details.as_slice()) {
            return false;
        }
        let account_key = self.identity.public_key.public_key_bytes();
        let signed = [&DEVICE_SIGNATURE_PREFIX, details.as_slice(), identity_key, account_key].concat();
        PublicKey::from_djb_public_key_bytes(identity_key).is_ok_and(|key| key.verify_signature(&signed, signature))
    }
}

/// What an account says about one of its devices when it signs it.
#[derive(Debug, Clone)]
pub(super) struct DeviceDetails {
    /// A number for this link, random.
    pub(super) raw_id: u32,
    /// When it was linked, Unix seconds.
    pub(super) timestamp: u64,
    /// Which of the account's links this is.
    pub(super) key_index: u32,
}

impl DeviceDetails {
    fn encode(&self) -> Vec<u8> {
        ADVDeviceIdentity {
            raw_id: Some(self.raw_id),
            timestamp: Some(self.timestamp),
            key_index: Some(self.key_index),
            account_type: Some(ADVEncryptionType::E2EE),
            device_type: Some(ADVEncryptionType::E2EE),
        }
        .encode_to_vec()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use serde::Deserialize;
    use wacore::libsignal::protocol::PrivateKey;
    use wacore::pair::{DeviceState, PairUtils};

    use super::*;

    /// What a phone once signed and what the client of whatsapp-rust 0.7.0 answered.
    #[derive(Deserialize)]
    struct Captured {
        phone_key: String,
        device_key: String,
        adv_secret: String,
        raw_id: u32,
        timestamp: u64,
        key_index: u32,
        envelope: String,
        answer: String,
    }

    fn bytes(text: &str) -> Vec<u8> {
        let pairs = text.as_bytes().chunks_exact(2).map(|pair| std::str::from_utf8(pair).unwrap());
        pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
    }

    fn key_pair(text: &str) -> KeyPair {
        let private = PrivateKey::deserialize(&bytes(text)).unwrap();
        KeyPair::new(private.public_key().unwrap(), private)
    }

    fn load() -> (Captured, Phone, DeviceState, DeviceDetails) {
        let text = include_str!("../../tests/fixtures/sandbox/device_identity.json");
        let captured: Captured = serde_json::from_str(text).unwrap();
        let mut rng = StdRng::seed_from_u64(1);
        let mut phone = Phone::generate("15550100000".to_owned(), "Nadia".to_owned(), &mut rng);
        phone.identity = key_pair(&captured.phone_key);
        let device = DeviceState {
            identity_key: key_pair(&captured.device_key),
            noise_key: KeyPair::generate(&mut rng),
            adv_secret_key: bytes(&captured.adv_secret).try_into().unwrap(),
        };
        let Captured { raw_id, timestamp, key_index, .. } = captured;
        (captured, phone, device, DeviceDetails { raw_id, timestamp, key_index })
    }

    fn identity_key(device: &DeviceState) -> [u8; 32] {
        device.identity_key.public_key.public_key_bytes().try_into().unwrap()
    }

    #[test]
    fn a_captured_envelope_and_its_answer_still_hold() {
        let (captured, phone, device, details) = load();
        PairUtils::do_pair_crypto(&device, &bytes(&captured.envelope)).unwrap();
        assert!(phone.verify_device(&identity_key(&device), &details, &bytes(&captured.answer)));
    }

    #[test]
    fn a_device_accepts_what_the_phone_signs_and_the_phone_its_answer() {
        let (_, phone, device, details) = load();
        let mut rng = StdRng::seed_from_u64(2);
        let envelope = phone.sign_device(&identity_key(&device), &device.adv_secret_key, &details, &mut rng).unwrap();
        let (answer, key_index) = PairUtils::do_pair_crypto(&device, &envelope).unwrap();
        assert_eq!(key_index, details.key_index);
        assert!(phone.verify_device(&identity_key(&device), &details, &answer));
    }

    #[test]
    fn a_device_refuses_an_envelope_sealed_with_another_secret_or_made_for_another_key() {
        let (_, phone, device, details) = load();
        let mut rng = StdRng::seed_from_u64(3);
        let mine = identity_key(&device);
        let others = KeyPair::generate(&mut rng).public_key.public_key_bytes().try_into().unwrap();
        for (key, secret) in [(&mine, [1; 32]), (&others, device.adv_secret_key)] {
            let envelope = phone.sign_device(key, &secret, &details, &mut rng).unwrap();
            assert!(PairUtils::do_pair_crypto(&device, &envelope).is_err());
        }
    }

    #[test]
    fn the_phone_refuses_an_answer_about_other_details_or_by_another_key() {
        let (captured, phone, device, details) = load();
        let answer = bytes(&captured.answer);
        let other_details = DeviceDetails { key_index: 2, ..details.clone() };
        assert!(!phone.verify_device(&identity_key(&device), &other_details, &answer));
        assert!(!phone.verify_device(&[7; 32], &details, &answer));
        assert!(!phone.verify_device(&identity_key(&device), &details, &bytes(&captured.envelope)));
        assert!(!phone.verify_device(&identity_key(&device), &details, b""));
    }
}
