//! `/v2/session/rate-limit`: read, set, held.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_pace_is_read_chosen_and_held_by_the_api() {
    let post = Post::with(|config| config.limits.messages_per_minute = 60).await;
    let client = &post.gateway.client;
    let it = json!({ "instance_id": post.instance });
    let path = format!("/v2/session/rate-limit?instance_id={}", post.instance);
    let (status, pace) = client.call(reqwest::Method::GET, &path, &json!({})).await;
    let expected = json!({ "per_minute": 60, "per_day": 10_000, "pause_ms": 0, "over": "queue", "used_today": 0 });
    assert_eq!((status, pace), (StatusCode::OK, expected));

    let change = json!({ "instance_id": post.instance, "per_minute": 2, "over": "refuse" });
    let (status, pace) = client.post("/v2/session/rate-limit", &change).await;
    assert_eq!((status, &pace["per_minute"], &pace["per_day"]), (StatusCode::OK, &json!(2), &json!(10_000)), "{pace}");
    post.say("one").await;
    post.say("two").await;
    let response = client.ask("/v2/send/text", &post.body(json!({ "message": "three" })), &[]).await;
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    let seconds: u64 = response.headers()["retry-after"].to_str().unwrap().parse().unwrap();
    assert!((1..=60).contains(&seconds), "{seconds}");
    // Whoever would rather wait says so.
    let (status, body) = post.ask("/v2/send/text", json!({ "message": "three", "over": "queue" })).await;
    assert_eq!((status, &body["status"]), (StatusCode::ACCEPTED, &json!("queued")));
    let message = post.message(body["id"].as_str().unwrap()).await;
    assert!(message["due_at"].as_i64() > message["created_at"].as_i64(), "{message}");

    for (name, value) in [("per_minute", 0), ("per_minute", 6_001), ("per_day", 0), ("pause_ms", 600_001)] {
        let mut change = it.clone();
        change[name] = value.into();
        let (status, body) = client.post("/v2/session/rate-limit", &change).await;
        assert_eq!((status, &body["parameters"][0]["name"]), (StatusCode::BAD_REQUEST, &json!(name)));
    }
    post.gateway.stop().await;
}
