//! Changing the key-encryption key: every instance key is wrapped anew, while gateways run.
//!
//! Only the wrapping changes and not the instance's key, so what is sealed stays as it is, and what a gateway has in
//! memory stays right. A row names the key it is wrapped by: a rotation that was broken off goes on where it stopped.

use sqlx::PgConnection;

use crate::domain::instance::InstanceId;
use crate::store::lease::stored_id;
use crate::store::{Store, StoreError};

use super::instance_key::{Purpose, Wrapped};
use super::{Vault, VaultError};

/// Keys rewrapped by one transaction, which locks their rows: a logout waits for it, for milliseconds.
const BATCH: i64 = 200;

/// How far a rotation has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rotation {
    /// Instance keys that it has wrapped anew.
    pub rewrapped: usize,
    /// Those that do not open with the key they name; they stay as they are.
    pub damaged: Vec<InstanceId>,
}

/// What one transaction did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewrappedBatch {
    /// Instance keys that it has wrapped anew.
    pub rewrapped: usize,
    /// Those that do not open.
    pub damaged: Vec<InstanceId>,
    /// The last one it looked at; `None` if there was none left.
    pub last: Option<InstanceId>,
}

impl Vault {
    /// The id of the key that wraps new instance keys.
    pub fn active(&self) -> &str {
        &self.active
    }

    /// How many instance keys there are, and how many of them another key than the active one wraps.
    pub async fn count(&self, conn: &mut PgConnection) -> Result<(i64, i64), StoreError> {
        sqlx::query!(
            r#"SELECT count(*) AS "all!", count(*) FILTER (WHERE kek_id <> $1 OR content_kek_id <> $1) AS "others!"
               FROM instance_key"#,
            self.active,
        )
        .fetch_one(conn)
        .await
        .map(|row| (row.all, row.others))
        .map_err(StoreError::while_("count the instance keys"))
    }

    /// Wraps every instance key by the active key, and tells after each batch how far it is. It goes over them until a
    /// turn finds none: a gateway that still runs with another active key adds some meanwhile.
    pub async fn rotate(&self, store: &Store, mut tell: impl FnMut(&Rotation)) -> Result<Rotation, VaultError> {
        let mut rotation = Rotation { rewrapped: 0, damaged: Vec::new() };
        loop {
            let before = rotation.rewrapped;
            rotation.damaged.clear();
            let mut after = None;
            loop {
                let mut tx = store.begin().await?;
                let batch = self.rewrap_batch(&mut tx, after, BATCH).await?;
                tx.commit().await.map_err(StoreError::while_("commit rewrapped keys"))?;
                let Some(last) = batch.last else { break };
                after = Some(last);
                rotation.rewrapped += batch.rewrapped;
                rotation.damaged.extend(batch.damaged);
                tell(&rotation);
            }
            if rotation.rewrapped == before {
                return Ok(rotation);
            }
        }
    }

    /// Wraps up to `limit` instance keys by the active key, in the order of their ids, those behind `after` only. Must
    /// run inside a transaction.
    pub async fn rewrap_batch(
        &self,
        conn: &mut PgConnection,
        after: Option<InstanceId>,
        limit: i64,
    ) -> Result<RewrappedBatch, VaultError> {
        let rows = sqlx::query!(
            "SELECT instance_id, kek_id, wrapped, content_kek_id, content_wrapped FROM instance_key
             WHERE (kek_id <> $1 OR content_kek_id <> $1) AND instance_id > $2 ORDER BY instance_id LIMIT $3 FOR UPDATE",
            self.active,
            after.as_ref().map_or("", InstanceId::as_str),
            limit,
        )
        .fetch_all(&mut *conn)
        .await
        .map_err(StoreError::while_("read instance keys to rewrap"))?;
        let (mut ids, mut wrapped, mut content_wrapped) = (Vec::new(), Vec::new(), Vec::new());
        let mut batch = RewrappedBatch { rewrapped: 0, damaged: Vec::new(), last: None };
        for row in rows {
            let id = stored_id(&row.instance_id);
            batch.last = Some(id);
            let device = Wrapped { kek_id: row.kek_id, bytes: row.wrapped };
            let content = Wrapped::maybe(row.content_kek_id, row.content_wrapped);
            match self.rewrapped(id, &device, content.as_ref()) {
                Ok((device, content)) => {
                    ids.push(row.instance_id);
                    wrapped.push(device);
                    content_wrapped.push(content);
                }
                Err(VaultError::DamagedKey { id, .. }) => batch.damaged.push(id),
                Err(error) => return Err(error),
            }
        }
        batch.rewrapped = ids.len();
        sqlx::query!(
            "UPDATE instance_key SET kek_id = $1, wrapped = new.wrapped, content_wrapped = new.content_wrapped,
                    content_kek_id = CASE WHEN new.content_wrapped IS NOT NULL THEN $1 END
             FROM UNNEST($2::text[], $3::bytea[], $4::bytea[]) AS new (instance_id, wrapped, content_wrapped)
             WHERE instance_key.instance_id = new.instance_id",
            self.active,
            &ids,
            &wrapped,
            &content_wrapped as &[Option<Vec<u8>>],
        )
        .execute(conn)
        .await
        .map_err(StoreError::while_("keep rewrapped keys"))?;
        Ok(batch)
    }

    /// Both keys of an instance, wrapped by the active key.
    fn rewrapped(
        &self,
        id: InstanceId,
        device: &Wrapped,
        content: Option<&Wrapped>,
    ) -> Result<(Vec<u8>, Option<Vec<u8>>), VaultError> {
        let again = |purpose: Purpose, wrapped: &Wrapped| {
            Ok::<_, VaultError>(self.wrap(id, purpose, &self.unwrap(id, purpose, wrapped)?))
        };
        Ok((again(Purpose::Device, device)?, content.map(|content| again(Purpose::Content, content)).transpose()?))
    }
}
