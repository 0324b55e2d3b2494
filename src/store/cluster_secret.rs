//! `cluster_secret`: what the nodes on this database share and nobody else knows.

use secrecy::SecretBox;
use sqlx::PgConnection;

use super::StoreError;

/// The secret; `drawn` becomes it if there is none yet. Of two first starts at once, the second gets the first's.
pub async fn read_or_keep(conn: &mut PgConnection, drawn: &[u8; 32]) -> Result<SecretBox<[u8; 32]>, StoreError> {
    sqlx::query!("INSERT INTO cluster_secret (secret) VALUES ($1) ON CONFLICT DO NOTHING", &drawn[..])
        .execute(&mut *conn)
        .await
        .map_err(StoreError::while_("keep the secret of the nodes"))?;
    let action = "read the secret of the nodes";
    let secret = sqlx::query_scalar!("SELECT secret FROM cluster_secret")
        .fetch_one(conn)
        .await
        .map_err(StoreError::while_(action))?;
    let secret: [u8; 32] = secret.try_into().map_err(|_| StoreError::unreadable(action, "secret"))?;
    Ok(SecretBox::new(Box::new(secret)))
}
