//! `/v2/usage`: where the instances stood, which is counted once an hour.

use std::time::Duration;

use actix_web::web::Data;
use chrono::TimeDelta;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wagate::api::upkeep::Upkeep;
use wagate::domain::account::AccountId;
use wagate::domain::token::TokenKind;

use super::gateway::{Gateway, key};
use crate::support::wait::until;

const USAGE: &str = "/v2/usage";

impl Gateway {
    async fn hours(&self, key: &str) -> Value {
        let answer = self.get(USAGE, key).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()["hours"].clone()
    }

    async fn stands_at(&self, id: &str, status: &str) {
        let moved = sqlx::query("UPDATE session SET status = $2 WHERE instance_id = $1").bind(id).bind(status);
        assert_eq!(moved.execute(self.database.pool()).await.unwrap().rows_affected(), 1);
    }
}

#[tokio::test]
async fn where_instances_stand_is_counted_once_an_hour_for_each_account() {
    let gateway = Gateway::start().await;
    let (other, others_key) = (AccountId(Uuid::from_u128(2)), key(TokenKind::Account, 2));
    gateway.add_account(other, &others_key, |_| {}).await;
    gateway.create_with(others_key.expose()).await;
    let [first, second, _] = [gateway.create().await, gateway.create().await, gateway.create().await];
    gateway.stands_at(first.id.as_str(), "WORKING").await;
    gateway.stands_at(second.id.as_str(), "WORKING").await;

    let ended = CancellationToken::new();
    let interval = Duration::from_secs(2);
    for _node in 0..2 {
        let upkeep = Upkeep { state: Data::clone(&gateway.state), revocation_interval: interval };
        tokio::spawn(upkeep.run(ended.clone()));
    }
    let counted = |count: usize| {
        let gateway = &gateway;
        until("the hour is counted", move || async move {
            gateway.clock.advance(TimeDelta::seconds(2));
            let hours = gateway.hours(gateway.key.expose()).await;
            assert!(hours.as_array().unwrap().len() <= count, "{hours}");
            (hours.as_array().unwrap().len() == count).then_some(hours)
        })
    };
    let hours = counted(1).await;
    let rest = hours[0]["sessions"].as_object().unwrap().clone();
    assert_eq!((&hours[0]["hour"], &rest["WORKING"]), (&json!("2026-11-24T21:00:00Z"), &json!(2)));
    assert_eq!(rest.values().map(|count| count.as_i64().unwrap()).sum::<i64>(), 3, "{rest:?}");

    // What comes later in the hour is for the next.
    gateway.stands_at(second.id.as_str(), "FAILED").await;
    for _ in 0..20 {
        assert_eq!(counted(1).await, hours);
    }
    gateway.clock.advance(TimeDelta::hours(2));
    let later = counted(2).await;
    assert_eq!(later[0], hours[0]);
    assert_eq!((&later[1]["hour"], &later[1]["sessions"]["FAILED"]), (&json!("2026-11-24T23:00:00Z"), &json!(1)));
    let others = gateway.hours(others_key.expose()).await;
    assert_eq!((others.as_array().unwrap().len(), others[0]["sessions"].as_object().unwrap().len()), (2, 1));

    let page = gateway.get("/v2/usage", gateway.key.expose()).await.json();
    assert_eq!(page["sessions"]["FAILED"], 1);
    gateway.clock.advance(TimeDelta::days(8));
    until("what is older than a week is forgotten", || async {
        gateway.clock.advance(TimeDelta::seconds(61));
        let oldest = sqlx::query_scalar::<_, chrono::DateTime<chrono::Utc>>("SELECT min(hour) FROM session_census");
        (oldest.fetch_one(gateway.database.pool()).await.unwrap() > gateway.now() - TimeDelta::days(7)).then_some(())
    })
    .await;
    ended.cancel();
}
