//! A database with logs to write, webhooks to be told of them, and workers that tell.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use chrono::{DateTime, TimeDelta, Utc};
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;
use wagate::config::{self, Config};
use wagate::domain::account::AccountId;
use wagate::domain::chat_id::ChatId;
use wagate::domain::clock::{Clock, ManualClock, SystemClock};
use wagate::domain::event::{Draft, EventKind};
use wagate::domain::instance::InstanceId;
use wagate::domain::lease::{Fence, NodeId};
use wagate::domain::webhook::{Order, Subscription, WebhookId};
use wagate::store::event;
use wagate::store::webhook::endpoint::{self, Confidential, Endpoint, Filter, KeptSecret};
use wagate::telemetry::metrics::WebhookMeter;
use wagate::webhook::outbox::{Outbox, OutboxParts};
use wagate::webhook::sender::Sender;
use wagate::webhook::target::{Names, SystemNames};

use crate::support::house::House;
use crate::support::receiver::Receiver;
use crate::support::wait::until;

pub(crate) const SHOP: &str = "7K2M9QX4T0AB";
pub(crate) const OTHER_SHOP: &str = "7K2M9QX4T0AC";
pub(crate) const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

pub(crate) struct Office {
    pub(crate) house: House,
    pub(crate) clock: ManualClock,
    pub(crate) config: config::Webhook,
}

/// A worker, which dies with this.
pub(crate) struct Worker {
    token: CancellationToken,
    task: AbortOnDropHandle<()>,
}

impl Worker {
    /// It ends in order.
    pub(crate) async fn stop(self) {
        self.token.cancel();
        self.task.await.unwrap();
    }

    /// It dies, wherever it stands.
    pub(crate) fn die(self) {
        drop(self);
    }
}

impl Office {
    pub(crate) async fn new() -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut config = Config::defaults().webhook;
        config.allow_private = vec!["127.0.0.1".into()];
        Self { house: House::new().await, clock: ManualClock::new(SystemClock.now()), config }
    }

    /// A webhook of all instances, told everything, in strict order, signed with [`SECRET`].
    pub(crate) async fn webhook(&self, url: &str, change: impl FnOnce(&mut Endpoint, &mut Confidential)) -> WebhookId {
        let id = WebhookId(Uuid::new_v4());
        let mut confidential = Confidential {
            url: url.to_owned(),
            headers: vec![],
            secrets: vec![KeptSecret { text: SECRET.into(), until: None }],
        };
        let mut made = Endpoint {
            id,
            account_id: AccountId(Uuid::nil()),
            instance_id: None,
            of_session: false,
            subscription: Subscription::All,
            order: Order::Strict,
            sealed: vec![],
            created_at: self.clock.now(),
            disabled: None,
            failing_since: None,
        };
        change(&mut made, &mut confidential);
        let mut tx = self.house.database.store().begin().await.unwrap();
        let cipher = self.house.vault.account_cipher(&mut tx, made.account_id).await.unwrap();
        made.sealed = confidential.seal(&cipher, id);
        endpoint::insert(&mut tx, &made).await.unwrap();
        tx.commit().await.unwrap();
        id
    }

    pub(crate) async fn told(&self, receiver: &Receiver) -> WebhookId {
        self.webhook(&receiver.url(), |_, _| {}).await
    }

    /// The webhook as it stands.
    pub(crate) async fn look(&self, id: WebhookId) -> Endpoint {
        let filter = Filter { id: Some(id), ..Filter::default() };
        let mut conn = self.house.pool().acquire().await.unwrap();
        endpoint::page(&mut conn, AccountId(Uuid::nil()), filter, 1).await.unwrap().pop().unwrap()
    }

    /// A worker on a node of its own.
    pub(crate) async fn worker(&self, seed: u128) -> Worker {
        self.worker_by(seed, Arc::new(SystemNames)).await
    }

    pub(crate) async fn worker_by(&self, seed: u128, names: Arc<dyn Names>) -> Worker {
        let node = NodeId(Uuid::from_u128(0xA000 + seed));
        sqlx::query(
            "INSERT INTO node (id, addr, name, started_at, expires_at) VALUES ($1, '', '', now(), now() + interval '1 h')
             ON CONFLICT DO NOTHING",
        )
        .bind(node.0)
        .execute(self.house.pool())
        .await
        .unwrap();
        let outbox = Outbox::new(OutboxParts {
            store: self.house.database.store().clone(),
            vault: Arc::clone(&self.house.vault),
            sender: Sender::new(&self.config, names).unwrap(),
            clock: Arc::new(self.clock.clone()),
            node: Arc::new(move || Some(node)),
            config: self.config.clone(),
            meter: WebhookMeter::default(),
            rng: StdRng::seed_from_u64(7),
        });
        let token = CancellationToken::new();
        let task = AbortOnDropHandle::new(tokio::spawn(outbox.run(token.clone())));
        Worker { token, task }
    }

    /// The node of a worker is dead, and buried.
    pub(crate) async fn bury(&self, seed: u128) {
        sqlx::query("DELETE FROM node WHERE id = $1")
            .bind(Uuid::from_u128(0xA000 + seed))
            .execute(self.house.pool())
            .await
            .unwrap();
    }

    /// So many messages come in; the number of the last.
    pub(crate) async fn happen(&self, owned: (InstanceId, Fence), count: usize) -> i64 {
        let kinds = vec![EventKind::Message; count];
        self.happens(owned, &kinds).await
    }

    pub(crate) async fn happens(&self, owned @ (id, _): (InstanceId, Fence), kinds: &[EventKind]) -> i64 {
        let drafts = kinds.iter().map(|kind| Draft {
            kind: *kind,
            at: self.clock.now(),
            chat: ChatId::parse("15550100001").ok(),
            payload: json!({ "body": "Hi" }),
        });
        let cipher = self.house.cipher(id).await;
        let mut tx = self.house.database.store().begin().await.unwrap();
        let me = json!({ "id": "15550100000@c.us" });
        let last = event::record(&mut tx, &cipher, owned, &me, drafts.collect()).await.unwrap().unwrap();
        tx.commit().await.unwrap();
        self.house.database.store().bell().ring(id, last);
        last
    }

    /// Time passes; workers look everywhere.
    pub(crate) fn pass(&self, time: TimeDelta) {
        self.clock.advance(time);
    }

    /// Time passes once nothing is under way: a jump must not look as if a courier had been away for as long.
    pub(crate) async fn pass_between(&self, time: TimeDelta) {
        until("nothing is under way", || async {
            let under_way: i64 = sqlx::query_scalar(
                "SELECT (SELECT count(*) FROM webhook_stream WHERE claimed_until > $1)
                      + (SELECT count(*) FROM webhook_aside WHERE claimed_until > $1)",
            )
            .bind(self.now())
            .fetch_one(self.house.pool())
            .await
            .unwrap();
            (under_way == 0).then_some(())
        })
        .await;
        self.pass(time);
    }

    /// Time passes second by second until it is so.
    pub(crate) async fn pass_until<T, F: Future<Output = Option<T>>>(
        &self,
        what: &str,
        mut ask: impl FnMut() -> F,
    ) -> T {
        until(what, || {
            self.pass(TimeDelta::seconds(1));
            ask()
        })
        .await
    }

    /// A number out of the database.
    pub(crate) async fn count(&self, query: &'static str) -> i64 {
        sqlx::query_scalar(query).fetch_one(self.house.pool()).await.unwrap()
    }

    /// Waits until every stream was told all there is.
    pub(crate) async fn all_told(&self) {
        until("everything is acknowledged", || async {
            let behind = self
                .count(
                    "SELECT count(*) FROM webhook_stream s JOIN instance_lease l USING (instance_id)
                     WHERE s.acknowledged < l.event_seq OR s.claimed_by IS NOT NULL",
                )
                .await;
            (behind == 0).then_some(())
        })
        .await;
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }
}

/// Names that lead where the test says: to each of these in turn, and then to the last.
pub(crate) struct Leading(parking_lot::Mutex<Vec<SocketAddr>>);

impl Leading {
    pub(crate) fn new(addresses: impl IntoIterator<Item = SocketAddr>) -> Arc<Self> {
        Arc::new(Self(parking_lot::Mutex::new(addresses.into_iter().collect())))
    }
}

impl Names for Leading {
    fn look_up(&self, _: &str) -> std::pin::Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
        let mut addresses = self.0.lock();
        let next = if addresses.len() > 1 { addresses.remove(0) } else { addresses[0] };
        Box::pin(async move { Ok(vec![next]) })
    }
}
