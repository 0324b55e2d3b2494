//! What a phone gives a device it has just linked: the key of the account's app state, as an encrypted message, and the
//! account's name, as the first change in the collection `critical_block`.
//!
//! Without the key a client waits ten seconds before it calls itself connected; without a name, at every log-in.

use buffa::{Message as _, MessageField};
use rand::RngExt as _;
use rand::rngs::StdRng;
use wacore::appstate::encode::encode_record;
use wacore::appstate::hash::{HashState, generate_patch_mac};
use wacore::appstate::keys::expand_app_state_keys;
use wacore::libsignal::protocol::SignalProtocolError;
use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;
use waproto::whatsapp::message::protocol_message::Type;
use waproto::whatsapp::message::{
    AppStateSyncKey, AppStateSyncKeyData, AppStateSyncKeyFingerprint, AppStateSyncKeyId, AppStateSyncKeyShare,
    ProtocolMessage,
};
use waproto::whatsapp::sync_action_value::PushNameSetting;
use waproto::whatsapp::syncd_mutation::SyncdOperation;
use waproto::whatsapp::{KeyId, Message, SyncActionValue, SyncdPatch, SyncdVersion};

use super::device::Device;
use super::messages::{KeyBundle, Signal};
use super::phone::Phone;

/// The collection that holds the account's name.
pub(super) const NAME_COLLECTION: &str = "critical_block";
/// Its version once the name is in it.
const NAME_VERSION: u64 = 1;

type Result<T> = std::result::Result<T, SignalProtocolError>;

/// The message that carries the app-state key to a device, with the id its receipt will name.
pub(super) fn key_share(
    phone: &Phone,
    device: &Device,
    signal: &mut Signal,
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
    // A session from the device's signed prekey, whatever was there before: a device that lacks the key may have lost
    // its sessions too.
    let keys = KeyBundle {
        registration_id: device.registration.signal_id,
        identity_key: device.registration.identity_key,
        signed_prekey: device.registration.signed_prekey.clone(),
        prekey: None,
        device_identity: None,
    };
    signal.begin(&device.id, &keys, rng)?;
    let (_, sealed) = signal.seal(&device.id, &plain)?;
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
