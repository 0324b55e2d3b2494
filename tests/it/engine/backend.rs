//! What the client's storage promises beyond doing what the library's own does.

use std::sync::Arc;

use bytes::Bytes;
use wacore::store::Device;
use wacore::store::traits::{DeviceStore, LidPnMappingEntry, ProtocolStore, SignalStore};

use super::House;

const ID: &str = "7K2M9QX4T0AB";
const NUMBER: &str = "201012345678";

#[tokio::test]
async fn a_stale_owner_writes_nothing() {
    let house = House::new().await;
    let (id, fence) = house.instance(ID).await;
    let backend = house.backend(id, fence).await;
    backend.put_session("1@lid", b"before").await.unwrap();
    house.lose_lease(id).await;

    let error = backend.put_session("1@lid", b"after").await.unwrap_err();
    let source = std::error::Error::source(&error).unwrap();
    assert_eq!(source.to_string(), "the lease of the instance belongs to another owner");
    for refused in [
        backend.store_prekeys_batch(&[(1, Bytes::from_static(b"k"))], false).await,
        backend.delete_session("1@lid").await,
        backend.save(&Device::new()).await,
        backend.create().await.map(drop),
        backend.remove_prekey(1).await,
        backend.take_sent_message("c", "m").await.map(drop),
        backend.delete_expired_sent_messages(i64::MAX).await.map(drop),
        backend.clear_all_sender_key_devices().await,
        backend.put_lid_mappings(&[mapping()]).await,
        backend.touch_tc_token_sender_timestamp("j", 1).await,
    ] {
        assert!(refused.is_err());
    }
    assert_eq!(backend.get_session("1@lid").await.unwrap(), Some(Bytes::from_static(b"before")));
    assert_eq!(house.rows(id).await, 1);
}

#[tokio::test]
async fn no_phone_number_and_no_key_stands_in_the_database_in_clear() {
    let house = House::new().await;
    let (id, fence) = house.instance(ID).await;
    let backend = house.backend(id, fence).await;
    let address = format!("{NUMBER}@s.whatsapp.net");
    let mut device = Device::new();
    device.pn = Some(address.parse().unwrap());
    backend.save(&device).await.unwrap();
    backend.put_session(&address, NUMBER.as_bytes()).await.unwrap();
    backend.put_identity(&address, [0x41; 32]).await.unwrap();
    backend.store_prekey(1, &[0x41; 64], false).await.unwrap();
    backend.put_lid_mapping(&mapping()).await.unwrap();
    backend.set_sender_key_status("g@g.us", &[(&address, true)]).await.unwrap();
    backend.touch_tc_token_sender_timestamp(&address, 1).await.unwrap();
    backend.store_sent_message(&address, "m", b"text").await.unwrap();
    backend.store_pending_inbound(&address, &address, "m", b"text").await.unwrap();

    let everything: Vec<String> = sqlx::query_scalar(
        "SELECT encode(scope || key || value, 'hex') FROM engine_state
         UNION ALL SELECT encode(wrapped, 'hex') FROM instance_key",
    )
    .fetch_all(house.pool())
    .await
    .unwrap();
    assert_eq!(everything.len(), 11);
    let hex = |bytes: &[u8]| bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).map(digit).collect::<String>();
    for secret in [hex(NUMBER.as_bytes()), hex(&[0x41; 16]), hex(b"whatsapp"), hex(b"text")] {
        assert!(everything.iter().all(|row| !row.contains(&secret)), "{secret}");
    }
}

#[tokio::test]
async fn the_812_prekeys_of_a_device_take_thirteen_rows() {
    let house = House::new().await;
    let (id, fence) = house.instance(ID).await;
    let backend = house.backend(id, fence).await;
    let keys: Vec<(u32, Bytes)> = (1..=812_u32).map(|id| (id, Bytes::from(id.to_be_bytes().repeat(18)))).collect();
    backend.store_prekeys_batch(&keys, false).await.unwrap();
    assert_eq!(house.rows(id).await, 13);
    assert_eq!(backend.get_max_prekey_id().await.unwrap(), 812);
    let ids: Vec<u32> = (1..=812).collect();
    assert_eq!(backend.load_prekeys_batch(&ids).await.unwrap(), keys);

    // Consumed, and not brought back by what the client says about its upload.
    backend.remove_prekey(64).await.unwrap();
    backend.mark_prekeys_uploaded(&ids).await.unwrap();
    assert_eq!(backend.load_prekey(64).await.unwrap(), None);
    for id in 1..=812 {
        backend.remove_prekey(id).await.unwrap();
    }
    assert_eq!(house.rows(id).await, 0);
    assert_eq!(backend.get_max_prekey_id().await.unwrap(), 0);
}

#[tokio::test]
async fn writes_at_once_lose_none_of_each_other() {
    let house = House::new().await;
    let (id, fence) = house.instance(ID).await;
    let backend = Arc::new(house.backend(id, fence).await);
    let tasks: Vec<_> = (0..40)
        .map(|id| {
            let backend = Arc::clone(&backend);
            tokio::spawn(async move { backend.store_prekey(id, b"key", false).await })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    let ids: Vec<u32> = (0..40).collect();
    assert_eq!(backend.load_prekeys_batch(&ids).await.unwrap().len(), 40);
}

#[tokio::test]
async fn instances_see_nothing_of_each_other() {
    let house = House::new().await;
    let (one, fence) = house.instance(ID).await;
    let (other, _) = house.instance("7K2M9QX4T0AC").await;
    house.backend(one, fence).await.put_session("1@lid", b"session").await.unwrap();
    assert_eq!(house.backend(other, fence).await.get_session("1@lid").await.unwrap(), None);
    // Nor does a row copied over open there.
    sqlx::query("UPDATE engine_state SET instance_id = $1").bind(other.as_str()).execute(house.pool()).await.unwrap();
    let rows: Vec<(Vec<u8>, Vec<u8>)> =
        sqlx::query_as("SELECT scope, key FROM engine_state").fetch_all(house.pool()).await.unwrap();
    assert_eq!(rows.len(), 1);
    assert_eq!(house.backend(other, fence).await.get_session("1@lid").await.unwrap(), None);
}

fn mapping() -> LidPnMappingEntry {
    LidPnMappingEntry {
        lid: "100000012345678".to_owned(),
        phone_number: NUMBER.to_owned(),
        created_at: 1,
        updated_at: 2,
        learning_source: "usync".to_owned(),
    }
}

fn digit(half: u8) -> char {
    char::from_digit(half.into(), 16).expect("four bits are a digit")
}
