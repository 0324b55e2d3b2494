//! Nothing that WhatsApp was told we have is lost, and nothing is told twice.

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
    pair.gateway.client.post("/v2/session/stop", &json!({ "instance_id": pair.instance })).await;
    pair.gateway.client.reaches(&pair.instance, "STOPPED").await;
    let mut sent = Vec::new();
    for number in 0..30 {
        sent.push(pair.hear(text(&format!("message {number}"))).await);
    }
    pair.gateway.client.post("/v2/session/start", &json!({ "instance_id": pair.instance })).await;
    pair.told(EventKind::Message, sent.last().unwrap()).await;
    let told: Vec<Value> = pair.log().await.iter().map(|event| payload(event)["id"].clone()).collect();
    assert_eq!(told, sent);
    pair.gateway.stop().await;
}
