//! How a profile, which holds a phone number, is written down: sealed with the instance's own key.

use async_trait::async_trait;
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::profile::Profile;

/// Why a profile could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
#[error("the profile could not be {action}")]
pub struct ProfileVaultError {
    /// What was tried, as a participle.
    pub action: &'static str,
    /// Why it failed.
    #[source]
    pub source: Box<dyn std::error::Error + Send + Sync>,
}

/// Seals and opens the column `session.profile`.
#[async_trait]
pub trait ProfileVault: Send + Sync + 'static {
    /// Encrypts a profile for the instance's row.
    async fn seal(
        &self,
        conn: &mut PgConnection,
        id: InstanceId,
        profile: &Profile,
    ) -> Result<Vec<u8>, ProfileVaultError>;

    /// Decrypts it again.
    async fn open(&self, conn: &mut PgConnection, id: InstanceId, sealed: &[u8]) -> Result<Profile, ProfileVaultError>;
}
