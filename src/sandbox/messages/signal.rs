//! A phone's half of its Signal sessions: its prekeys, a session with every device it writes to, and the sender keys of
//! its groups.
//!
//! Everything is in memory, so the library's asynchronous functions are done at the first poll: that is what lets a
//! phone work under a plain lock.

use std::collections::{BTreeMap, HashMap};

use async_trait::async_trait;
use futures_util::FutureExt as _;
use rand::RngExt as _;
use rand::rngs::StdRng;
use wacore::libsignal::protocol::{
    CiphertextMessage, Direction, GenericSignedPreKey as _, IdentityChange, IdentityKey, IdentityKeyPair,
    IdentityKeyStore, KeyPair, PreKeyBundle, PreKeyId, PreKeyRecord, PreKeySignalMessage, PreKeyStore, ProtocolAddress,
    PublicKey, SenderKeyDistributionMessage, SenderKeyName, SenderKeyRecord, SenderKeyStore, SessionRecord,
    SessionStore, SignalMessage, SignalProtocolError, SignedPreKeyId, SignedPreKeyRecord, SignedPreKeyStore, Timestamp,
    UsePQRatchet, create_sender_key_distribution_message, group_decrypt, group_encrypt, message_decrypt,
    message_encrypt, process_prekey_bundle, process_sender_key_distribution_message,
};
use wacore::types::jid::JidExt as _;
use wacore_binary::Jid;

use crate::sandbox::device::{DeviceId, PreKey, SignedPreKey};

type Result<T> = std::result::Result<T, SignalProtocolError>;

/// The id of a phone's only signed prekey.
const SIGNED_PREKEY_ID: u32 = 1;

/// The keys that let somebody begin a session with a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::sandbox) struct KeyBundle {
    /// The device's Signal registration id.
    pub(in crate::sandbox) registration_id: u32,
    /// Its identity key.
    pub(in crate::sandbox) identity_key: [u8; 32],
    /// Its signed prekey.
    pub(in crate::sandbox) signed_prekey: SignedPreKey,
    /// A one-time prekey, used up by being given away.
    pub(in crate::sandbox) prekey: Option<PreKey>,
    /// The account's and the device's own signatures of a linked device; phones need none.
    pub(in crate::sandbox) device_identity: Option<Vec<u8>>,
}

/// How an `<enc>` is sealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::sandbox) enum Sealing {
    /// `pkmsg`: begins a session.
    PreKey,
    /// `msg`: goes on with one.
    Session,
    /// `skmsg`: with the sender's key of a group.
    SenderKey,
}

impl Sealing {
    /// As the attribute `type` of `<enc>` has it.
    pub(super) fn as_wire(self) -> &'static str {
        match self {
            Self::PreKey => "pkmsg",
            Self::Session => "msg",
            Self::SenderKey => "skmsg",
        }
    }

    /// Reads the attribute `type` of `<enc>`.
    pub(super) fn from_wire(text: &str) -> Option<Self> {
        [Self::PreKey, Self::Session, Self::SenderKey].into_iter().find(|sealing| sealing.as_wire() == text)
    }
}

/// A phone's Signal state.
pub(in crate::sandbox) struct Signal {
    identity: Identity,
    signed_prekey: SignedKey,
    prekeys: PreKeys,
    next_prekey: u32,
    sessions: Sessions,
    sender_keys: SenderKeys,
}

/// What is stored of it.
pub(super) struct SignalParts {
    pub(super) signed_prekey: [u8; 32],
    pub(super) signed_prekey_signature: Vec<u8>,
    pub(super) prekeys: Vec<(u32, [u8; 32])>,
    pub(super) next_prekey: u32,
    pub(super) sessions: Vec<(String, Vec<u8>)>,
    pub(super) sender_keys: Vec<(String, Vec<u8>)>,
}

fn done<T>(future: impl Future<Output = T>) -> T {
    future.now_or_never().expect("a store in memory keeps nobody waiting")
}

fn address(device: &DeviceId) -> ProtocolAddress {
    Jid::pn_device(device.number.as_str(), device.device).to_protocol_address()
}

fn key_bytes(key: &PublicKey) -> [u8; 32] {
    key.public_key_bytes().try_into().expect("a Curve25519 key has 32 bytes")
}

impl Signal {
    /// A phone that has spoken to nobody.
    pub(in crate::sandbox) fn generate(identity: &KeyPair, registration_id: u32, rng: &mut StdRng) -> Self {
        let signed = KeyPair::generate(rng);
        let signature = identity
            .calculate_signature(&signed.public_key.serialize(), rng)
            .expect("a key of one's own signs")
            .to_vec();
        Self {
            identity: Identity { pair: identity.clone(), registration_id },
            signed_prekey: SignedKey { pair: signed, signature },
            prekeys: PreKeys::default(),
            next_prekey: rng.random_range(1..0x00FF_0000),
            sessions: Sessions::default(),
            sender_keys: SenderKeys::default(),
        }
    }

    /// What is to be stored.
    pub(super) fn parts(&self) -> SignalParts {
        let kept = |bytes: Result<Vec<u8>>| bytes.expect("a record in memory can be written");
        let sessions = self.sessions.0.iter().map(|(name, record)| (name.clone(), kept(record.serialize())));
        let sender_keys = self.sender_keys.0.iter().map(|(name, record)| (name.clone(), kept(record.serialize())));
        SignalParts {
            signed_prekey: *self.signed_prekey.pair.private_key.serialize(),
            signed_prekey_signature: self.signed_prekey.signature.clone(),
            prekeys: self.prekeys.0.iter().map(|(id, pair)| (*id, *pair.private_key.serialize())).collect(),
            next_prekey: self.next_prekey,
            sessions: sessions.collect(),
            sender_keys: sender_keys.collect(),
        }
    }

    /// What was stored; `None` if a key or a record is none.
    pub(super) fn restore(identity: &KeyPair, registration_id: u32, parts: SignalParts) -> Option<Self> {
        let pair = |private: &[u8; 32]| {
            let private = wacore::libsignal::protocol::PrivateKey::deserialize(private).ok()?;
            Some(KeyPair::new(private.public_key().ok()?, private))
        };
        let sessions =
            parts.sessions.into_iter().map(|(name, bytes)| Some((name, SessionRecord::deserialize(&bytes).ok()?)));
        let sender_keys =
            parts.sender_keys.into_iter().map(|(name, bytes)| Some((name, SenderKeyRecord::deserialize(&bytes).ok()?)));
        let prekeys = parts.prekeys.iter().map(|(id, private)| Some((*id, pair(private)?)));
        Some(Self {
            identity: Identity { pair: identity.clone(), registration_id },
            signed_prekey: SignedKey { pair: pair(&parts.signed_prekey)?, signature: parts.signed_prekey_signature },
            prekeys: PreKeys(prekeys.collect::<Option<_>>()?),
            next_prekey: parts.next_prekey,
            sessions: Sessions(sessions.collect::<Option<_>>()?),
            sender_keys: SenderKeys(sender_keys.collect::<Option<_>>()?),
        })
    }

    /// The phone's public keys with a new one-time prekey. A real phone uploads those ahead; here it makes them as they
    /// are asked for.
    pub(in crate::sandbox) fn bundle(&mut self, rng: &mut StdRng) -> KeyBundle {
        let id = self.next_prekey;
        self.next_prekey = if id < 0x00FF_FFFF { id + 1 } else { 1 };
        let pair = KeyPair::generate(rng);
        let public = key_bytes(&pair.public_key);
        self.prekeys.0.insert(id, pair);
        KeyBundle {
            registration_id: self.identity.registration_id,
            identity_key: key_bytes(&self.identity.pair.public_key),
            signed_prekey: SignedPreKey {
                id: SIGNED_PREKEY_ID,
                public: key_bytes(&self.signed_prekey.pair.public_key),
                signature: self.signed_prekey.signature.as_slice().try_into().expect("a signature has 64 bytes"),
            },
            prekey: Some((id, public)),
            device_identity: None,
        }
    }

    /// Whether there is a session with this device.
    pub(super) fn knows(&self, device: &DeviceId) -> bool {
        self.sessions.0.contains_key(address(device).as_str())
    }

    /// Begins a session with a device, in place of one there may be.
    pub(in crate::sandbox) fn begin(&mut self, device: &DeviceId, keys: &KeyBundle, rng: &mut StdRng) -> Result<()> {
        let prekey = keys.prekey.map(|(id, key)| Ok::<_, SignalProtocolError>((id.into(), public_key(&key)?)));
        let bundle = PreKeyBundle::new(
            keys.registration_id,
            u32::from(device.device).into(),
            prekey.transpose()?,
            keys.signed_prekey.id.into(),
            public_key(&keys.signed_prekey.public)?,
            keys.signed_prekey.signature.to_vec(),
            IdentityKey::new(public_key(&keys.identity_key)?),
        )?;
        let address = address(device);
        let Self { sessions, identity, .. } = self;
        done(process_prekey_bundle(&address, sessions, identity, &bundle, rng, UsePQRatchet::No))?;
        Ok(())
    }

    /// Encrypts to a device with which there is a session.
    pub(in crate::sandbox) fn seal(&mut self, device: &DeviceId, plain: &[u8]) -> Result<(Sealing, Vec<u8>)> {
        let Self { sessions, identity, .. } = self;
        Ok(match done(message_encrypt(plain, &address(device), sessions, identity))? {
            CiphertextMessage::PreKeySignalMessage(message) => (Sealing::PreKey, message.serialized().to_vec()),
            other => (Sealing::Session, other.serialize().to_vec()),
        })
    }

    /// Decrypts what a device encrypted to this phone alone.
    pub(super) fn open(
        &mut self,
        device: &DeviceId,
        sealing: Sealing,
        bytes: &[u8],
        rng: &mut StdRng,
    ) -> Result<Vec<u8>> {
        let sealed = if sealing == Sealing::PreKey {
            CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(bytes)?)
        } else {
            CiphertextMessage::SignalMessage(SignalMessage::try_from(bytes)?)
        };
        let Self { sessions, identity, prekeys, signed_prekey, .. } = self;
        let opened = done(message_decrypt(
            &sealed,
            &address(device),
            sessions,
            identity,
            prekeys,
            signed_prekey,
            rng,
            UsePQRatchet::No,
        ))?;
        if let Some(id) = opened.consumed_prekey_id {
            self.prekeys.0.remove(&u32::from(id));
        }
        Ok(opened.plaintext)
    }

    /// The phone's sender key of a group, as its members must be given it before they can read what it encrypts.
    pub(super) fn sender_key(&mut self, group: &str, me: &DeviceId, rng: &mut StdRng) -> Result<Vec<u8>> {
        let name = SenderKeyName::from_parts(group, address(me).as_str());
        let message = done(create_sender_key_distribution_message(&name, &mut self.sender_keys, rng))?;
        Ok(message.serialized().to_vec())
    }

    /// Learns a member's sender key of a group.
    pub(super) fn learn_sender_key(&mut self, group: &str, member: &DeviceId, bytes: &[u8]) -> Result<()> {
        let name = SenderKeyName::from_parts(group, address(member).as_str());
        let message = SenderKeyDistributionMessage::try_from(bytes)?;
        done(process_sender_key_distribution_message(&name, &message, &mut self.sender_keys))
    }

    /// Encrypts to a group.
    pub(super) fn seal_for_group(
        &mut self,
        group: &str,
        me: &DeviceId,
        plain: &[u8],
        rng: &mut StdRng,
    ) -> Result<Vec<u8>> {
        let name = SenderKeyName::from_parts(group, address(me).as_str());
        Ok(done(group_encrypt(&mut self.sender_keys, &name, plain, rng))?.serialized().to_vec())
    }

    /// Decrypts what a member encrypted to a group.
    pub(super) fn open_from_group(&mut self, group: &str, member: &DeviceId, bytes: &[u8]) -> Result<Vec<u8>> {
        let name = SenderKeyName::from_parts(group, address(member).as_str());
        done(group_decrypt(bytes, &mut self.sender_keys, &name))
    }

    /// Forgets the phone's own sender key of a group: the next one is another.
    pub(super) fn forget_sender_key(&mut self, group: &str, me: &DeviceId) {
        self.sender_keys.0.remove(SenderKeyName::from_parts(group, address(me).as_str()).cache_key());
    }
}

fn public_key(bytes: &[u8; 32]) -> Result<PublicKey> {
    Ok(PublicKey::from_djb_public_key_bytes(bytes)?)
}

/// The phone's identity. It trusts whoever speaks to it: the network hands out no wrong keys.
struct Identity {
    pair: KeyPair,
    registration_id: u32,
}

#[async_trait]
impl IdentityKeyStore for Identity {
    async fn get_identity_key_pair(&self) -> Result<IdentityKeyPair> {
        Ok(IdentityKeyPair::new(IdentityKey::new(self.pair.public_key), self.pair.private_key.clone()))
    }

    async fn get_local_registration_id(&self) -> Result<u32> {
        Ok(self.registration_id)
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

#[derive(Default)]
struct Sessions(HashMap<String, SessionRecord>);

#[async_trait]
impl SessionStore for Sessions {
    async fn load_session(&self, address: &ProtocolAddress) -> Result<Option<SessionRecord>> {
        Ok(self.0.get(address.as_str()).cloned())
    }

    async fn has_session(&self, address: &ProtocolAddress) -> Result<bool> {
        Ok(self.0.contains_key(address.as_str()))
    }

    async fn store_session(&mut self, address: &ProtocolAddress, record: SessionRecord) -> Result<()> {
        self.0.insert(address.as_str().to_owned(), record);
        Ok(())
    }
}

#[derive(Default)]
struct PreKeys(BTreeMap<u32, KeyPair>);

#[async_trait]
impl PreKeyStore for PreKeys {
    async fn get_pre_key(&self, prekey_id: PreKeyId) -> Result<PreKeyRecord> {
        let pair = self.0.get(&u32::from(prekey_id)).ok_or(SignalProtocolError::InvalidPreKeyId)?;
        Ok(PreKeyRecord::new(prekey_id, pair))
    }

    async fn save_pre_key(&mut self, _prekey_id: PreKeyId, _record: &PreKeyRecord) -> Result<()> {
        Ok(())
    }

    async fn remove_pre_key(&mut self, prekey_id: PreKeyId) -> Result<()> {
        self.0.remove(&u32::from(prekey_id));
        Ok(())
    }
}

struct SignedKey {
    pair: KeyPair,
    signature: Vec<u8>,
}

#[async_trait]
impl SignedPreKeyStore for SignedKey {
    async fn get_signed_pre_key(&self, id: SignedPreKeyId) -> Result<SignedPreKeyRecord> {
        if u32::from(id) != SIGNED_PREKEY_ID {
            return Err(SignalProtocolError::InvalidSignedPreKeyId);
        }
        Ok(SignedPreKeyRecord::new(id, Timestamp::from_epoch_millis(0), &self.pair, &self.signature))
    }

    async fn save_signed_pre_key(&mut self, _id: SignedPreKeyId, _record: &SignedPreKeyRecord) -> Result<()> {
        Ok(())
    }
}

#[derive(Default)]
struct SenderKeys(HashMap<String, SenderKeyRecord>);

#[async_trait]
impl SenderKeyStore for SenderKeys {
    async fn store_sender_key(&mut self, name: &SenderKeyName, record: SenderKeyRecord) -> Result<()> {
        self.0.insert(name.cache_key().to_owned(), record);
        Ok(())
    }

    async fn load_sender_key(&self, name: &SenderKeyName) -> Result<Option<SenderKeyRecord>> {
        Ok(self.0.get(name.cache_key()).cloned())
    }
}
