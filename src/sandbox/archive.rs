//! What the sandbox keeps in its data folder, so that a restart of either side finds the other again: one JSON file for
//! the server's key and one for each phone with its devices.
//!
//! Files are replaced, never rewritten, so a killed sandbox leaves the old or the new, never half of one. They are not
//! synced to the disk: what a power cut may take from a test network is not worth the time. The keys in them are worth
//! nothing outside of it.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;
use tracing::error;
use wacore::libsignal::protocol::{KeyPair, PrivateKey};

use super::app_state::AppState;
use super::device::{Device, DeviceId, Registration, SignedPreKey};
use super::messages::{GroupsRecord, MailRecord};
use super::network::Network;
use super::noise::ServerIdentity;
use super::phone::{AppStateKey, DeviceDetails, Phone};

/// The form of the files; another is refused.
const FORMAT: u32 = 1;

/// Why the data folder could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// A file or folder could not be read or written.
    #[error("{} could not be {action}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A file is not JSON of the expected form.
    #[error("{} is not a file of this sandbox", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Where it fails.
        #[source]
        source: serde_json::Error,
    },
    /// A file holds a key that is none, or has a form that this version does not know.
    #[error("{} holds a wrong key or has an unknown format", path.display())]
    Content {
        /// Which.
        path: PathBuf,
    },
}

type Result<T> = std::result::Result<T, ArchiveError>;

#[derive(Serialize, Deserialize)]
struct ServerRecord {
    format: u32,
    noise_key: String,
}

/// A phone and its devices, as they are stored.
#[derive(Serialize, Deserialize)]
pub(super) struct AccountRecord {
    format: u32,
    #[serde(skip)]
    file_stem: String,
    number: String,
    lid: String,
    name: String,
    identity_key: String,
    registration_id: u32,
    app_state_key_id: String,
    app_state_key: String,
    /// Patches by collection. Absent, like the picture, in what an earlier sandbox kept.
    #[serde(default)]
    app_state: BTreeMap<String, Vec<String>>,
    #[serde(default)]
    picture: Option<String>,
    next_device: u16,
    devices: Vec<DeviceRecord>,
}

#[derive(Serialize, Deserialize)]
struct DeviceRecord {
    device: u16,
    noise_key: String,
    identity_key: String,
    registration_id: u32,
    /// Absent in what an earlier sandbox kept.
    #[serde(default)]
    name: String,
    signed_prekey_id: u32,
    signed_prekey: String,
    signed_prekey_signature: String,
    raw_id: u32,
    linked_at: u64,
    key_index: u32,
    has_app_state_key: bool,
    logins: u64,
    most_live_sockets: u32,
}

fn encode(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    BASE64_STANDARD.decode(text).ok()?.try_into().ok()
}

fn encode_app_state(state: &AppState) -> BTreeMap<String, Vec<String>> {
    let encoded = |patches: &[Vec<u8>]| patches.iter().map(|patch| encode(patch)).collect();
    state.collections().map(|(name, patches)| (name.to_owned(), encoded(patches))).collect()
}

fn decode_app_state(key: &AppStateKey, kept: BTreeMap<String, Vec<String>>) -> Option<AppState> {
    let decoded = |patches: Vec<String>| {
        patches.iter().map(|patch| BASE64_STANDARD.decode(patch).ok()).collect::<Option<Vec<_>>>()
    };
    let collections = kept.into_iter().map(|(name, patches)| Some((name, decoded(patches)?)));
    AppState::restore(key, collections.collect::<Option<Vec<_>>>()?)
}

impl AccountRecord {
    /// What is stored of an account.
    pub(super) fn new<'a>(phone: &Phone, devices: impl Iterator<Item = &'a Device>) -> Self {
        Self {
            format: FORMAT,
            file_stem: file_stem(phone),
            number: phone.number.clone(),
            lid: phone.lid.clone(),
            name: phone.name.clone(),
            identity_key: encode(phone.identity.private_key.serialize()),
            registration_id: phone.registration_id,
            app_state_key_id: encode(&phone.app_state_key.id),
            app_state_key: encode(&phone.app_state_key.data),
            app_state: encode_app_state(&phone.app_state),
            picture: phone.picture.clone(),
            next_device: phone.next_device,
            devices: devices.map(DeviceRecord::new).collect(),
        }
    }

    fn restore(self) -> Option<(Phone, Vec<Device>)> {
        if self.format != FORMAT {
            return None;
        }
        let private = PrivateKey::deserialize(&decode::<32>(&self.identity_key)?).ok()?;
        let devices =
            self.devices.into_iter().map(|device| device.restore(&self.number)).collect::<Option<Vec<_>>>()?;
        let app_state_key = AppStateKey { id: decode(&self.app_state_key_id)?, data: decode(&self.app_state_key)? };
        let app_state = decode_app_state(&app_state_key, self.app_state)?;
        let phone = Phone {
            number: self.number,
            lid: self.lid,
            name: self.name,
            identity: KeyPair::new(private.public_key().ok()?, private),
            registration_id: self.registration_id,
            app_state_key,
            app_state: Arc::new(app_state),
            picture: self.picture,
            next_device: self.next_device,
        };
        Some((phone, devices))
    }
}

impl DeviceRecord {
    fn new(device: &Device) -> Self {
        let Registration { identity_key, signal_id, signed_prekey, name } = &device.registration;
        Self {
            device: device.id.device,
            noise_key: encode(&device.noise_key),
            identity_key: encode(identity_key),
            registration_id: *signal_id,
            name: name.clone(),
            signed_prekey_id: signed_prekey.id,
            signed_prekey: encode(&signed_prekey.public),
            signed_prekey_signature: encode(&signed_prekey.signature),
            raw_id: device.details.raw_id,
            linked_at: device.details.timestamp,
            key_index: device.details.key_index,
            has_app_state_key: device.has_app_state_key,
            logins: device.logins,
            most_live_sockets: device.most_live_sockets,
        }
    }

    fn restore(self, number: &str) -> Option<Device> {
        Some(Device {
            id: DeviceId { number: number.to_owned(), device: self.device },
            noise_key: decode(&self.noise_key)?,
            registration: Registration {
                identity_key: decode(&self.identity_key)?,
                signal_id: self.registration_id,
                signed_prekey: SignedPreKey {
                    id: self.signed_prekey_id,
                    public: decode(&self.signed_prekey)?,
                    signature: decode(&self.signed_prekey_signature)?,
                },
                name: self.name,
            },
            details: DeviceDetails { raw_id: self.raw_id, timestamp: self.linked_at, key_index: self.key_index },
            has_app_state_key: self.has_app_state_key,
            prekeys: Arc::default(),
            logins: self.logins,
            live_sockets: 0,
            most_live_sockets: self.most_live_sockets,
        })
    }
}

/// A phone's file is named after its key, not its number: paths end up in logs, numbers must not.
fn file_stem(phone: &Phone) -> String {
    let key = phone.identity.public_key.public_key_bytes();
    BASE64_URL_SAFE_NO_PAD.encode(&key[..12])
}

/// The data folder of a sandbox.
#[derive(Debug, Clone)]
pub(super) struct Archive {
    root: PathBuf,
}

impl Archive {
    /// Opens a data folder, which is made if there is none.
    pub(super) fn open(root: PathBuf) -> Result<Self> {
        let archive = Self { root };
        let phones = archive.phones();
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&phones);
        made.map_err(|source| ArchiveError::Io { action: "made", path: phones, source })?;
        Ok(archive)
    }

    /// The server's key, if one is kept.
    pub(super) fn server(&self) -> Result<Option<ServerIdentity>> {
        let path = self.server_file();
        if !path.exists() {
            return Ok(None);
        }
        let record: ServerRecord = read(&path)?;
        let key = decode::<32>(&record.noise_key).filter(|_| record.format == FORMAT);
        let server = key.and_then(|key| ServerIdentity::from_private(&key));
        server.map(Some).ok_or(ArchiveError::Content { path })
    }

    /// Keeps the server's key.
    pub(super) fn keep_server(&self, server: &ServerIdentity) -> Result<()> {
        let record = ServerRecord { format: FORMAT, noise_key: encode(server.private_key()) };
        replace(&self.server_file(), &record)
    }

    /// Every phone that is kept, with its devices.
    pub(super) fn accounts(&self) -> Result<Vec<(Phone, Vec<Device>)>> {
        let folder = self.phones();
        let failed = |source| ArchiveError::Io { action: "read", path: folder.clone(), source };
        let mut accounts = Vec::new();
        for entry in std::fs::read_dir(&folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if path.extension().is_some_and(|extension| extension == "json") {
                let record: AccountRecord = read(&path)?;
                accounts.push(record.restore().ok_or(ArchiveError::Content { path })?);
            }
        }
        Ok(accounts)
    }

    /// What is kept of the messages of every account.
    pub(super) fn mail(&self) -> Result<Vec<MailRecord>> {
        let folder = self.mail_folder();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let failed = |source| ArchiveError::Io { action: "read", path: folder.clone(), source };
        let entries = std::fs::read_dir(&folder).map_err(failed)?.collect::<std::result::Result<Vec<_>, _>>();
        let paths = entries.map_err(failed)?.into_iter().map(|entry| entry.path());
        paths
            .filter(|path| path.extension().is_some_and(|extension| extension == "json"))
            .map(|path| read(&path))
            .collect()
    }

    /// The groups that are kept.
    pub(super) fn groups(&self) -> Result<Option<GroupsRecord>> {
        let path = self.groups_file();
        if path.exists() { read(&path).map(Some) } else { Ok(None) }
    }

    /// Where the media server keeps its files.
    pub(super) fn media_folder(&self) -> PathBuf {
        self.root.join("media")
    }

    /// Says that an account's messages are not what they should be.
    pub(super) fn broken_mail(&self) -> ArchiveError {
        ArchiveError::Content { path: self.mail_folder() }
    }

    fn keep_mail(&self, stem: &str, mail: &MailRecord) -> Result<()> {
        let folder = self.mail_folder();
        let made = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder);
        made.map_err(|source| ArchiveError::Io { action: "made", path: folder.clone(), source })?;
        replace(&folder.join(format!("{stem}.json")), mail)
    }

    fn mail_folder(&self) -> PathBuf {
        self.root.join("mail")
    }

    fn groups_file(&self) -> PathBuf {
        self.root.join("groups.json")
    }

    /// Keeps an account.
    fn keep(&self, account: &AccountRecord) -> Result<()> {
        replace(&self.phones().join(format!("{}.json", account.file_stem)), account)
    }

    fn phones(&self) -> PathBuf {
        self.root.join("phones")
    }

    fn server_file(&self) -> PathBuf {
        self.root.join("server.json")
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let text = std::fs::read(path);
    let text = text.map_err(|source| ArchiveError::Io { action: "read", path: path.to_owned(), source })?;
    serde_json::from_slice(&text).map_err(|source| ArchiveError::Json { path: path.to_owned(), source })
}

fn replace(path: &Path, record: &impl Serialize) -> Result<()> {
    let new = path.with_extension("new");
    let text = serde_json::to_vec_pretty(record).expect("a record is plain data");
    let written = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new);
    let written = written.and_then(|mut file| file.write_all(&text)).and_then(|()| std::fs::rename(&new, path));
    written.map_err(|source| ArchiveError::Io { action: "written", path: path.to_owned(), source })
}

/// The task that keeps what changes.
pub(super) struct Archivist {
    pub(super) network: Arc<Network>,
    pub(super) archive: Archive,
}

impl Archivist {
    /// Keeps changes as they come, and those left when `token` is cancelled.
    pub(super) async fn run(self, token: CancellationToken) {
        loop {
            let changed = async {
                tokio::select! {
                    () = self.network.changed.notified() => {}
                    () = self.network.post.changed.notified() => {}
                }
            };
            let is_over = token.run_until_cancelled(changed).await.is_none();
            self.keep_changes().await;
            self.keep_mail_changes().await;
            if is_over {
                return;
            }
        }
    }

    /// Those that come while the former are written are kept together, by the next call.
    async fn keep_changes(&self) {
        let records = self.network.take_changed();
        if records.is_empty() {
            return;
        }
        let archive = self.archive.clone();
        let keep = move || records.iter().try_for_each(|record| archive.keep(record));
        if let Ok(Err(error)) = tokio::task::spawn_blocking(keep).await {
            error!(error = &error as &dyn std::error::Error, "the sandbox could not keep a phone");
        }
    }

    async fn keep_mail_changes(&self) {
        let network = Arc::clone(&self.network);
        let archive = self.archive.clone();
        let keep = move || {
            for mail in network.take_changed_mail() {
                if let Some(phone) = network.account(mail.number()) {
                    archive.keep_mail(&file_stem(&phone), &mail)?;
                }
            }
            network.take_changed_groups().map_or(Ok(()), |groups| replace(&archive.groups_file(), &groups))
        };
        if let Ok(Err(error)) = tokio::task::spawn_blocking(keep).await {
            error!(error = &error as &dyn std::error::Error, "the sandbox could not keep messages");
        }
    }
}
