//! Nothing that WhatsApp was told we have is lost, and nothing is told twice.

use sqlx::pool::PoolConnection;
use sqlx::{PgPool, Postgres};

use super::*;

/// Makes every insert into `table` that meets `when` fail, until it is mended.
struct Broken<'a> {
    pair: &'a Pair,
    table: &'static str,
}

impl<'a> Broken<'a> {
    async fn at(pair: &'a Pair, table: &'static str, when: &str) -> Self {
        let pool = pair.gateway.database.pool();
        let refuses = "CREATE OR REPLACE FUNCTION refuses() RETURNS trigger LANGUAGE plpgsql AS
                       $$ BEGIN RAISE EXCEPTION 'the test wants it'; END $$";
        sqlx::raw_sql(refuses).execute(pool).await.unwrap();
        let trigger = format!(
            "CREATE TRIGGER refused BEFORE INSERT ON {table} FOR EACH ROW WHEN ({when}) EXECUTE FUNCTION refuses()"
        );
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(pool).await.unwrap();
        Self { pair, table }
    }

    async fn mend(self) {
        let trigger = format!("DROP TRIGGER refused ON {}", self.table);
        sqlx::raw_sql(sqlx::AssertSqlSafe(trigger)).execute(self.pair.gateway.database.pool()).await.unwrap();
    }
}

/// A message comes while `table` refuses, and is told once, in its place, when that is over.
async fn is_told_once_after(table: &'static str, when: &str) {
    let pair = Pair::new().await;
    let first = pair.hear(text("before")).await;
    pair.told(EventKind::Message, &first).await;
    let broken = Broken::at(&pair, table, when).await;
    let second = pair.hear(text("meanwhile")).await;
    until("the connection is given up", || async {
        (pair.gateway.client.info(&pair.instance).await["status"] == "STARTING").then_some(())
    })
    .await;
    assert_eq!(pair.log().await.len(), 1);
    broken.mend().await;
    let third = pair.hear(text("after")).await;
    pair.told(EventKind::Message, &third).await;
    let told: Vec<Value> = pair.log().await.iter().map(|event| payload(event)["id"].clone()).collect();
    assert_eq!(told, [first, second, third]);
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_could_not_be_logged_is_sent_again_and_told_once() {
    is_told_once_after("event", "NEW.kind = 'message'").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_copy_could_not_be_stored_is_sent_again_and_told_once() {
    is_told_once_after("engine_state", "NEW.kind = 19").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_while_the_instance_is_away_is_told_in_order_when_it_is_back() {
    let pair = Pair::new().await;
    pair.stop().await;
    let mut sent = Vec::new();
    for number in 0..30 {
        sent.push(pair.hear(text(&format!("message {number}"))).await);
    }
    pair.start().await;
    pair.told(EventKind::Message, sent.last().unwrap()).await;
    let told: Vec<Value> = pair.log().await.iter().map(|event| payload(event)["id"].clone()).collect();
    assert_eq!(told, sent);
    pair.gateway.stop().await;
}

/// A gate in the database that no message passes into the log while it is held.
struct Gate<'a> {
    pool: &'a PgPool,
    held: PoolConnection<Postgres>,
}

impl<'a> Gate<'a> {
    async fn close(pair: &'a Pair) -> Self {
        let pool = pair.gateway.database.pool();
        let waits = "CREATE OR REPLACE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS
                     $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NEW; END $$;
                     CREATE OR REPLACE TRIGGER waits BEFORE INSERT ON event FOR EACH ROW WHEN (NEW.kind = 'message')
                     EXECUTE FUNCTION waits()";
        sqlx::raw_sql(waits).execute(pool).await.unwrap();
        let mut held = pool.acquire().await.unwrap();
        sqlx::raw_sql("SELECT pg_advisory_lock(1)").execute(&mut *held).await.unwrap();
        Self { pool, held }
    }

    /// Waits until a message stands before it: its copy is stored.
    async fn is_reached(&self) {
        until("the copy is stored", || async {
            let copies = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM engine_state WHERE kind = 19");
            (copies.fetch_one(self.pool).await.unwrap() == 1).then_some(())
        })
        .await;
    }

    async fn open(mut self) {
        sqlx::raw_sql("SELECT pg_advisory_unlock(1)").execute(&mut *self.held).await.unwrap();
    }
}

impl Pair {
    /// What a crash between two writes leaves of a message: nothing but the ratchet.
    async fn lose(&self, body: &str) {
        let gate = Gate::close(self).await;
        let message = self.hear(text(body)).await;
        gate.is_reached().await;
        // The network goes silent: the acknowledgement is lost.
        let silence = self.gateway.network.fault(&json!({ "kind": "silent" })).await;
        gate.open().await;
        self.told(EventKind::Message, &message).await;
        sqlx::raw_sql("DELETE FROM seen_message").execute(self.gateway.database.pool()).await.unwrap();
        self.stop().await;
        // No sooner: the acknowledgement may still be on its way.
        self.gateway.network.mend(&silence).await;
    }

    /// Waits until a text was told this often.
    async fn is_told(&self, body: &str, times: usize) {
        until("it is told again", || async {
            let told = self.log().await.iter().filter(|event| payload(event)["body"] == body).count();
            assert!(told <= times, "it is told {told} times");
            (told == times).then_some(())
        })
        .await;
    }

    /// Which linked devices say that they have what the other phone sent.
    async fn has_been_delivered_to(&self) -> Vec<Value> {
        let outbox = self.gateway.network.get(&format!("/phones/{}/outbox", self.other)).await;
        let devices = outbox[0]["delivered_to"].as_array().unwrap().clone();
        devices.into_iter().filter(|device| device.as_str().unwrap().contains(':')).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_whose_ratchet_survived_a_crash_and_nothing_else_did_is_asked_for_again() {
    let pair = Pair::new().await;
    pair.lose("lost and found").await;
    pair.start().await;
    pair.is_told("lost and found", 2).await;
    pair.gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_was_lost_in_a_crash_is_not_acknowledged_before_it_was_told() {
    let pair = Pair::new().await;
    pair.lose("lost twice").await;
    let gate = Gate::close(&pair).await;
    pair.start().await;
    // It was asked for, and has come again.
    gate.is_reached().await;
    assert_eq!(pair.has_been_delivered_to().await, Vec::<Value>::new());
    gate.open().await;
    pair.is_told("lost twice", 2).await;
    until("it is acknowledged", || async { (pair.has_been_delivered_to().await.len() == 1).then_some(()) }).await;
    pair.gateway.stop().await;
}
