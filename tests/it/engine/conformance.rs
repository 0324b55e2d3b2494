//! Our storage and the library's in-memory one, put through the same random operations, give the same answers.

use std::sync::Arc;

use bytes::Bytes;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use wacore::appstate::hash::HashState;
use wacore::appstate::processor::AppStateMutationMAC;
use wacore::store::InMemoryBackend;
use wacore::store::traits::{
    AppStateSyncKey, AppSyncStore, Backend, DeviceInfo, DeviceListRecord, LidPnMappingEntry, MsgSecretEntry,
    PendingInboundKey, PendingInboundRow, TcTokenEntry,
};

use super::House;

const OPERATIONS: usize = 1500;

/// What an operation is given: drawn from so few values that they meet.
struct Arguments {
    operation: u32,
    address: String,
    other: String,
    user: String,
    group: String,
    id: u32,
    ids: Vec<u32>,
    bytes: Vec<u8>,
    array: [u8; 32],
    time: i64,
    other_time: i64,
    flag: bool,
}

impl Arguments {
    fn draw(rng: &mut StdRng) -> Self {
        let mut bytes = vec![0; rng.random_range(1..40)];
        rng.fill(bytes.as_mut_slice());
        let address = |rng: &mut StdRng| match (rng.random_range(1..5), rng.random_range(0..3)) {
            (user, 0) => format!("{user}0@lid"),
            (user, device) => format!("{user}0:{device}@s.whatsapp.net"),
        };
        Self {
            operation: rng.random_range(0..OPERATION_KINDS),
            address: address(rng),
            other: address(rng),
            user: format!("{}0", rng.random_range(0..6)),
            group: format!("{}@g.us", rng.random_range(0..3)),
            id: rng.random_range(0..200),
            ids: (0..rng.random_range(0..8)).map(|_| rng.random_range(0..200)).collect(),
            bytes,
            array: [rng.random_range(0..4); 32],
            time: rng.random_range(0..6),
            other_time: rng.random_range(0..6),
            flag: rng.random(),
        }
    }

    fn mapping(&self, lid: i64, phone: &str) -> LidPnMappingEntry {
        LidPnMappingEntry {
            lid: format!("lid{lid}"),
            phone_number: phone.to_owned(),
            created_at: self.time,
            updated_at: self.other_time,
            learning_source: "usync".to_owned(),
        }
    }

    fn device_list(&self, user: &str) -> DeviceListRecord {
        DeviceListRecord {
            user: user.to_owned(),
            devices: vec![DeviceInfo::new(self.id, Some(1))],
            timestamp: self.time,
            phash: self.flag.then(|| "phash".to_owned()),
            raw_id: self.flag.then_some(self.id),
        }
    }

    fn secret(&self, msg_id: i64, expires_at: i64) -> MsgSecretEntry {
        MsgSecretEntry {
            chat: Arc::from(self.group.as_str()),
            sender: Arc::from(self.user.as_str()),
            msg_id: Arc::from(msg_id.to_string()),
            secret: self.array,
            expires_at,
            message_ts: self.time,
        }
    }
}

const OPERATION_KINDS: u32 = 72;

/// Does one operation and writes down what came of it, in an order that does not depend on a hash map.
async fn perform(backend: &dyn Backend, with: &Arguments) -> String {
    let Arguments { address, other, user, group, id, ids, bytes, array, time, other_time, flag, .. } = with;
    let mac = |index: u8, value: &[u8]| AppStateMutationMAC { index_mac: vec![index; 32], value_mac: value.to_vec() };
    let index = array[0];
    macro_rules! said {
        ($call:expr) => {
            format!("{:?}", $call.await.expect("the storage answers"))
        };
    }
    macro_rules! sorted {
        ($call:expr) => {{
            let mut list: Vec<String> =
                $call.await.expect("the storage answers").into_iter().map(|item| format!("{item:?}")).collect();
            list.sort();
            list.join("\n")
        }};
    }
    match with.operation {
        0 => said!(backend.put_identity(address, *array)),
        1 => said!(
            backend
                .put_identities_batch(&[(Arc::from(address.as_str()), *array), (Arc::from(other.as_str()), [9; 32]),])
        ),
        2 | 3 => said!(backend.load_identity(address)),
        4 => said!(backend.delete_identity(address)),
        5 | 6 => said!(backend.get_session(address)),
        7 => said!(backend.put_session(address, bytes)),
        8 => said!(backend.put_sessions_batch(&[
            (Arc::from(address.as_str()), Bytes::copy_from_slice(bytes)),
            (Arc::from(other.as_str()), Bytes::from_static(b"other")),
        ])),
        9 => said!(backend.delete_session(address)),
        10 => said!(backend.has_session(address)),
        11 | 12 => said!(backend.has_signal_state_for_user(user)),
        13 => said!(backend.store_prekey(*id, bytes, *flag)),
        14 => {
            let keys: Vec<_> = ids.iter().map(|id| (*id, Bytes::copy_from_slice(&id.to_be_bytes()))).collect();
            said!(backend.store_prekeys_batch(&keys, *flag))
        }
        15 | 16 => said!(backend.load_prekey(*id)),
        17 => said!(backend.load_prekeys_batch(ids)),
        18 => said!(backend.mark_prekeys_uploaded(ids)),
        19 | 20 => said!(backend.remove_prekey(*id)),
        21 => said!(backend.get_max_prekey_id()),
        22 => said!(backend.store_signed_prekey(*id % 4, bytes)),
        23 => said!(backend.load_signed_prekey(*id % 4)),
        24 => sorted!(backend.load_all_signed_prekeys()),
        25 => said!(backend.remove_signed_prekey(*id % 4)),
        26 => said!(backend.put_sender_key(address, bytes)),
        27 => said!(backend.put_sender_keys_batch(&[(Arc::from(other.as_str()), Bytes::copy_from_slice(bytes))])),
        28 => said!(backend.get_sender_key(address)),
        29 => said!(backend.delete_sender_key(address)),
        30 => said!(backend.get_sync_key(array)),
        31 => {
            let key = AppStateSyncKey { key_data: bytes.clone(), fingerprint: vec![1], timestamp: *time };
            said!(backend.set_sync_key(array, key))
        }
        32 => said!(backend.get_latest_sync_key_id()),
        33 => said!(backend.get_version(user)),
        34 => {
            let state = HashState { version: u64::from(*id), ..HashState::default() };
            said!(backend.set_version(user, state))
        }
        35 | 36 => said!(backend.put_mutation_macs(group, 1, &[mac(index, bytes), mac(7, b"seven"), mac(7, b"7")])),
        37 => said!(backend.get_mutation_mac(group, array)),
        38 => sorted!(AppSyncStore::get_mutation_macs(backend, group, &[*array, [7; 32], *array])),
        39 => said!(backend.delete_mutation_macs(group, &[array.to_vec()])),
        40 => said!(backend.clear_mutation_macs(group)),
        41 | 42 => sorted!(backend.get_sender_key_devices(group)),
        43 => said!(backend.set_sender_key_status(group, &[(address, *flag), (other, !*flag)])),
        44 => said!(backend.clear_sender_key_devices(group)),
        45 => said!(backend.delete_sender_key_device_rows(&[address, other])),
        46 if *id < 20 => said!(backend.clear_all_sender_key_devices()),
        46 => said!(backend.delete_sender_key_device_rows(&[])),
        47 => said!(backend.get_lid_mapping(&format!("lid{time}"))),
        48 => said!(backend.get_pn_mapping(user)),
        49 => said!(backend.put_lid_mapping(&with.mapping(*time, user))),
        50 => said!(backend.put_lid_mappings(&[with.mapping(*time, user), with.mapping(*other_time, user)])),
        51 => sorted!(backend.get_all_lid_mappings()),
        52 => said!(backend.save_base_key(address, user, array)),
        53 => said!(backend.has_same_base_key(address, user, array)),
        54 => said!(backend.delete_base_key(address, user)),
        55 => said!(backend.update_device_list(with.device_list(user))),
        56 => said!(backend.update_device_lists(vec![with.device_list(address), with.device_list(user)])),
        57 => said!(backend.get_devices(user)),
        58 => said!(backend.delete_devices(user)),
        59 if *flag => said!(backend.put_group_metadata(group, bytes)),
        59 => said!(backend.delete_group_metadata(group)),
        60 => said!(backend.get_group_metadata(group)),
        61 => said!(backend.get_tc_token(user)),
        62 => {
            let token = if *flag { bytes.clone() } else { Vec::new() };
            let entry = TcTokenEntry { token, token_timestamp: *time, sender_timestamp: flag.then_some(*other_time) };
            said!(backend.put_tc_token(user, &entry))
        }
        63 if *flag => said!(backend.delete_tc_token(user)),
        63 => sorted!(backend.get_all_tc_token_jids()),
        64 => said!(backend.delete_expired_tc_tokens(*time, *other_time)),
        65 => said!(backend.touch_tc_token_sender_timestamp(user, *time)),
        66 => said!(backend.store_received_tc_token(user, bytes, *time)),
        67 => match *time {
            0 | 1 => said!(backend.store_sent_message(group, user, bytes)),
            2 => said!(backend.delete_expired_sent_messages(1)),
            3 => said!(backend.delete_expired_sent_messages(i64::MAX)),
            _ => said!(backend.take_sent_message(group, user)),
        },
        68 => match *time {
            0 | 1 => said!(backend.store_pending_inbound(group, user, "id", bytes)),
            2 => {
                let row = |message| PendingInboundRow { chat: group, sender: user, id: "id", message };
                said!(backend.store_pending_inbound_batch(&[row(b"first"), row(bytes)]))
            }
            3 => said!(backend.delete_pending_inbound(group, user, "id")),
            4 => said!(backend.delete_expired_pending_inbound(i64::MAX)),
            _ => said!(backend.delete_pending_inbound_batch(&[PendingInboundKey {
                chat: group,
                sender: user,
                id: "id"
            }])),
        },
        // Ours refuses what is not there, so that WhatsApp sends it again: nobody took it in.
        69 => format!("{:?}", backend.get_pending_inbound(group, user, "id").await.unwrap_or_default()),
        70 => match *id % 3 {
            0 => said!(backend.put_msg_secret(group, user, &time.to_string(), array)),
            1 => said!(backend.delete_expired_msg_secrets(*time)),
            _ => said!(backend.put_msg_secrets(vec![
                with.secret(*time, *other_time),
                with.secret(*other_time, *time),
                with.secret(*time, 3),
            ])),
        },
        _ => format!(
            "{} {}",
            said!(backend.get_msg_secret(group, user, &time.to_string())),
            said!(backend.get_msg_secret_with_ts(group, user, &other_time.to_string())),
        ),
    }
}

#[tokio::test]
async fn our_storage_answers_like_that_of_the_library() {
    let house = House::new().await;
    let (id, fence) = house.instance("7K2M9QX4T0AB").await;
    let ours = house.backend(id, fence).await;
    let theirs = InMemoryBackend::new();
    let mut rng = StdRng::seed_from_u64(812);
    let mut informative = 0;
    for number in 0..OPERATIONS {
        let with = Arguments::draw(&mut rng);
        let (expected, found) = (perform(&theirs, &with).await, perform(&ours, &with).await);
        assert_eq!(found, expected, "operation {} as number {number}", with.operation);
        informative += usize::from(!matches!(expected.as_str(), "()" | "None" | "" | "false"));
    }
    assert!(informative > OPERATIONS / 6, "only {informative} answers said anything: the draw is too wide");
}

#[tokio::test]
async fn a_device_is_made_once_saved_and_loaded() {
    let house = House::new().await;
    let (id, fence) = house.instance("7K2M9QX4T0AB").await;
    let ours = house.backend(id, fence).await;
    let ours: &dyn Backend = &ours;
    assert!(!ours.exists().await.unwrap());
    assert!(ours.load().await.unwrap().is_none());
    ours.create().await.unwrap();
    let made = ours.load().await.unwrap().unwrap();
    ours.create().await.unwrap();
    assert_eq!(ours.load().await.unwrap().unwrap().registration_id, made.registration_id);
    let mut changed = made;
    changed.push_name = "Shop".to_owned();
    ours.save(&changed).await.unwrap();
    assert_eq!(ours.load().await.unwrap().unwrap().push_name, "Shop");
    assert!(ours.exists().await.unwrap());
}
