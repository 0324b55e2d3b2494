//! A database with instances in it, without a gateway.

use std::sync::Arc;

use sqlx::PgPool;
use uuid::Uuid;
use wagate::config::Config;
use wagate::domain::instance::InstanceId;
use wagate::domain::lease::{Fence, NodeId};
use wagate::engine::whatsapp::backend::Backend;
use wagate::store::vault::{InstanceCipher, Vault};

use super::database::TestDatabase;

/// A database with instances whose leases are held by one node.
pub(crate) struct House {
    pub(crate) database: TestDatabase,
    pub(crate) node: NodeId,
    pub(crate) data_dir: tempfile::TempDir,
    pub(crate) vault: Arc<Vault>,
}

impl House {
    pub(crate) async fn new() -> Self {
        let database = TestDatabase::fresh().await;
        sqlx::query("INSERT INTO account (id, name, created_at) VALUES ($1, 'tests', now())")
            .bind(Uuid::nil())
            .execute(database.pool())
            .await
            .unwrap();
        let data_dir = tempfile::tempdir().unwrap();
        let vault = Vault::open(&Config::defaults().vault, data_dir.path(), database.pool()).await.unwrap();
        Self { database, node: NodeId(Uuid::from_u128(1)), data_dir, vault: Arc::new(vault) }
    }

    /// An instance and the right to write its state.
    pub(crate) async fn instance(&self, text: &str) -> (InstanceId, Fence) {
        let id = InstanceId::parse(text).unwrap();
        sqlx::query("INSERT INTO instance (id, account_id, name, created_at) VALUES ($1, $2, 'shop', now())")
            .bind(text)
            .bind(Uuid::nil())
            .execute(self.pool())
            .await
            .unwrap();
        sqlx::query("INSERT INTO instance_lease (instance_id, shard, node_id, epoch) VALUES ($1, $2, $3, 1)")
            .bind(text)
            .bind(id.shard())
            .bind(self.node.0)
            .execute(self.pool())
            .await
            .unwrap();
        (id, Fence { node_id: self.node, epoch: 1 })
    }

    /// Another node takes the instance over.
    pub(crate) async fn lose_lease(&self, id: InstanceId) {
        sqlx::query("UPDATE instance_lease SET node_id = $2, epoch = epoch + 1 WHERE instance_id = $1")
            .bind(id.as_str())
            .bind(Uuid::from_u128(2))
            .execute(self.pool())
            .await
            .unwrap();
    }

    pub(crate) async fn backend(&self, id: InstanceId, fence: Fence) -> Backend {
        self.vault.forget(id);
        Backend::new(self.database.store().clone(), id, fence, self.cipher(id).await)
    }

    pub(crate) async fn cipher(&self, id: InstanceId) -> InstanceCipher {
        self.vault.cipher(&mut self.pool().acquire().await.unwrap(), id).await.unwrap()
    }

    pub(crate) async fn rows(&self, id: InstanceId) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM engine_state WHERE instance_id = $1")
            .bind(id.as_str())
            .fetch_one(self.pool())
            .await
            .unwrap()
    }

    pub(crate) fn pool(&self) -> &PgPool {
        self.database.pool()
    }
}
