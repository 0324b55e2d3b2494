//! Key-encryption keys: 32 bytes as base64, each in a file outside the database.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};

use crate::config;

use super::VaultError;
use super::cipher::{self, KEY_LENGTH, Key};

/// The id of the key that a first start makes by itself.
pub(super) const LOCAL_ID: &str = "local";

const LOCAL_FILE: &str = "vault.key";

/// The keys this process was given, by id, and which of them wraps new instance keys.
pub(super) struct Keks {
    pub(super) keys: BTreeMap<String, Key>,
    pub(super) active: String,
}

/// Where the key of a first start is kept.
pub(super) fn local_path(data_dir: &Path) -> PathBuf {
    data_dir.join(LOCAL_FILE)
}

/// Reads the configured keys, or the one in the data folder; `None` if none is configured and none was ever made there.
pub(super) fn load(config: &config::Vault, data_dir: &Path) -> Result<Option<Keks>, VaultError> {
    if config.keys.is_empty() {
        if !config.active.is_empty() && config.active != LOCAL_ID {
            return Err(VaultError::UnknownActive { id: config.active.clone() });
        }
        let path = local_path(data_dir);
        return match read(&path) {
            Ok(key) => {
                Ok(Some(Keks { keys: BTreeMap::from([(LOCAL_ID.to_owned(), key)]), active: LOCAL_ID.to_owned() }))
            }
            Err(VaultError::Read { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        };
    }
    let active = match (config.active.as_str(), config.keys.len()) {
        ("", 1) => config.keys.keys().next().cloned().unwrap_or_default(),
        ("", _) => return Err(VaultError::NoActive),
        (id, _) if config.keys.contains_key(id) => id.to_owned(),
        (id, _) => return Err(VaultError::UnknownActive { id: id.to_owned() }),
    };
    let keys = config
        .keys
        .iter()
        .map(|(id, path)| Ok((id.clone(), read(path)?)))
        .collect::<Result<BTreeMap<_, _>, VaultError>>()?;
    Ok(Some(Keks { keys, active }))
}

/// Makes the key of a first start. Two processes that start at once end up with the same one.
pub(super) fn create(data_dir: &Path) -> Result<Keks, VaultError> {
    let path = local_path(data_dir);
    let failed = |source| VaultError::Write { path: path.clone(), source };
    fs::create_dir_all(data_dir).map_err(failed)?;
    // Written whole under a name of its own and then linked: whoever sees the file sees all of it, and nobody's file
    // is ever replaced.
    let draft = data_dir.join(format!(".{LOCAL_FILE}.{}", std::process::id()));
    let key = cipher::random_key();
    let text = Zeroizing::new(format!("{}\n", BASE64_STANDARD.encode(key.expose_secret())));
    let write = || -> io::Result<()> {
        let _ = fs::remove_file(&draft);
        let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()
    };
    write().map_err(failed)?;
    let linked = fs::hard_link(&draft, &path);
    let _ = fs::remove_file(&draft);
    match linked {
        Ok(()) => fs::File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(failed(error)),
    }
    Ok(Keks { keys: BTreeMap::from([(LOCAL_ID.to_owned(), read(&path)?)]), active: LOCAL_ID.to_owned() })
}

fn read(path: &Path) -> Result<Key, VaultError> {
    let text =
        Zeroizing::new(fs::read_to_string(path).map_err(|source| VaultError::Read { path: path.to_owned(), source })?);
    let bytes = BASE64_STANDARD
        .decode(text.trim())
        .map(Zeroizing::new)
        .ok()
        .filter(|bytes| bytes.len() == KEY_LENGTH)
        .ok_or_else(|| VaultError::NotAKey { path: path.to_owned() })?;
    Ok(SecretBox::init_with_mut(|key: &mut [u8; KEY_LENGTH]| key.copy_from_slice(&bytes)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn config(keys: &[(&str, &Path)], active: &str) -> config::Vault {
        config::Vault {
            keys: keys.iter().map(|(id, path)| ((*id).to_owned(), path.to_path_buf())).collect(),
            active: active.to_owned(),
        }
    }

    #[test]
    fn the_key_of_a_first_start_is_private_and_made_once() {
        let dir = tempfile::tempdir().unwrap();
        assert!(load(&config(&[], ""), dir.path()).unwrap().is_none());
        let made = create(dir.path()).unwrap();
        let again = create(dir.path()).unwrap();
        let read = load(&config(&[], ""), dir.path()).unwrap().unwrap();
        let key = |keks: &Keks| *keks.keys[LOCAL_ID].expose_secret();
        assert_eq!(key(&made), key(&again));
        assert_eq!(key(&made), key(&read));
        let mode = fs::metadata(local_path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left behind");
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("short.key");
        fs::write(&path, "c2hvcnQ=\n").unwrap();
        let error = load(&config(&[("a", &path)], ""), dir.path()).err().unwrap();
        assert!(matches!(&error, VaultError::NotAKey { path: named } if *named == path), "{error}");
    }

    #[test]
    fn of_several_keys_one_must_be_named_active() {
        let dir = tempfile::tempdir().unwrap();
        create(dir.path()).unwrap();
        let path = local_path(dir.path());
        assert!(matches!(load(&config(&[("a", &path), ("b", &path)], ""), dir.path()), Err(VaultError::NoActive)));
        assert!(matches!(load(&config(&[("a", &path)], "b"), dir.path()), Err(VaultError::UnknownActive { .. })));
        assert_eq!(load(&config(&[("a", &path), ("b", &path)], "b"), dir.path()).unwrap().unwrap().active, "b");
        assert_eq!(load(&config(&[("a", &path)], ""), dir.path()).unwrap().unwrap().active, "a");
    }
}
