//! `instance_key`: the two keys of an instance, wrapped.
//!
//! One seals what must be forgotten with the device: WhatsApp's keys and Signal state, the profile. A logout replaces
//! it. The other seals what the account was told, which a logout leaves readable and only the instance's end takes.

use secrecy::zeroize::Zeroizing;
use secrecy::{ExposeSecret, SecretBox};
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::store::StoreError;

use super::cipher::{self, CipherError, InstanceCipher, KEY_LENGTH, Key};
use super::{Vault, VaultError};

/// What a key of an instance is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// What goes with the device.
    Device,
    /// What goes with the instance.
    Content,
}

impl Purpose {
    /// The table in the associated data of the wrapping: neither key can be passed off as the other.
    const fn table(self) -> &'static str {
        match self {
            Self::Device => "instance_key",
            Self::Content => "instance_key.content",
        }
    }
}

/// A key as it stands in a row.
pub(super) struct Wrapped {
    pub(super) kek_id: String,
    pub(super) bytes: Vec<u8>,
}

/// Both keys of an instance.
pub(super) struct WrappedKeys {
    pub(super) device: Wrapped,
    /// Not yet there for an instance that the release before this one made.
    pub(super) content: Option<Wrapped>,
    committed: bool,
}

impl Wrapped {
    /// Out of two columns that are null together.
    pub(super) fn maybe(kek_id: Option<String>, bytes: Option<Vec<u8>>) -> Option<Self> {
        kek_id.zip(bytes).map(|(kek_id, bytes)| Self { kek_id, bytes })
    }
}

impl Vault {
    /// The cipher of the instance's keys as they stand in the database, and whether they were committed; keys that are
    /// missing are drawn.
    pub(super) async fn read_cipher(
        &self,
        conn: &mut PgConnection,
        id: InstanceId,
    ) -> Result<(InstanceCipher, bool), VaultError> {
        let mut row = wrapped_keys(conn, id).await?;
        if row.as_ref().is_none_or(|row| row.content.is_none()) {
            self.draw_missing(conn, id).await?;
            // Read again rather than believed: somebody else may have been first.
            row = wrapped_keys(conn, id).await?;
        }
        let lost = || StoreError { action: "read the key it just kept", source: sqlx::Error::RowNotFound };
        let row = row.ok_or_else(lost)?;
        let content = row.content.ok_or_else(lost)?;
        let device = self.unwrap(id, Purpose::Device, &row.device)?;
        let content = self.unwrap(id, Purpose::Content, &content)?;
        Ok((InstanceCipher::new(id, &device, &content), row.committed))
    }

    async fn draw_missing(&self, conn: &mut PgConnection, id: InstanceId) -> Result<(), VaultError> {
        sqlx::query!(
            "INSERT INTO instance_key (instance_id, kek_id, wrapped, content_kek_id, content_wrapped)
             VALUES ($1, $2, $3, $2, $4)
             ON CONFLICT (instance_id) DO UPDATE
             SET content_kek_id = EXCLUDED.content_kek_id, content_wrapped = EXCLUDED.content_wrapped
             WHERE instance_key.content_wrapped IS NULL",
            id.as_str(),
            self.active,
            self.wrap(id, Purpose::Device, &cipher::random_key()),
            self.wrap(id, Purpose::Content, &cipher::random_key()),
        )
        .execute(conn)
        .await
        .map(|_| ())
        .map_err(|source| StoreError::while_("keep the key of a new instance")(source).into())
    }

    pub(super) fn wrap(&self, id: InstanceId, purpose: Purpose, key: &Key) -> Vec<u8> {
        let kek = self.keks.get(&self.active).expect("the active key is one of the keys");
        let data = cipher::associated_data(purpose.table(), id.as_str(), self.active.as_bytes());
        cipher::seal(kek, &data, key.expose_secret())
    }

    pub(super) fn unwrap(&self, id: InstanceId, purpose: Purpose, wrapped: &Wrapped) -> Result<Key, VaultError> {
        let kek = self.keks.get(&wrapped.kek_id).ok_or_else(|| VaultError::Wrong { id: wrapped.kek_id.clone() })?;
        let data = cipher::associated_data(purpose.table(), id.as_str(), wrapped.kek_id.as_bytes());
        let bytes = cipher::open(kek, &data, &wrapped.bytes)
            .map(Zeroizing::new)
            .map_err(|source| VaultError::DamagedKey { id, source })?;
        let bytes: &[u8; KEY_LENGTH] = bytes
            .as_slice()
            .try_into()
            .map_err(|_| VaultError::DamagedKey { id, source: CipherError::UnknownFormat })?;
        Ok(SecretBox::init_with_mut(|key: &mut [u8; KEY_LENGTH]| *key = *bytes))
    }
}

async fn wrapped_keys(conn: &mut PgConnection, id: InstanceId) -> Result<Option<WrappedKeys>, StoreError> {
    sqlx::query!(
        r#"SELECT kek_id, wrapped, content_kek_id, content_wrapped,
                  xmin IS DISTINCT FROM pg_current_xact_id_if_assigned()::xid AS "committed!"
           FROM instance_key WHERE instance_id = $1"#,
        id.as_str(),
    )
    .fetch_optional(conn)
    .await
    .map(|row| {
        row.map(|row| WrappedKeys {
            device: Wrapped { kek_id: row.kek_id, bytes: row.wrapped },
            content: Wrapped::maybe(row.content_kek_id, row.content_wrapped),
            committed: row.committed,
        })
    })
    .map_err(StoreError::while_("read the key of the instance"))
}
