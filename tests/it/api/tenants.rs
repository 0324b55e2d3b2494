//! One tenant learns nothing of another.

use serde_json::json;
use wagate::domain::account::AccountId;
use wagate::domain::token::TokenKind;

use super::gateway::{Answer, Created, Gateway, key};

const ON_AN_INSTANCE: [(&str, &str); 12] = [
    ("GET", "/v2/session/info"),
    ("GET", "/v2/session/me"),
    ("GET", "/v2/session/temp-link"),
    ("POST", "/v2/session/temp-link"),
    ("DELETE", "/v2/session/temp-link"),
    ("POST", "/v2/session/start"),
    ("POST", "/v2/session/stop"),
    ("POST", "/v2/session/restart"),
    ("POST", "/v2/session/logout"),
    ("POST", "/v2/session/delete"),
    ("GET", "/v2/auth/qr"),
    ("POST", "/v2/auth/qr-image"),
];

/// Everything a client can compare, but for the request's id and the clock.
fn comparable(answer: &Answer) -> (u16, String, Vec<String>) {
    let mut body = answer.json();
    body["request_id"].take();
    let volatile = ["x-request-id", "date", "ratelimit"];
    let mut headers: Vec<String> = answer
        .headers
        .iter()
        .filter(|(name, _)| !volatile.contains(&name.as_str()))
        .map(|h| format!("{h:?}"))
        .collect();
    headers.sort();
    (answer.status.as_u16(), body.to_string(), headers)
}

#[tokio::test]
async fn absent_deleted_foreign_and_out_of_reach_are_one_answer() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 50);
    gateway.add_account(AccountId(uuid::Uuid::from_u128(50)), &stranger, |_| {}).await;
    let foreign = gateway.create_with(stranger.expose()).await;
    let own = gateway.create().await;
    let sibling = gateway.create().await;
    let deleted = gateway.create().await;
    let answer = gateway.post("/v2/session/delete", gateway.key.expose(), json!({"instance_id": deleted.id})).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    sqlx::query("DELETE FROM instance WHERE id = $1")
        .bind(deleted.id.as_str())
        .execute(gateway.database.pool())
        .await
        .unwrap();
    let account = gateway.key.expose();
    let cases = [
        (account, "000000000000"),
        (account, "IIIIIIIIIIII"),
        (account, deleted.id.as_str()),
        (account, foreign.id.as_str()),
        (&own.token, foreign.id.as_str()),
        (&own.token, sibling.id.as_str()),
        (&own.token, "000000000000"),
    ];
    for (method, path) in ON_AN_INSTANCE {
        let mut first = None;
        for (token, id) in cases {
            let request = gateway.request(method, &format!("{path}?instance_id={id}")).bearer_auth(token);
            let answer = Answer::of(request).await;
            assert_eq!(answer.error(), (404, "session_not_found".into()), "{method} {path} {id}");
            assert!(!answer.text().contains(id), "the id is not echoed");
            let seen = comparable(&answer);
            assert_eq!(first.get_or_insert_with(|| seen.clone()), &seen, "{method} {path} {id}");
        }
    }
    for Created { id, token } in [&own, &sibling] {
        let answer = gateway.get(&format!("/v2/session/info?instance_id={id}"), token).await;
        assert_eq!(answer.status, 200, "and its own is found");
    }
}

#[tokio::test]
async fn an_absent_instance_costs_as_many_queries_as_a_foreign_one() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 51);
    gateway.add_account(AccountId(uuid::Uuid::from_u128(51)), &stranger, |_| {}).await;
    let foreign = gateway.create_with(stranger.expose()).await;
    // The owner's own request makes the gateway remember whose it is.
    let path = format!("/v2/session/info?instance_id={}", foreign.id);
    assert_eq!(gateway.get(&path, stranger.expose()).await.status, 200);
    gateway.get("/v2/session/list", gateway.key.expose()).await;
    let mut counts = Vec::new();
    for id in [foreign.id.as_str(), "000000000000", foreign.id.as_str()] {
        let before = commits(&gateway).await;
        for _ in 0..5 {
            let path = format!("/v2/session/info?instance_id={id}");
            assert_eq!(gateway.get(&path, gateway.key.expose()).await.status, 404);
        }
        counts.push(commits(&gateway).await - before);
    }
    assert_eq!(counts, [counts[0]; 3]);
    assert!(counts[0] >= 5, "the queries are counted: {counts:?}");
}

/// Executions of the one query that asks whose an instance is, by the index it reads.
async fn commits(gateway: &Gateway) -> i64 {
    let mut connections = Vec::new();
    // Statistics reach the others when a backend rests; each of the pool's is told to hand them in.
    for _ in 0..8 {
        connections.push(gateway.database.pool().acquire().await.unwrap());
    }
    for connection in &mut connections {
        sqlx::query("SELECT pg_stat_force_next_flush()").execute(&mut **connection).await.unwrap();
    }
    let connection = connections.first_mut().unwrap();
    sqlx::query("SELECT pg_stat_clear_snapshot()").execute(&mut **connection).await.unwrap();
    sqlx::query_scalar("SELECT idx_scan FROM pg_stat_user_indexes WHERE indexrelname = 'instance_pkey'")
        .fetch_one(&mut **connection)
        .await
        .unwrap()
}
