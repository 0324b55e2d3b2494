//! Two nodes on one database: whichever of them is asked, the one that owns the instance answers.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use chrono::{DateTime, TimeDelta, Utc};
use reqwest::header::HeaderMap;
use reqwest::{Response, StatusCode};
use secrecy::SecretBox;
use serde_json::{Value, json};
use uuid::Uuid;
use wagate::cluster::passport::{FORWARDED, NodeSecret, Subject};
use wagate::config::Config;
use wagate::domain::account::AccountId;
use wagate::domain::clock::{Clock, SystemClock};
use wagate::store::token;

use crate::support::gateway::Gateway;
use crate::support::wait::{until, until_within};

const QR: &str = "/v2/auth/qr";
const INFO: &str = "/v2/session/info";

/// A node, and a second one that takes no instance on unless a request makes it.
async fn two_nodes(change: impl FnOnce(&mut Config)) -> (Gateway, Gateway) {
    let owner = Gateway::with(|config| {
        config.node.name = "owner".into();
        change(config);
    })
    .await;
    let other = owner
        .beside(|config| {
            config.node.name = "other".into();
            config.node.advertise = String::new();
            config.node.reconcile_interval = Duration::from_hours(1);
        })
        .await;
    (owner, other)
}

/// Ends both, the one that owns nothing first.
async fn end(owner: Gateway, other: Gateway) {
    other.stop().await;
    owner.stop().await;
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

async fn read(response: Response) -> (StatusCode, HeaderMap, Value) {
    let (status, headers) = (response.status(), response.headers().clone());
    (status, headers, response.json().await.unwrap_or_default())
}

/// A new instance and its token.
async fn create(gateway: &Gateway) -> (Value, String) {
    let (status, created) = gateway.client.post("/v2/session/create", &json!({ "name": "shop-7" })).await;
    assert_eq!(status, StatusCode::CREATED, "{created}");
    (json!({ "instance_id": created["instance_id"] }), created["access_token"].as_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_comes_through_another_node_as_the_owner_gave_it() {
    let (owner, other) = two_nodes(|_| {}).await;
    let (it, _) = create(&owner).await;
    let instance = it["instance_id"].as_str().unwrap();
    owner.client.code(instance).await;
    for format in ["raw", "image", "png", "svg", "text"] {
        let ask = json!({ "instance_id": instance, "format": format });
        let id = [("x-request-id", format)];
        // A code may rotate out between the two.
        until("both nodes were asked for the same code", || async {
            let direct = owner.client.ask(QR, &ask, &id).await;
            let through = other.client.ask(QR, &ask, &id).await;
            assert_eq!((direct.status(), through.status()), (StatusCode::OK, StatusCode::OK));
            let (direct_head, through_head) = (told(direct.headers()), told(through.headers()));
            let (direct, through) = (direct.bytes().await.unwrap(), through.bytes().await.unwrap());
            (direct == through).then(|| assert_eq!(direct_head, through_head))
        })
        .await;
    }
    let (_, _, info) = read(other.client.ask(INFO, &it, &[]).await).await;
    assert_eq!(info["server_name"], "owner");
    end(owner, other).await;
}

/// The headers of an answer that do not depend on the moment.
fn told(headers: &HeaderMap) -> Vec<(String, String)> {
    assert!(headers.contains_key("content-digest") && headers.contains_key("x-qr-attempt"), "{headers:?}");
    assert!(header(headers, "ratelimit").starts_with("\"qr\";"), "{headers:?}");
    let mut told: Vec<_> = headers
        .iter()
        .filter(|(name, _)| !["date", "ratelimit"].contains(&name.as_str()))
        .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
        .collect();
    told.sort();
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_life_of_an_instance_can_be_led_through_another_node() {
    let (owner, other) = two_nodes(|_| {}).await;
    let (it, token) = create(&owner).await;
    let instance = it["instance_id"].as_str().unwrap();
    for node in [&owner, &other] {
        // From now on both remember it.
        assert_eq!(node.client.with_key(&token).post(INFO, &it).await.0, StatusCode::OK);
    }
    let number = owner.network.phone().await;
    other.client.scan(&other.network, instance, &number).await;
    let wait = json!({ "instance_id": instance, "wait_for": "WORKING,FAILED", "timeout": 25 });
    let working = until("it works", || async {
        let (status, _, info) = read(other.client.ask(INFO, &wait, &[]).await).await;
        assert_eq!(status, StatusCode::OK, "{info}");
        (info["status"] == "WORKING").then_some(info)
    })
    .await;
    assert_eq!(working["me"]["id"], format!("{number}@c.us"));
    assert_eq!((&working["server_name"], &working["liveness"]["connected"]), (&json!("owner"), &json!(true)));

    // The owner made this body, the other node this header: both name the request alike, whoever named it.
    for headers in [&[("x-request-id", "mine-1")][..], &[]] {
        let (status, head, refused) = read(other.client.ask(QR, &it, headers).await).await;
        assert_eq!((status, &refused["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("already_linked")));
        assert_eq!(refused["request_id"], header(&head, "x-request-id"));
        assert!(headers.is_empty() || refused["request_id"] == "mine-1");
    }

    let (status, stopped) = other.client.post("/v2/session/stop", &it).await;
    assert_eq!((status, &stopped["desired"]), (StatusCode::OK, &json!("stopped")));
    owner.client.reaches(instance, "STOPPED").await;
    until("its socket is gone", || async {
        let device = owner.network.device_of(&number).await?;
        (device["connected"] == false).then_some(())
    })
    .await;

    let (status, _) = other.client.post("/v2/session/start", &it).await;
    assert_eq!(status, StatusCode::OK);
    other.client.reaches(instance, "WORKING").await;
    let (status, deleted) = other.client.post("/v2/session/delete", &it).await;
    assert_eq!((status, &deleted["deleted"]), (StatusCode::OK, &json!(true)), "{deleted}");
    assert!(owner.network.device_of(&number).await.is_none(), "the phone still lists it");
    for node in [&owner, &other] {
        let (status, body) = node.client.post(INFO, &it).await;
        assert_eq!((status, &body["code"]), (StatusCode::NOT_FOUND, &json!("session_not_found")));
        let (status, _) = node.client.with_key(&token).post(INFO, &it).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "its token went with it");
    }
    end(owner, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instances_limit_holds_over_all_nodes_together() {
    const BURST: u32 = 8;
    let (owner, other) = two_nodes(|config| {
        config.limits.qr_per_second = 1;
        config.limits.qr_burst = BURST;
    })
    .await;
    let (it, token) = create(&owner).await;
    owner.client.reaches(it["instance_id"].as_str().unwrap(), "SCAN_QR_CODE").await;
    let started = Instant::now();
    let mut served = 0;
    for node in [&owner, &other].into_iter().cycle().take(3 * BURST as usize) {
        let (status, head, body) = read(node.client.with_key(&token).ask(QR, &it, &[]).await).await;
        if status == StatusCode::OK {
            served += 1;
            continue;
        }
        assert_eq!((status, &body["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("rate_limited")));
        assert!(header(&head, "ratelimit").starts_with("\"qr\";r=0"), "{head:?}");
        assert!(!header(&head, "retry-after").is_empty(), "{head:?}");
    }
    let refilled = started.elapsed().as_secs() + 1;
    assert!(served <= u64::from(BURST) + refilled, "{served} codes were served, {refilled} s refilled");
    end(owner, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tokens_limit_is_charged_once_where_the_client_calls() {
    const BURST: u32 = 50;
    let (owner, other) = two_nodes(|config| {
        config.limits.api_per_second = 1;
        config.limits.api_burst = BURST;
    })
    .await;
    let (it, token) = create(&owner).await;
    let (here, there) = (owner.client.with_key(&token), other.client.with_key(&token));
    let started = Instant::now();
    let mut last = String::new();
    for _ in 0..20 {
        let (status, head, body) = read(there.ask(INFO, &it, &[]).await).await;
        assert_eq!((status, &body["server_name"]), (StatusCode::OK, &json!("owner")));
        header(&head, "ratelimit").clone_into(&mut last);
    }
    let left = remaining(&last);
    let refilled = started.elapsed().as_secs() + 1;
    assert!((u64::from(BURST) - 20..=u64::from(BURST) - 20 + refilled).contains(&left), "{last}");
    let (_, head, _) = read(here.ask(INFO, &it, &[]).await).await;
    assert_eq!(remaining(header(&head, "ratelimit")), u64::from(BURST) - 1, "the owner charged it too");
    end(owner, other).await;
}

/// `r` of `"api";r=19;t=1`.
fn remaining(header: &str) -> u64 {
    let rest = header.strip_prefix("\"api\";r=").unwrap_or_else(|| panic!("{header:?}"));
    rest.split(';').next().unwrap().parse().unwrap()
}

/// The passport of a POST without a query.
async fn passport(gateway: &Gateway, path: &str, body: &Value, at: DateTime<Utc>, secret: Option<[u8; 32]>) -> String {
    let kept: Vec<u8> =
        sqlx::query_scalar("SELECT secret FROM cluster_secret").fetch_one(gateway.database.pool()).await.unwrap();
    let secret = secret.unwrap_or_else(|| kept.try_into().unwrap());
    let body = serde_json::to_vec(body).unwrap();
    let subject = Subject { method: "POST", path_and_query: path, body: &body };
    let client: IpAddr = "203.0.113.9".parse().unwrap();
    let passport = NodeSecret::new(SecretBox::new(Box::new(secret))).issue(subject, client, at);
    passport.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_nodes_passport_frees_a_request_from_the_first_nodes_limits() {
    let (owner, other) = two_nodes(|config| config.limits.failed_auth_per_minute = 3).await;
    let (it, token) = create(&owner).await;
    let (here, there) = (owner.client.with_key(&token), other.client.with_key(&token));
    let now = SystemClock.now();
    let charged = |head: &HeaderMap| head.contains_key("ratelimit");

    let genuine = passport(&owner, INFO, &it, now, None).await;
    let (status, head, _) = read(here.ask(INFO, &it, &[(FORWARDED.as_str(), &genuine)]).await).await;
    assert_eq!((status, charged(&head)), (StatusCode::OK, false));
    let (status, head, body) = read(there.ask(INFO, &it, &[(FORWARDED.as_str(), &genuine)]).await).await;
    assert_eq!((status, &body["code"]), (StatusCode::MISDIRECTED_REQUEST, &json!("misdirected")));
    assert!(!charged(&head));

    let forged = passport(&owner, INFO, &it, now, Some([7; 32])).await;
    let borrowed = passport(&owner, QR, &it, now, None).await;
    for false_one in [forged.as_str(), borrowed.as_str(), "1"] {
        for node in [&here, &there] {
            let (status, head, body) = read(node.ask(INFO, &it, &[(FORWARDED.as_str(), false_one)]).await).await;
            assert_eq!((status, &body["server_name"]), (StatusCode::OK, &json!("owner")), "{false_one}");
            assert!(charged(&head), "{false_one}");
        }
    }
    let expired = passport(&owner, INFO, &it, now - TimeDelta::minutes(5), None).await;
    let (status, head, _) = read(here.ask(INFO, &it, &[(FORWARDED.as_str(), &expired)]).await).await;
    assert_eq!((status, charged(&head)), (StatusCode::OK, true));
    let (status, ..) = read(there.ask(INFO, &it, &[(FORWARDED.as_str(), &expired)]).await).await;
    assert_eq!(status, StatusCode::MISDIRECTED_REQUEST, "it could go in circles");

    // Guesses under a false passport are counted against whoever sends them.
    let guess = here.with_key("wga_guess");
    let mut statuses = Vec::new();
    for _ in 0..5 {
        statuses.push(guess.ask(INFO, &it, &[(FORWARDED.as_str(), &forged)]).await.status().as_u16());
    }
    assert_eq!(statuses, [401, 401, 401, 429, 429]);
    end(owner, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_names_the_client_and_not_the_node_that_carried_its_request() {
    let (owner, other) = two_nodes(|config| config.server.trusted_proxies = vec!["127.0.0.1".into()]).await;
    let (it, _) = create(&owner).await;
    let (status, ..) = read(other.client.ask(QR, &it, &[("x-forwarded-for", "198.51.100.4")]).await).await;
    assert_eq!(status, StatusCode::OK);
    let shown: Vec<String> = sqlx::query_scalar("SELECT address FROM audit_log WHERE action = 'qr.shown'")
        .fetch_all(owner.database.pool())
        .await
        .unwrap();
    assert_eq!(shown, ["198.51.100.4"]);
    end(owner, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_out_of_reach_is_a_502_until_another_node_takes_over() {
    // Nobody listens on port 1 of a machine that runs tests.
    let (mut owner, other) = two_nodes(|config| config.node.advertise = "127.0.0.1:1".into()).await;
    let (it, _) = create(&owner).await;
    let instance = it["instance_id"].as_str().unwrap();
    for path in [QR, INFO, "/v2/session/stop"] {
        let (status, head, body) = read(other.client.ask(path, &it, &[]).await).await;
        assert_eq!((status, &body["code"]), (StatusCode::BAD_GATEWAY, &json!("owner_unreachable")), "{path}");
        assert_eq!(header(&head, "retry-after"), "10");
    }
    assert_eq!(owner.client.info(instance).await["desired"], "running", "nothing was done");
    let (former, _) = owner.client.code(instance).await;
    owner.leave().await;
    let (value, _) = other.client.code(instance).await;
    assert_ne!(value, former);
    assert_eq!(other.client.info(instance).await["server_name"], "other");
    end(owner, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_was_revoked_is_refused_by_every_node_within_five_seconds() {
    let (owner, other) = two_nodes(|_| {}).await;
    let (it, token) = create(&owner).await;
    for node in [&owner, &other] {
        assert_eq!(node.client.with_key(&token).post(INFO, &it).await.0, StatusCode::OK);
    }
    let (id, account): (Uuid, Uuid) =
        sqlx::query_as("SELECT id, account_id FROM api_token WHERE kind = 'instance' AND instance_id = $1")
            .bind(it["instance_id"].as_str())
            .fetch_one(owner.database.pool())
            .await
            .unwrap();
    let mut conn = owner.database.store().acquire().await.unwrap();
    assert!(token::revoke(&mut conn, AccountId(account), id, SystemClock.now()).await.unwrap());
    drop(conn);
    let deadline = Instant::now() + Duration::from_secs(5);
    for node in [&owner, &other] {
        let left = deadline.saturating_duration_since(Instant::now());
        until_within(left, "the revoked token is refused", || async {
            let (status, _) = node.client.with_key(&token).post("/v2/session/stop", &json!({})).await;
            (status == StatusCode::UNAUTHORIZED).then_some(())
        })
        .await;
    }
    end(owner, other).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_dashboard_of_either_node_shows_and_does_what_the_owner_knows() {
    let (owner, other) = two_nodes(|_| {}).await;
    let (it, _) = create(&owner).await;
    let instance = it["instance_id"].as_str().unwrap();
    owner.client.code(instance).await;
    wagate::app::install_crypto_provider();
    let browser = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    // The owner has another address, so a page of this node is none of its own: who carries the request has looked.
    let from_page =
        |request: reqwest::RequestBuilder| request.header("origin", &other.url).header("sec-fetch-site", "same-origin");
    let form = format!("access_token={}", other.client.key());
    let sign_in = browser.post(format!("{}/dashboard/sign-in", other.url)).body(form);
    let sign_in = sign_in.header("content-type", "application/x-www-form-urlencoded");
    let signed_in = from_page(sign_in).send().await.unwrap();
    assert_eq!(signed_in.status(), StatusCode::SEE_OTHER);
    let cookie = header(signed_in.headers(), "set-cookie").split(';').next().unwrap().to_owned();

    let page = format!("{}/dashboard/instances/{instance}", other.url);
    let page = from_page(browser.get(page)).header("cookie", &cookie).send().await.unwrap();
    assert_eq!(page.status(), StatusCode::OK);
    assert_eq!(header(page.headers(), "x-frame-options"), "DENY");
    let text = page.text().await.unwrap();
    assert!(text.contains("<dd>owner</dd>") && text.contains("shop-7"), "{text}");

    let stop = browser.post(format!("{}/dashboard/v2/session/stop", other.url)).header("cookie", &cookie).json(&it);
    let (status, _, stopped) = read(from_page(stop).send().await.unwrap()).await;
    assert_eq!((status, &stopped["desired"]), (StatusCode::OK, &json!("stopped")), "{stopped}");
    owner.client.reaches(instance, "STOPPED").await;
    // Straight to the owner, the same page is a stranger.
    let stop = browser.post(format!("{}/dashboard/v2/session/stop", owner.url)).header("cookie", &cookie).json(&it);
    let (status, _, refused) = read(from_page(stop).send().await.unwrap()).await;
    assert_eq!((status, &refused["code"]), (StatusCode::FORBIDDEN, &json!("foreign_page")));
    end(owner, other).await;
}
