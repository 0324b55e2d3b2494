//! The audit log as an account reads it.

use serde_json::{Value, json};
use uuid::Uuid;
use wagate::domain::account::AccountId;
use wagate::domain::token::TokenKind;

use super::gateway::{Answer, Created, Gateway, key};
use super::script::{VALUE, later};

const AUDIT: &str = "/v2/audit";

async fn page(gateway: &Gateway, query: &str) -> Value {
    let answer = gateway.get(&format!("{AUDIT}?{query}"), gateway.key.expose()).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    answer.json()
}

fn actions(page: &Value) -> Vec<&str> {
    page["entries"].as_array().unwrap().iter().map(|entry| entry["action"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn whatever_is_done_to_an_instance_is_told_newest_first() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    gateway.script.show_code(id, VALUE, 1, later(gateway.now(), 60));
    for route in ["/v2/auth/qr", "/v2/auth/qr-image", "/v2/session/temp-link"] {
        assert_eq!(gateway.post(route, &token, json!({})).await.status, 200);
    }
    assert_eq!(Answer::of(gateway.request("DELETE", "/v2/session/temp-link").bearer_auth(&token)).await.status, 200);
    for route in ["stop", "start", "restart", "logout", "delete"] {
        assert_eq!(gateway.post(&format!("/v2/session/{route}"), &token, json!({})).await.status, 200, "{route}");
    }
    let page = page(&gateway, "").await;
    let expected = [
        "instance.deleted",
        "instance.logged_out",
        "instance.restarted",
        "instance.started",
        "instance.stopped",
        "link.ended",
        "link.minted",
        "qr.shown",
        "instance.created",
    ];
    assert_eq!((actions(&page), &page["next_cursor"]), (expected.to_vec(), &Value::Null));
    let [first, last] = [0, expected.len() - 1].map(|place| page["entries"][place].clone());
    assert_eq!(last["actor"], json!({"kind": "account", "last4": gateway.key.last4()}));
    assert_eq!(first["actor"], json!({"kind": "instance", "last4": token[token.len() - 4..]}));
    assert_eq!(first["instance_id"], id.as_str(), "a line outlives its instance");
    assert_eq!((&first["address"], &first["at"]), (&json!("127.0.0.1"), &json!("2026-11-24T21:00:00Z")));
    assert_eq!(first["detail"], json!({"force": false}));
    assert!(!page.to_string().contains("wgi_") && !page.to_string().contains("2@"), "neither tokens nor codes");
}

#[tokio::test]
async fn pages_of_the_log_hold_every_line_once() {
    let gateway = Gateway::start().await;
    let ids = [gateway.create().await.id, gateway.create().await.id];
    for _ in 0..3 {
        for id in ids {
            gateway.post("/v2/session/stop", gateway.key.expose(), json!({"instance_id": id})).await;
        }
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = page(&gateway, &format!("limit=3&cursor={cursor}")).await;
        let entries = page["entries"].as_array().unwrap();
        assert!(entries.len() <= 3);
        seen.extend(entries.iter().map(|entry| entry["id"].as_i64().unwrap()));
        let Some(next) = page["next_cursor"].as_str() else { break };
        next.clone_into(&mut cursor);
    }
    assert_eq!(seen.len(), 8);
    assert!(seen.is_sorted_by(|a, b| a > b), "newest first, none twice: {seen:?}");
    let of = page(&gateway, &format!("instance_id={}", ids[0])).await;
    assert_eq!(actions(&of), ["instance.stopped", "instance.stopped", "instance.stopped", "instance.created"]);
    let of = page(&gateway, &format!("instance_id={}&action=instance.created", ids[1])).await;
    assert_eq!(actions(&of), ["instance.created"]);
}

#[tokio::test]
async fn an_account_reads_its_own_lines_only() {
    let gateway = Gateway::start().await;
    let stranger = key(TokenKind::Account, 90);
    gateway.add_account(AccountId(Uuid::from_u128(90)), &stranger, |_| {}).await;
    let foreign = gateway.create_with(stranger.expose()).await;
    let own = gateway.create().await;
    let all = page(&gateway, "").await;
    assert_eq!((actions(&all), &all["entries"][0]["instance_id"]), (vec!["instance.created"], &json!(own.id)));
    // Another's instance is as absent as one that never was, and as an id that none is.
    for id in [foreign.id.as_str(), "000000000000", "IIIIIIIIIIII"] {
        assert_eq!(page(&gateway, &format!("instance_id={id}")).await, json!({"entries": [], "next_cursor": null}));
    }
    // The cursor of another's page shows nothing of it.
    let theirs = gateway.get(&format!("{AUDIT}?limit=1"), stranger.expose()).await.json();
    assert_eq!(theirs["entries"][0]["instance_id"], json!(foreign.id));
    for token in [&own.token, &foreign.token] {
        assert_eq!(gateway.get(AUDIT, token).await.error(), (403, "forbidden".into()));
    }
    assert_eq!(Answer::of(gateway.request("GET", AUDIT)).await.error(), (401, "unauthorized".into()));
}

#[tokio::test]
async fn what_cannot_be_a_filter_is_refused_by_name() {
    let gateway = Gateway::start().await;
    let query = "limit=101&cursor=nonsense&instance_id=short&action=instance.sold";
    let answer = gateway.get(&format!("{AUDIT}?{query}"), gateway.key.expose()).await;
    assert_eq!(answer.error(), (400, "invalid_parameter".into()));
    let problems = answer.json()["parameters"].clone();
    let names: Vec<&str> = problems.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["limit", "cursor", "instance_id", "action"]);
    assert_eq!(gateway.post(AUDIT, gateway.key.expose(), json!({})).await.error(), (405, "method_not_allowed".into()));
}

#[tokio::test]
async fn no_line_of_the_log_can_be_changed_or_removed() {
    let gateway = Gateway::start().await;
    gateway.create().await;
    for statement in ["UPDATE audit_log SET action = 'x'", "DELETE FROM audit_log"] {
        let error = sqlx::query(statement).execute(gateway.database.pool()).await.unwrap_err();
        assert!(error.to_string().contains("append-only"), "{error}");
    }
}
