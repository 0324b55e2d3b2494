//! A creation that is sent again makes nothing again.

use std::collections::HashSet;
use std::time::Duration;

use actix_web::web::Data;
use chrono::TimeDelta;
use reqwest::header::HeaderValue;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;
use wagate::api::upkeep::Upkeep;
use wagate::domain::account::AccountId;
use wagate::domain::lease::NodeId;
use wagate::domain::token::TokenKind;
use wagate::store::idempotency::{self, Claim, Claimed};
use wagate::store::node;

use super::gateway::{Answer, Gateway, key, until};

const CREATE: &str = "/v2/session/create";

async fn create(gateway: &Gateway, idempotency_key: &str, body: Value) -> Answer {
    let request = gateway.request("POST", CREATE).bearer_auth(gateway.key.expose());
    Answer::of(request.header("Idempotency-Key", idempotency_key).json(&body)).await
}

async fn instances(gateway: &Gateway) -> i64 {
    sqlx::query_scalar("SELECT count(*) FROM instance").fetch_one(gateway.database.pool()).await.unwrap()
}

#[tokio::test]
async fn twenty_creations_at_once_with_one_key_make_one_instance() {
    // Whoever meets the key in use asks again at once; the limit has tests of its own.
    let gateway = Gateway::with(|config| config.limits.api_burst = 1_000_000).await;
    let persistent = || async {
        let mut answer = create(&gateway, "one", json!({"name": "shop"})).await;
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while answer.status == 409 {
            assert_eq!(answer.error(), (409, "idempotency_key_in_use".into()));
            assert_eq!(answer.header("retry-after"), "2");
            assert!(std::time::Instant::now() < deadline, "whoever holds the key answers");
            answer = create(&gateway, "one", json!({"name": "shop"})).await;
        }
        answer
    };
    let answers = futures_util::future::join_all((0..20).map(|_| persistent())).await;
    let bodies: HashSet<&[u8]> = answers.iter().map(|answer| answer.body.as_slice()).collect();
    assert_eq!(bodies.len(), 1, "all are told the same");
    assert!(answers.iter().all(|answer| answer.status == 201));
    let first = answers.iter().filter(|answer| answer.header("idempotency-replayed") != "true").count();
    assert_eq!((first, instances(&gateway).await), (1, 1));
}

#[tokio::test]
async fn an_answer_is_told_again_for_a_day_and_its_token_for_ten_minutes() {
    let gateway = Gateway::start().await;
    let first = create(&gateway, "again", json!({"name": "shop"})).await;
    assert_eq!((first.status.as_u16(), first.header("idempotency-replayed")), (201, ""));
    let token = first.json()["access_token"].as_str().unwrap().to_owned();
    let (body, sealed): (String, Vec<u8>) = sqlx::query_as("SELECT body, sealed FROM idempotency_key, kept_secret")
        .fetch_one(gateway.database.pool())
        .await
        .unwrap();
    let at_rest = format!("{body}{}", String::from_utf8_lossy(&sealed));
    assert!(!at_rest.contains("wgi_"), "no token stands in the database: {at_rest}");

    gateway.clock.advance(TimeDelta::seconds(599));
    let again = create(&gateway, "again", json!({"name": "shop"})).await;
    assert_eq!((again.status.as_u16(), again.header("idempotency-replayed")), (201, "true"));
    assert_eq!(again.text(), first.text());

    gateway.clock.advance(TimeDelta::seconds(1));
    let later = create(&gateway, "again", json!({"name": "shop"})).await;
    let mut without = first.json();
    without["access_token"] = Value::Null;
    assert_eq!((later.status.as_u16(), later.json()), (201, without));
    assert_eq!(gateway.get("/v2/session/info", &token).await.status, 200, "the token itself lives on");

    gateway.clock.advance(TimeDelta::hours(24));
    let anew = create(&gateway, "again", json!({"name": "shop"})).await;
    assert_ne!(anew.json()["instance_id"], first.json()["instance_id"], "the key is free again");
    assert_eq!(instances(&gateway).await, 2);
}

#[tokio::test]
async fn a_key_is_for_one_request_wherever_its_parameters_stand() {
    let gateway = Gateway::start().await;
    let body = json!({"name": "shop", "metadata": {"a": 1, "b": 2}});
    let first = create(&gateway, "key", body).await;
    let query = "name=shop&start=true&metadata=%7B%22b%22%3A2%2C%22a%22%3A1%7D";
    let request = gateway.request("POST", &format!("{CREATE}?{query}&access_token={}", gateway.key.expose()));
    let same = Answer::of(request.header("Idempotency-Key", "key")).await;
    assert_eq!(same.text(), first.text());
    for other in [
        json!({"name": "shop"}),
        json!({"name": "other", "metadata": {"a": 1, "b": 2}}),
        json!({"name": "shop", "metadata": {"a": 1, "b": 2}, "start": false}),
    ] {
        let answer = create(&gateway, "key", other).await;
        assert_eq!(answer.error(), (422, "idempotency_key_reused".into()));
        assert_eq!(answer.header("retry-after"), "", "time does not mend it");
    }
    let stranger = key(TokenKind::Account, 70);
    gateway.add_account(AccountId(Uuid::from_u128(70)), &stranger, |_| {}).await;
    let request = gateway.request("POST", CREATE).bearer_auth(stranger.expose());
    let theirs = Answer::of(request.header("Idempotency-Key", "key").json(&json!({}))).await;
    assert_eq!(theirs.status, 201, "each account has keys of its own");
    assert_eq!(instances(&gateway).await, 2);
}

#[tokio::test]
async fn a_malformed_key_is_named_beside_the_other_parameters() {
    let gateway = Gateway::start().await;
    let long = "x".repeat(256);
    for bad in [&b""[..], b"a b", b"\xc3\xa4", b"a\tb", long.as_bytes()] {
        let request = gateway.request("POST", CREATE).bearer_auth(gateway.key.expose());
        let request = request.header("Idempotency-Key", HeaderValue::from_bytes(bad).unwrap());
        let answer = Answer::of(request.json(&json!({"start": "maybe"}))).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{bad:?}");
        let names: Vec<Value> =
            answer.json()["parameters"].as_array().unwrap().iter().map(|problem| problem["name"].clone()).collect();
        assert_eq!(names, ["Idempotency-Key", "start"]);
    }
    let request = gateway.request("POST", CREATE).bearer_auth(gateway.key.expose());
    let twice = Answer::of(request.header("Idempotency-Key", "a").header("Idempotency-Key", "b")).await;
    assert_eq!(twice.error(), (400, "invalid_parameter".into()));
    assert_eq!(create(&gateway, &long[..255], json!({})).await.status, 201);
}

#[tokio::test]
async fn a_holder_that_died_on_a_living_node_blocks_a_key_for_90_seconds() {
    let gateway = Gateway::start().await;
    let first = create(&gateway, "died", json!({})).await;
    // As it stands when a node dies before it has answered.
    sqlx::query("UPDATE idempotency_key SET status = NULL, body = NULL, secret = NULL")
        .execute(gateway.database.pool())
        .await
        .unwrap();
    let waiting = create(&gateway, "died", json!({})).await;
    assert_eq!((waiting.error(), waiting.header("retry-after")), ((409, "idempotency_key_in_use".into()), "2"));
    gateway.clock.advance(TimeDelta::seconds(90));
    let second = create(&gateway, "died", json!({})).await;
    assert_eq!(second.status, 201);
    assert_ne!(second.json()["instance_id"], first.json()["instance_id"]);
}

#[tokio::test]
async fn a_holder_that_was_too_slow_may_not_answer() {
    let gateway = Gateway::start().await;
    let mut conn = gateway.database.store().acquire().await.unwrap();
    let claim = |id| Claim { account: gateway.account, key: "slow", id: Uuid::from_u128(id), node: None };
    let (now, request) = (gateway.now(), [7; 32]);
    let second = TimeDelta::seconds(1);
    let times = |start: i32| (now + second * start, now + second * (start + 30), now + TimeDelta::hours(1));
    assert_eq!(idempotency::claim(&mut conn, claim(1), &request, times(0)).await.unwrap(), Claimed::Ours);
    assert_eq!(idempotency::claim(&mut conn, claim(2), &request, times(29)).await.unwrap(), Claimed::InUse);
    assert_eq!(idempotency::claim(&mut conn, claim(2), &request, times(30)).await.unwrap(), Claimed::Ours);
    let answer = idempotency::Answer { status: 201, body: "{}".into(), secret: None };
    assert!(!idempotency::answer(&mut conn, claim(1), &answer).await.unwrap());
    idempotency::release(&mut conn, claim(1)).await.unwrap();
    assert!(idempotency::answer(&mut conn, claim(2), &answer).await.unwrap(), "nor was the claim let go");
    idempotency::release(&mut conn, claim(2)).await.unwrap();
    assert_eq!(
        idempotency::claim(&mut conn, claim(3), &request, times(90)).await.unwrap(),
        Claimed::Answered(answer),
        "an answer stays"
    );
}

#[tokio::test]
async fn a_key_is_free_at_once_when_the_node_of_its_holder_is_gone() {
    let gateway = Gateway::start().await;
    let mut conn = gateway.database.store().acquire().await.unwrap();
    let holder = NodeId(Uuid::from_u128(7));
    node::register(&mut conn, holder, "http://127.0.0.1:1", "node-7", Duration::from_mins(1)).await.unwrap();
    let claim = |id, node| Claim { account: gateway.account, key: "died", id: Uuid::from_u128(id), node };
    let now = gateway.now();
    let (times, request) = ((now, now + TimeDelta::minutes(1), now + TimeDelta::hours(1)), [7; 32]);
    assert_eq!(idempotency::claim(&mut conn, claim(1, Some(holder)), &request, times).await.unwrap(), Claimed::Ours);
    assert_eq!(idempotency::claim(&mut conn, claim(2, None), &request, times).await.unwrap(), Claimed::InUse);
    node::remove(&mut conn, holder).await.unwrap();
    assert_eq!(idempotency::claim(&mut conn, claim(2, None), &request, times).await.unwrap(), Claimed::Ours);
    assert_eq!(idempotency::claim(&mut conn, claim(3, None), &request, times).await.unwrap(), Claimed::InUse);
}

#[tokio::test]
async fn a_refusal_is_not_kept() {
    let gateway = Gateway::start().await;
    let quota = |max: i32| sqlx::query("UPDATE account SET max_instances = $1").bind(max);
    quota(0).execute(gateway.database.pool()).await.unwrap();
    assert_eq!(create(&gateway, "key", json!({})).await.error(), (403, "quota_reached".into()));
    quota(1).execute(gateway.database.pool()).await.unwrap();
    let made = create(&gateway, "key", json!({})).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let again = create(&gateway, "key", json!({})).await;
    assert_eq!(again.text(), made.text(), "a repetition makes nothing, so no quota refuses it");
}

#[tokio::test]
async fn an_answer_outlives_its_instance_without_the_token() {
    let gateway = Gateway::start().await;
    let first = create(&gateway, "gone", json!({})).await.json();
    sqlx::query("DELETE FROM instance").execute(gateway.database.pool()).await.unwrap();
    let again = create(&gateway, "gone", json!({})).await;
    assert_eq!((again.status.as_u16(), &again.json()["instance_id"]), (201, &first["instance_id"]));
    assert_eq!(again.json()["access_token"], Value::Null);
    assert_eq!(instances(&gateway).await, 0);
}

#[tokio::test]
async fn a_token_that_was_revoked_is_not_told_again() {
    let gateway = Gateway::start().await;
    create(&gateway, "revoked", json!({})).await;
    sqlx::query("UPDATE api_token SET revoked_at = created_at WHERE kind = 'instance'")
        .execute(gateway.database.pool())
        .await
        .unwrap();
    let again = create(&gateway, "revoked", json!({})).await;
    assert_eq!((again.status.as_u16(), &again.json()["access_token"]), (201, &Value::Null));
}

#[tokio::test]
async fn what_is_over_is_deleted() {
    let gateway = Gateway::start().await;
    create(&gateway, "over", json!({})).await;
    let id = create(&gateway, "kept", json!({})).await.json()["instance_id"].clone();
    let link = gateway.post("/v2/session/temp-link", gateway.key.expose(), json!({"instance_id": id})).await;
    assert_eq!(link.status, 200);
    let rows = || async {
        let count = "SELECT (SELECT count(*) FROM kept_secret), (SELECT count(*) FROM idempotency_key), \
                     (SELECT count(*) FROM link)";
        sqlx::query_as::<_, (i64, i64, i64)>(count).fetch_one(gateway.database.pool()).await.unwrap()
    };
    assert_eq!(rows().await, (3, 2, 1));
    let upkeep = Upkeep { state: Data::clone(&gateway.state), revocation_interval: Duration::from_secs(2) };
    let stop = CancellationToken::new();
    let running = tokio::spawn(upkeep.run(stop.clone()));
    for (passed, left) in [(TimeDelta::minutes(11), (1, 2, 1)), (TimeDelta::hours(25), (0, 0, 0))] {
        until(|| gateway.clock.next_deadline().is_some()).await;
        gateway.clock.advance(passed);
        let deadline = std::time::Instant::now() + Duration::from_mins(1);
        while rows().await != left {
            assert!(std::time::Instant::now() < deadline, "{:?} is left instead of {left:?}", rows().await);
        }
    }
    stop.cancel();
    running.await.unwrap();
}
