//! Limits, and the headers that tell of them.

use std::time::Duration;

use wagate::domain::token::TokenKind;
use wagate::store::token::Holder;

use super::gateway::{Answer, Created, Gateway, key};
use super::script::{VALUE, later};

#[tokio::test]
async fn codes_are_limited_for_each_token_and_instance_and_the_headers_tell_the_truth() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    gateway.script.show_code(id, VALUE, 1, later(gateway.now(), 60));
    for left in (0..20).rev() {
        let answer = gateway.get("/v2/auth/qr", &token).await;
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("ratelimit-policy"), "\"qr\";q=20;w=20");
        assert_eq!(answer.header("ratelimit"), format!("\"qr\";r={left};t={}", 20 - left));
    }
    let refused = gateway.get("/v2/auth/qr-image", &token).await;
    assert_eq!(refused.error(), (429, "rate_limited".into()));
    assert_eq!((refused.header("retry-after"), refused.header("ratelimit")), ("1", "\"qr\";r=0;t=20"));
    let path = format!("/v2/auth/qr?instance_id={id}");
    assert_eq!(gateway.get(&path, gateway.key.expose()).await.status, 200, "another token is not limited for it");
    gateway.advance_ticks(Duration::from_secs(1));
    assert_eq!(gateway.get("/v2/auth/qr", &token).await.status, 200, "Retry-After was enough");
    assert_eq!(gateway.get("/v2/auth/qr", &token).await.status, 429);
}

#[tokio::test]
async fn a_token_is_limited_over_all_routes_together() {
    let gateway = Gateway::with(|config| {
        config.limits.api_per_second = 2;
        config.limits.api_burst = 3;
    })
    .await;
    let token = gateway.key.expose();
    for (path, left) in [("/v2/session/list", 2), ("/v2/session/info", 1), ("/v2/session/list", 0)] {
        let answer = gateway.get(path, token).await;
        assert_ne!(answer.status, 429);
        assert_eq!(answer.header("ratelimit-policy"), "\"api\";q=3;w=2");
        assert!(answer.header("ratelimit").starts_with(&format!("\"api\";r={left};")));
    }
    let refused = gateway.get("/v2/session/list", token).await;
    assert_eq!(refused.error(), (429, "rate_limited".into()));
    assert_eq!(refused.header("retry-after"), "1");
}

#[tokio::test]
async fn failures_drain_the_bucket_of_their_address_and_never_that_of_a_valid_caller() {
    let gateway = Gateway::with(|config| config.server.trusted_proxies = vec!["127.0.0.1".into()]).await;
    let from = |address: &str, token: &str| {
        let request = gateway.request("GET", "/v2/session/list").header("X-Forwarded-For", address);
        Answer::of(request.bearer_auth(token))
    };
    for _ in 0..30 {
        assert_eq!(from("2001:db8::1", "nonsense").await.status, 401);
    }
    let refused = from("2001:db8::ffff", "nonsense").await;
    assert_eq!(refused.error(), (429, "rate_limited".into()), "the /64 is one address");
    assert_eq!(refused.header("retry-after"), "2");
    assert_eq!(from("2001:db8::1", gateway.key.expose()).await.status, 200);
    assert_eq!(from("2001:db8:0:1::1", "nonsense").await.status, 401, "the next /64 is another");
    gateway.advance_ticks(Duration::from_secs(2));
    assert_eq!(from("2001:db8::1", "nonsense").await.status, 401);
}

#[tokio::test]
async fn guessing_is_capped_before_the_database_and_known_tokens_pass() {
    let gateway = Gateway::with(|config| {
        config.limits.token_lookups_per_second = 5;
        config.limits.failed_auth_per_minute = 1_000;
    })
    .await;
    assert_eq!(gateway.get("/v2/session/list", gateway.key.expose()).await.status, 200);
    let guesses: Vec<u16> = {
        let mut statuses = Vec::new();
        for seed in 0..10 {
            let guess = key(TokenKind::Account, 100 + seed);
            statuses.push(gateway.get("/v2/session/list", guess.expose()).await.status.as_u16());
        }
        statuses
    };
    assert_eq!(guesses, [401, 401, 401, 401, 503, 503, 503, 503, 503, 503], "one look-up was the key's own");
    let again = gateway.get("/v2/session/list", key(TokenKind::Account, 100).expose()).await;
    assert_eq!(again.status, 401, "an unknown token is remembered, and costs no look-up");
    assert_eq!(gateway.get("/v2/session/list", gateway.key.expose()).await.status, 200);
    gateway.advance_ticks(Duration::from_secs(61));
    assert_eq!(gateway.get("/v2/session/list", gateway.key.expose()).await.status, 200, "looked up anew");
}

#[tokio::test]
async fn a_valid_key_this_node_never_met_passes_while_guesses_have_exhausted_the_look_ups() {
    let gateway = Gateway::with(|config| {
        config.limits.token_lookups_per_second = 5;
        config.limits.failed_auth_per_minute = 8;
    })
    .await;
    let fresh = key(TokenKind::Account, 200);
    gateway.add_token(&fresh, Holder::Account(gateway.account), &[], None).await;
    gateway.state.load_tokens().await.unwrap();
    let mut statuses = Vec::new();
    for seed in 0..10 {
        let guess = key(TokenKind::Account, 300 + seed);
        statuses.push(gateway.get("/v2/session/list", guess.expose()).await.status.as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 401, 401, 503, 503, 503, 429, 429], "a guess not looked up is a failure too");
    for token in [&fresh, &gateway.key] {
        assert_eq!(gateway.get("/v2/session/list", token.expose()).await.status, 200, "its address's bucket is empty");
    }
    let minted = gateway.post("/v2/account/keys", fresh.expose(), serde_json::json!({})).await.json();
    let minted = minted["access_token"].as_str().unwrap();
    assert_eq!(gateway.get("/v2/session/list", minted).await.status, 200, "so does one made here a moment ago");
}
