//! What each operation on a session does.

use std::sync::atomic::Ordering;

use serde_json::json;
use wagate::api::sessions::Readiness;
use wagate::domain::account::AccountId;
use wagate::domain::token::TokenKind;

use super::gateway::{Answer, Created, Gateway, key};
use super::script::Upstream;

#[tokio::test]
async fn start_stop_and_restart_record_the_wish_and_answer_with_the_instance() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    for (path, status, desired) in [
        ("/v2/session/stop", "STOPPED", "stopped"),
        ("/v2/session/stop", "STOPPED", "stopped"),
        ("/v2/session/start", "STARTING", "running"),
        ("/v2/session/restart", "STARTING", "running"),
    ] {
        let answer = gateway.post(path, &token, json!({})).await;
        assert_eq!(answer.status, 200, "{path}");
        let info = answer.json();
        assert_eq!((info["status"].as_str(), info["desired"].as_str()), (Some(status), Some(desired)), "{path}");
    }
}

#[tokio::test]
async fn a_get_controls_only_where_the_account_allows_it() {
    let gateway = Gateway::start().await;
    let allowed = key(TokenKind::Account, 60);
    let account = AccountId(uuid::Uuid::from_u128(60));
    gateway.add_account(account, &allowed, |account| account.allow_get_control = true).await;
    let theirs = gateway.create_with(allowed.expose()).await;
    let ours = gateway.create().await;
    for path in ["/v2/session/start", "/v2/session/stop", "/v2/session/restart"] {
        assert_eq!(gateway.get(path, &theirs.token).await.status, 200);
        let refused = gateway.get(path, &ours.token).await;
        assert_eq!((refused.error(), refused.header("allow")), ((405, "method_not_allowed".into()), "POST"));
        let head = Answer::of(gateway.request("HEAD", path).bearer_auth(&theirs.token)).await;
        assert_eq!(head.status, 405, "a HEAD never changes anything");
    }
}

#[tokio::test]
async fn a_logout_that_whatsapp_does_not_confirm_changes_nothing_unless_forced() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    gateway.script.link(id);
    *gateway.script.upstream.lock() = Upstream::Unreachable;
    let answer = gateway.post("/v2/session/logout", &token, json!({})).await;
    assert_eq!((answer.error(), answer.header("retry-after")), ((502, "upstream_unreachable".into()), "10"));
    let forced = gateway.post("/v2/session/logout", &token, json!({"force": true})).await;
    assert_eq!(forced.status, 200);
    let body = forced.json();
    assert_eq!((&body["unlinked_at_whatsapp"], &body["linked"]), (&false.into(), &false.into()));
    assert!(body["message"].as_str().unwrap().contains("still lists the device"));
    *gateway.script.upstream.lock() = Upstream::Confirms;
    let answer = gateway.post("/v2/session/logout", &token, json!({})).await;
    assert_eq!(answer.json()["unlinked_at_whatsapp"], true);
    let calls = gateway.script.calls.lock().clone();
    let logouts: Vec<&String> = calls.iter().filter(|call| call.starts_with("logout")).collect();
    assert_eq!(logouts, ["logout false", "logout true", "logout false"]);
    let audit: Vec<String> = gateway.audit().await.into_iter().map(|(action, ..)| action).collect();
    assert_eq!(audit, ["instance.created", "instance.logged_out", "instance.logged_out"]);
}

#[tokio::test]
async fn a_deleted_instances_token_ends_with_it() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let answer = Answer::of(gateway.request("DELETE", "/v2/session/delete").bearer_auth(&token)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json(), json!({"instance_id": id, "deleted": true, "unlinked_at_whatsapp": true}));
    // The supervisor's delete erases the row, and the token's with it.
    sqlx::query("DELETE FROM instance WHERE id = $1").bind(id.as_str()).execute(gateway.database.pool()).await.unwrap();
    assert_eq!(gateway.get("/v2/session/info", &token).await.status, 401);
    let audit = gateway.audit().await;
    assert_eq!(audit.last().unwrap(), &("instance.deleted".into(), "instance".into(), "127.0.0.1".into()));
}

#[tokio::test]
async fn a_quota_is_kept_also_when_many_create_at_once() {
    let gateway = Gateway::start().await;
    let small = key(TokenKind::Account, 61);
    let account = AccountId(uuid::Uuid::from_u128(61));
    gateway.add_account(account, &small, |account| account.max_instances = Some(3)).await;
    let create = || gateway.post("/v2/session/create", small.expose(), json!({}));
    let answers = futures_util::future::join_all((0..8).map(|_| create())).await;
    let created = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(created, 3);
    for refused in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(refused.error(), (403, "quota_reached".into()));
    }
}

#[tokio::test]
async fn an_instance_is_created_as_it_was_described() {
    let gateway = Gateway::start().await;
    let token = gateway.key.expose();
    let wish = json!({"name": "Lager Süd", "metadata": {"shop": 7}, "start": false, "config": {"webhooks": []}});
    let created = gateway.post("/v2/session/create", token, wish).await;
    assert_eq!((created.status.as_u16(), created.json()["status"].as_str()), (201, Some("STOPPED")));
    let path = format!("/v2/session/info?instance_id={}", created.json()["instance_id"].as_str().unwrap());
    let info = gateway.get(&path, token).await.json();
    assert_eq!((&info["name"], &info["metadata"]), (&"Lager Süd".into(), &json!({"shop": 7})));
    assert_eq!(info["created_at"], created.json()["created_at"]);
    let unnamed = gateway.post("/v2/session/create", token, json!({})).await.json();
    assert_eq!(unnamed["name"], unnamed["session_name"]);
    let bad = json!({"name": "x".repeat(101), "metadata": [], "start": "yes", "config": {"proxy": "http://x"}});
    let answer = gateway.post("/v2/session/create", token, bad).await;
    assert_eq!(answer.error(), (400, "invalid_parameter".into()));
    assert_eq!(answer.json()["parameters"].as_array().unwrap().len(), 4);
}

#[tokio::test]
async fn a_start_that_fails_does_not_cost_a_new_instance_its_token() {
    let gateway = Gateway::start().await;
    gateway.script.refuses_starts.store(true, Ordering::SeqCst);
    let created = gateway.create().await;
    let info = gateway.get("/v2/session/info", &created.token).await;
    assert_eq!(info.json()["instance_id"], created.id.as_str());
    let answer = gateway.post("/v2/session/start", &created.token, json!({})).await;
    assert_eq!(answer.error(), (502, "owner_unreachable".into()));
}

#[tokio::test]
async fn pages_of_a_list_hold_every_instance_once() {
    let gateway = Gateway::start().await;
    let token = gateway.key.expose();
    let mut ids = Vec::new();
    for number in 0..7 {
        ids.push(gateway.create().await.id.to_string());
        if number % 2 == 0 {
            gateway.clock.advance(chrono::TimeDelta::milliseconds(1));
        }
    }
    let stranger = key(TokenKind::Account, 62);
    gateway.add_account(AccountId(uuid::Uuid::from_u128(62)), &stranger, |_| {}).await;
    gateway.create_with(stranger.expose()).await;
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = gateway.get(&format!("/v2/session/list?limit=3&cursor={cursor}"), token).await.json();
        let sessions = page["sessions"].as_array().unwrap();
        assert!(sessions.len() <= 3);
        seen.extend(sessions.iter().map(|session| session["instance_id"].as_str().unwrap().to_owned()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        next.clone_into(&mut cursor);
    }
    ids.sort();
    seen.sort();
    assert_eq!(seen, ids);
    let status = |status: &str| format!("/v2/session/list?status={status}");
    assert_eq!(gateway.get(&status("STARTING"), token).await.json()["sessions"].as_array().unwrap().len(), 7);
    assert_eq!(gateway.get(&status("WORKING"), token).await.json()["sessions"], json!([]));
    for query in ["limit=0", "limit=101", "status=RUNNING", "cursor=nonsense"] {
        let answer = gateway.get(&format!("/v2/session/list?{query}"), token).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()), "{query}");
    }
}

#[tokio::test]
async fn info_waits_for_the_states_it_is_asked_for() {
    let gateway = Gateway::start().await;
    let Created { token, .. } = gateway.create().await;
    gateway.get("/v2/session/info?wait_for=WORKING,FAILED&timeout=7", &token).await;
    gateway.post("/v2/session/info", &token, json!({"wait_for": ["WORKING"]})).await;
    let answer = gateway.get("/v2/session/info?wait_for=DONE&timeout=26", &token).await;
    assert_eq!(answer.error(), (400, "invalid_parameter".into()));
    let calls = gateway.script.calls.lock().clone();
    assert_eq!(calls[1..], ["wait_for WORKING,FAILED 7", "wait_for WORKING 25"]);
}

#[tokio::test]
async fn readiness_names_what_fails() {
    let gateway = Gateway::start().await;
    let ready = Answer::of(gateway.request("GET", "/health/ready")).await;
    assert_eq!((ready.status.as_u16(), ready.json()["status"].as_str()), (200, Some("ok")));
    *gateway.script.readiness.lock() = Some(Readiness { lease: false, engine: true });
    let ready = Answer::of(gateway.request("GET", "/health/ready")).await;
    assert_eq!(ready.status, 503);
    assert_eq!(ready.json()["checks"], json!({"database": "ok", "lease": "failing", "engine": "ok"}));
    gateway.database.pool().close().await;
    let ready = Answer::of(gateway.request("GET", "/health/ready")).await;
    assert_eq!((ready.status.as_u16(), &ready.json()["checks"]["database"]), (503, &"failing".into()));
    assert_eq!(Answer::of(gateway.request("GET", "/health/live")).await.status, 200);
    let away = gateway.get("/v2/session/list", gateway.key.expose()).await;
    assert_eq!(away.error(), (503, "database_unavailable".into()));
    assert_eq!(away.json()["message"], "The gateway's database could not be reached. Retry after 2 s.");
}

#[tokio::test]
async fn metadata_that_cannot_be_kept_is_refused_by_name() {
    let gateway = Gateway::start().await;
    let keys =
        |count: usize| (0..count).map(|number| (format!("k{number}"), json!(1))).collect::<serde_json::Map<_, _>>();
    for metadata in [json!(keys(101)), json!({"a": "x".repeat(16 * 1024)}), json!({"a": [[[[[[[[]]]]]]]]})] {
        let answer = gateway.post("/v2/session/create", gateway.key.expose(), json!({"metadata": metadata})).await;
        assert_eq!(answer.error(), (400, "invalid_parameter".into()));
        assert_eq!(answer.json()["parameters"][0]["name"], "metadata", "{}", answer.text());
    }
    let form = gateway.request("POST", "/v2/session/create").bearer_auth(gateway.key.expose());
    let form = form.header("Content-Type", "application/x-www-form-urlencoded").body(r#"metadata={"a":"\u0000"}"#);
    let answer = Answer::of(form).await;
    assert_eq!(answer.error(), (400, "invalid_parameter".into()), "also in a form");
    assert_eq!(answer.json()["parameters"][0]["name"], "metadata", "{}", answer.text());
    let answer = gateway.post("/v2/session/create", gateway.key.expose(), json!({"metadata": keys(100)})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
}
