//! The column `session.profile`: a profile holds a phone number, so it is written down sealed.

use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::profile::Profile;
use crate::store::vault::{CipherError, InstanceCipher, Vault, VaultError};

const TABLE: &str = "session";
const ROW: &[u8] = b"profile";

/// A stored profile cannot be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProfileError {
    /// The instance's key cannot be had.
    #[error(transparent)]
    Vault(#[from] VaultError),
    /// It was sealed with a key that is gone.
    #[error("the profile does not open")]
    Sealed(#[from] CipherError),
    /// It holds something else.
    #[error("the profile is not one")]
    Unreadable(#[from] serde_json::Error),
}

/// Encrypts a profile for the instance's row.
pub(super) fn seal(cipher: &InstanceCipher, profile: &Profile) -> Vec<u8> {
    let plaintext = serde_json::to_vec(profile).expect("a profile has no keys but text");
    cipher.seal(TABLE, ROW, &plaintext)
}

/// Decrypts it again.
pub(super) async fn read(
    vault: &Vault,
    conn: &mut PgConnection,
    id: InstanceId,
    sealed: &[u8],
) -> Result<Profile, ProfileError> {
    let plaintext = vault.cipher(conn, id).await?.open(TABLE, ROW, sealed)?;
    Ok(serde_json::from_slice(&plaintext)?)
}
