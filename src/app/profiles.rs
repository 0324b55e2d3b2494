//! Seals the column `session.profile` with the instance's key: where the supervisor's wish meets the vault.

use std::sync::Arc;

use async_trait::async_trait;
use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::domain::profile::Profile;
use crate::store::vault::Vault;
use crate::supervisor::{ProfileVault, ProfileVaultError};

const TABLE: &str = "session.profile";

/// Profiles, sealed by the vault.
#[derive(Debug)]
pub(super) struct SealedProfiles(pub(super) Arc<Vault>);

fn failed<E: std::error::Error + Send + Sync + 'static>(action: &'static str) -> impl FnOnce(E) -> ProfileVaultError {
    move |source| ProfileVaultError { action, source: Box::new(source) }
}

#[async_trait]
impl ProfileVault for SealedProfiles {
    async fn seal(
        &self,
        conn: &mut PgConnection,
        id: InstanceId,
        profile: &Profile,
    ) -> Result<Vec<u8>, ProfileVaultError> {
        let plain = serde_json::to_vec(profile).map_err(failed("written"))?;
        let cipher = self.0.cipher(conn, id).await.map_err(failed("sealed"))?;
        Ok(cipher.seal(TABLE, id.as_str().as_bytes(), &plain))
    }

    async fn open(&self, conn: &mut PgConnection, id: InstanceId, sealed: &[u8]) -> Result<Profile, ProfileVaultError> {
        let cipher = self.0.cipher(conn, id).await.map_err(failed("opened"))?;
        let plain = cipher.open(TABLE, id.as_str().as_bytes(), sealed).map_err(failed("opened"))?;
        serde_json::from_slice(&plain).map_err(failed("read"))
    }
}
