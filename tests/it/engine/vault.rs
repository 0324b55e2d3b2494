//! Secrets at rest: one key an instance, and never a new key over old data.

use std::path::Path;

use wagate::config;
use wagate::store::vault::{CipherError, Vault, VaultError};

use super::{House, no_keys};

const ID: &str = "7K2M9QX4T0AB";

fn key_at(id: &str, path: &Path) -> config::Vault {
    config::Vault { keys: [(id.to_owned(), path.to_owned())].into(), active: String::new() }
}

#[tokio::test]
async fn what_one_start_sealed_the_next_one_opens() {
    let house = House::new().await;
    let (id, _) = house.instance(ID).await;
    let mut conn = house.pool().acquire().await.unwrap();
    let sealed = house.vault.cipher(&mut conn, id).await.unwrap().seal("session", b"row", b"a secret");
    let next = Vault::open(&no_keys(), house.data_dir.path(), house.pool()).await.unwrap();
    let cipher = next.cipher(&mut conn, id).await.unwrap();
    assert_eq!(cipher.open("session", b"row", &sealed), Ok(b"a secret".to_vec()));
}

#[tokio::test]
async fn an_old_database_without_its_key_file_is_refused_and_no_key_is_made() {
    let house = House::new().await;
    let (id, _) = house.instance(ID).await;
    house.vault.cipher(&mut house.pool().acquire().await.unwrap(), id).await.unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let error = Vault::open(&no_keys(), elsewhere.path(), house.pool()).await.unwrap_err();
    assert!(matches!(error, VaultError::Missing { .. }), "{error}");
    assert!(error.to_string().contains("vault.key"), "it names the file: {error}");
    assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn another_key_under_the_same_name_is_refused() {
    let house = House::new().await;
    let other = House::new().await;
    let wrong = key_at("local", &other.data_dir.path().join("vault.key"));
    let error = Vault::open(&wrong, house.data_dir.path(), house.pool()).await.unwrap_err();
    assert!(matches!(&error, VaultError::Wrong { id } if id == "local"), "{error}");
}

#[tokio::test]
async fn a_key_in_use_must_stay_among_the_configured_ones() {
    let house = House::new().await;
    let (id, _) = house.instance(ID).await;
    house.vault.cipher(&mut house.pool().acquire().await.unwrap(), id).await.unwrap();
    let other = House::new().await;
    let new_only = key_at("2027", &other.data_dir.path().join("vault.key"));
    let error = Vault::open(&new_only, house.data_dir.path(), house.pool()).await.unwrap_err();
    assert!(matches!(&error, VaultError::Missing { id, .. } if id == "local"), "{error}");

    let mut both = new_only;
    both.keys.insert("local".to_owned(), house.data_dir.path().join("vault.key"));
    both.active = "2027".to_owned();
    let vault = Vault::open(&both, house.data_dir.path(), house.pool()).await.unwrap();
    let (second, _) = house.instance("7K2M9QX4T0AC").await;
    let mut conn = house.pool().acquire().await.unwrap();
    vault.cipher(&mut conn, second).await.unwrap();
    vault.cipher(&mut conn, id).await.unwrap();
    let wrapped_by: Vec<String> = sqlx::query_scalar("SELECT kek_id FROM instance_key ORDER BY instance_id")
        .fetch_all(house.pool())
        .await
        .unwrap();
    assert_eq!(wrapped_by, ["local", "2027"]);
}

#[tokio::test]
async fn nodes_that_ask_at_once_get_one_key() {
    let house = House::new().await;
    let (id, _) = house.instance(ID).await;
    let ask = || async {
        let vault = Vault::open(&no_keys(), house.data_dir.path(), house.pool()).await.unwrap();
        vault.cipher(&mut house.pool().acquire().await.unwrap(), id).await.unwrap().lookup_key(&[b"probe"])
    };
    let (one, two, three) = tokio::join!(ask(), ask(), ask());
    assert!(one == two && two == three);
}

#[tokio::test]
async fn a_key_that_was_rolled_back_is_not_remembered() {
    let house = House::new().await;
    let (id, _) = house.instance(ID).await;
    let mut transaction = house.pool().begin().await.unwrap();
    let lost = house.vault.cipher(&mut transaction, id).await.unwrap().lookup_key(&[b"probe"]);
    let same = house.vault.cipher(&mut transaction, id).await.unwrap().lookup_key(&[b"probe"]);
    assert_eq!(lost, same);
    transaction.rollback().await.unwrap();
    let mut conn = house.pool().acquire().await.unwrap();
    let kept = house.vault.cipher(&mut conn, id).await.unwrap().lookup_key(&[b"probe"]);
    assert_ne!(lost, kept);
    let next = Vault::open(&no_keys(), house.data_dir.path(), house.pool()).await.unwrap();
    assert_eq!(next.cipher(&mut conn, id).await.unwrap().lookup_key(&[b"probe"]), kept);
}

#[tokio::test]
async fn what_was_sealed_before_a_shredding_opens_never_again() {
    let house = House::new().await;
    let (id, _) = house.instance(ID).await;
    let mut conn = house.pool().acquire().await.unwrap();
    let before = house.vault.cipher(&mut conn, id).await.unwrap();
    let sealed = before.seal("session", b"row", b"a secret");
    let content = before.content().seal("event", b"row", b"an event");
    house.vault.shred(&mut conn, id).await.unwrap();
    house.vault.forget(id);
    let cipher = house.vault.cipher(&mut conn, id).await.unwrap();
    assert_eq!(cipher.open("session", b"row", &sealed), Err(CipherError::Mismatch));
    assert_eq!(cipher.content().open("event", b"row", &content), Ok(b"an event".to_vec()), "what was told stays");
}

#[tokio::test]
async fn an_instance_of_the_release_before_gets_its_content_key_when_it_is_needed() {
    let house = House::new().await;
    let (id, _) = house.instance(ID).await;
    let mut conn = house.pool().acquire().await.unwrap();
    let before = house.vault.cipher(&mut conn, id).await.unwrap().lookup_key(&[b"probe"]);
    sqlx::query("UPDATE instance_key SET content_kek_id = NULL, content_wrapped = NULL")
        .execute(house.pool())
        .await
        .unwrap();
    let ask = || async {
        let vault = Vault::open(&no_keys(), house.data_dir.path(), house.pool()).await.unwrap();
        vault.cipher(&mut house.pool().acquire().await.unwrap(), id).await.unwrap()
    };
    let (one, two) = tokio::join!(ask(), ask());
    assert_eq!(one.lookup_key(&[b"probe"]), before, "the other key stays");
    assert_eq!(one.content().lookup_key(&[b"probe"]), two.content().lookup_key(&[b"probe"]));
    assert_ne!(one.content().lookup_key(&[b"probe"]), before);
}

/// Two keys, the second one active.
fn old_and_new(old: &House, new: &House) -> config::Vault {
    let mut keys = key_at("local", &old.data_dir.path().join("vault.key"));
    keys.keys.insert("new".to_owned(), new.data_dir.path().join("vault.key"));
    "new".clone_into(&mut keys.active);
    keys
}

#[tokio::test]
async fn a_rotation_that_was_broken_off_goes_on_and_then_the_new_key_alone_opens_everything() {
    let (house, other) = (House::new().await, House::new().await);
    let mut conn = house.pool().acquire().await.unwrap();
    let mut sealed = Vec::new();
    for text in ["7K2M9QX4T0AA", "7K2M9QX4T0AB", "7K2M9QX4T0AC", "7K2M9QX4T0AD", "7K2M9QX4T0AE"] {
        let (id, _) = house.instance(text).await;
        let cipher = house.vault.cipher(&mut conn, id).await.unwrap();
        let content = cipher.content().seal("event", b"row", text.as_bytes());
        sealed.push((id, cipher.seal("session", b"row", text.as_bytes()), content));
    }
    let both = Vault::open(&old_and_new(&house, &other), house.data_dir.path(), house.pool()).await.unwrap();
    let first = both.rewrap_batch(&mut conn, None, 2).await.unwrap();
    assert_eq!((first.rewrapped, first.last), (2, Some(sealed[1].0)));
    assert_eq!(both.count(&mut conn).await.unwrap(), (5, 3));
    let mut lost = house.pool().begin().await.unwrap();
    both.rewrap_batch(&mut lost, first.last, 2).await.unwrap();
    lost.rollback().await.unwrap();

    let mut told = Vec::new();
    let rotation = both.rotate(house.database.store(), |so_far| told.push(so_far.rewrapped)).await.unwrap();
    assert_eq!((rotation.rewrapped, rotation.damaged.len(), told), (3, 0, vec![3]));
    let again = both.rotate(house.database.store(), |_| panic!("there is nothing left")).await.unwrap();
    assert_eq!(again.rewrapped, 0);

    let new_alone = key_at("new", &other.data_dir.path().join("vault.key"));
    let alone = Vault::open(&new_alone, house.data_dir.path(), house.pool()).await.unwrap();
    for (id, sealed, content) in sealed {
        let cipher = alone.cipher(&mut conn, id).await.unwrap();
        assert_eq!(cipher.open("session", b"row", &sealed), Ok(id.as_str().as_bytes().to_vec()));
        assert_eq!(cipher.content().open("event", b"row", &content), Ok(id.as_str().as_bytes().to_vec()));
    }
}

#[tokio::test]
async fn a_damaged_key_is_named_left_as_it_is_and_does_not_stop_the_rotation() {
    let (house, other) = (House::new().await, House::new().await);
    let mut conn = house.pool().acquire().await.unwrap();
    let (damaged, _) = house.instance(ID).await;
    let (whole, _) = house.instance("7K2M9QX4T0AC").await;
    for id in [damaged, whole] {
        house.vault.cipher(&mut conn, id).await.unwrap();
    }
    sqlx::query(
        "UPDATE instance_key SET wrapped = set_byte(wrapped, 30, get_byte(wrapped, 30) # 1) WHERE instance_id = $1",
    )
    .bind(ID)
    .execute(house.pool())
    .await
    .unwrap();
    let both = Vault::open(&old_and_new(&house, &other), house.data_dir.path(), house.pool()).await.unwrap();
    let rotation = both.rotate(house.database.store(), |_| {}).await.unwrap();
    assert_eq!((rotation.rewrapped, rotation.damaged), (1, vec![damaged]));
    assert_eq!(both.count(&mut conn).await.unwrap(), (2, 1));
}
