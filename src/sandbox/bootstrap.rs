//! What a phone gives a device it has just linked: the key of the account's app state, as an encrypted message, and the
//! account's name, as the first change in the collection `critical_block`.
//!
//! Without the key a client waits ten seconds before it calls itself connected; without a name, at every log-in.

use async_trait::async_trait;
use buffa::{Message as _, MessageField};
use rand::RngExt as _;
use rand::rngs::StdRng;
use wacore::appstate::encode::encode_record;
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::keys::expand_app_state_keys;
use wacore::libsignal::protocol::{
    CiphertextMessage, Direction, IdentityChange, IdentityKey, IdentityKeyPair, IdentityKeyStore, PreKeyBundle,
    ProtocolAddress, PublicKey, SessionRecord, SessionStore, SignalProtocolError, UsePQRatchet, message_encrypt,
    process_prekey_bundle,
};
use wacore::types::jid::JidExt as _;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId, AppStateSyncKeyShare,
    ProtocolMessage,
};
use waproto::whatsapp::sync_action_value::PushNameSetting;
use waproto::whatsapp::syncd_mutation::SyncdOperation;
use waproto::whatsapp::{KeyId, Message, SyncActionValue, SyncdPatch, SyncdVersion};

use super::device::Device;
use super::phone::Phone;

/// The collection that holds the account's name.
pub(super) const NAME_COLLECTION: &str = "critical_block";
/// Its version once the name is in it.
pub(super) const NAME_VERSION: u64 = 1;

type Result<T> = std::result::Result<T, SignalProtocolError>;

/// The message that carries the app-state key to a device, with the id its receipt will name.
pub(super) async fn key_share(
    phone: &Phone,
    device: &Device,
    seconds: i64,
    rng: &mut StdRng,
) -> Result<(String, Node)> {
    let key = AppStateSyncKey {
        key_id: MessageField::some(AppStateSyncKeyId { key_id: Some(phone.app_state_key.id.to_vec()) }),
        key_data: MessageField::some(AppStateSyncKeyData {
            key_data: Some(phone.app_state_key.data.to_vec()),
            fingerprint: MessageField::some(AppStateSyncKeyFingerprint {
                raw_id: Some(device.details.raw_id),
                current_index: Some(device.details.key_index),
                device_indexes: vec![0, device.details.key_index],
            }),
            timestamp: Some(seconds.saturating_mul(1000)),
        }),
    };
    let message = Message {
        protocol_message: MessageField::some(ProtocolMessage {
            r#type: Some(Type::APP_STATE_SYNC_KEY_SHARE),
            app_state_sync_key_share: MessageField::some(AppStateSyncKeyShare { keys: vec![key] }),
            ..Default::default()
        }),
        ..Default::default()
    };
    let mut plain = message.encode_to_vec();
    let padding = rng.random_range(1..=15_u8);
    plain.resize(plain.len() + usize::from(padding), padding);
    let sealed = seal(phone, device, &plain, rng).await?;
    let id = format!("3EB0{:016X}", rng.random::<u64>());
    let node = NodeBuilder::new("message")
        .attr("id", id.as_str())
        .attr("from", phone.jid())
        .attr("type", "text")
        .attr("category", "peer")
        .attr("t", seconds)
        .children([NodeBuilder::new("enc").attr("v", "2").attr("type", "pkmsg").bytes(sealed).build()])
        .build();
    Ok((id, node))
}

/// Encrypts to a device in a session of its own, begun with the device's signed prekey.
async fn seal(phone: &Phone, device: &Device, plain: &[u8], rng: &mut StdRng) -> Result<Vec<u8>> {
    let registration = &device.registration;
    let address = Jid::pn_device(device.id.number.as_str(), device.id.device).to_protocol_address();
    let bundle = PreKeyBundle::new(
        registration.signal_id,
        u32::from(device.id.device).into(),
        None,
        registration.signed_prekey.id.into(),
        PublicKey::from_djb_public_key_bytes(&registration.signed_prekey.public)?,
        registration.signed_prekey.signature.to_vec(),
        IdentityKey::new(PublicKey::from_djb_public_key_bytes(&registration.identity_key)?),
    )?;
    let mut sessions = OneSession::default();
    let mut identities = PhoneIdentity(phone);
    process_prekey_bundle(&address, &mut sessions, &mut identities, &bundle, rng, UsePQRatchet::No).await?;
    let sealed = message_encrypt(plain, &address, &mut sessions, &mut identities).await?;
    Ok(match sealed {
        CiphertextMessage::PreKeySignalMessage(message) => message.serialized().to_vec(),
        other => other.serialize().to_vec(),
    })
}

/// The first version of [`NAME_COLLECTION`]: one change, which sets the account's name.
pub(super) fn name_patch(phone: &Phone, seconds: i64, rng: &mut StdRng) -> Vec<u8> {
    let keys = expand_app_state_keys(&phone.app_state_key.data);
    let value = SyncActionValue {
        timestamp: Some(seconds.saturating_mul(1000)),
        push_name_setting: MessageField::some(PushNameSetting { name: Some(phone.name.clone()) }),
        ..Default::default()
    };
    let (mutation, _) = encode_record(
        SyncdOperation::SET,
        br#"["setting_pushName"]"#,
        &value,
        &keys,
        &phone.app_state_key.id,
        &rng.random(),
        1,
    );
    let mut state = HashState { version: NAME_VERSION, ..Default::default() };
    let mutations = vec![mutation];
    // A new collection has no earlier value to take out of the hash, so the look-up cannot fail.
    let (_, result) = state.update_hash(&mutations, |_, _| Ok(None));
    result.expect("adding to an empty collection cannot fail");
    let mut patch = SyncdPatch {
        version: MessageField::some(SyncdVersion { version: Some(NAME_VERSION) }),
        mutations,
        snapshot_mac: Some(state.generate_snapshot_mac(NAME_COLLECTION, &keys.snapshot_mac)),
        key_id: MessageField::some(KeyId { id: Some(phone.app_state_key.id.to_vec()) }),
        ..Default::default()
    };
    patch.patch_mac = Some(generate_patch_mac(&patch, NAME_COLLECTION, &keys.patch_mac, NAME_VERSION));
    patch.encode_to_vec()
}

/// A store for the one session of a message that is never answered.
#[derive(Default)]
struct OneSession(Option<SessionRecord>);

#[async_trait]
impl SessionStore for OneSession {
    async fn load_session(&self, _address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.clone())
    }

    async fn has_session(&self, _address: &ProtocolAddress) -> Result<bool> {
        Ok(self.0.is_some())
    }

    async fn store_session(&mut self, _address: &ProtocolAddress, record: SessionRecord) -> Result<()> {
        self.0 = Some(record);
        Ok(())
    }
}

/// The phone as a Signal identity; it trusts the devices it has linked itself.
struct PhoneIdentity<'a>(&'a Phone);

#[async_trait]
impl IdentityKeyStore for PhoneIdentity<'_> {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair> {
        let key = &self.0.identity;
        Ok(IdentityKeyPair::new(IdentityKey::new(key.public_key), key.private_key.clone()))
    }

    async fn get_local_registration_id(&self) -> Result<u32> {
        Ok(self.0.registration_id)
    }

    async fn save_identity(&mut self, _address: &ProtocolAddress, _identity: &IdentityKey) -> Result<IdentityChange> {
        Ok(IdentityChange::NewOrUnchanged)
    }

    async fn is_trusted_identity(
        &self,
        _address: &ProtocolAddress,
        _identity: &IdentityKey,
        _direction: Direction,
    ) -> Result<bool> {
        Ok(true)
    }

    async fn get_identity(&self, _address: &ProtocolAddress) -> Result<Option<IdentityKey>> {
        Ok(None)
    }
}
