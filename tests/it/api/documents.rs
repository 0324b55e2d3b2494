//! The documents clients parse, whole.

use insta::{Settings, assert_json_snapshot};
use serde_json::json;

use super::gateway::{Created, Gateway};
use super::script::{VALUE, later};

fn redacted() -> Settings {
    let mut settings = Settings::clone_current();
    settings.add_redaction(".request_id", "[id]");
    settings.add_redaction(".access_token", "[token]");
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings
}

#[tokio::test]
async fn the_documents_of_an_instance_are_those_of_the_contract() {
    let gateway = Gateway::start().await;
    let key = gateway.key.expose();
    let created = gateway.post("/v2/session/create", key, json!({"name": "shop-7", "metadata": {"tier": 1}})).await;
    redacted().bind(|| assert_json_snapshot!("create", created.json()));
    let Created { id, token } = Created {
        id: wagate::domain::instance::InstanceId::parse(created.json()["instance_id"].as_str().unwrap()).unwrap(),
        token: created.json()["access_token"].as_str().unwrap().to_owned(),
    };
    gateway.script.show_code(id, VALUE, 2, later(gateway.now(), 17));
    let info = gateway.get("/v2/session/info", &token).await;
    assert!(!info.text().contains("2@"), "the code itself is never told here");
    redacted().bind(|| assert_json_snapshot!("info_scan_qr_code", info.json()));
    gateway.script.link(id);
    let info = gateway.get("/v2/session/info", &token).await;
    redacted().bind(|| assert_json_snapshot!("info_working", info.json()));
    let list = gateway.get("/v2/session/list?limit=1", key).await;
    redacted().bind(|| assert_json_snapshot!("list", list.json()));
}

#[tokio::test]
async fn the_documents_of_errors_are_those_of_the_contract() {
    let gateway = Gateway::start().await;
    let Created { id, token } = gateway.create().await;
    let key = gateway.key.expose();
    for (name, path, token) in [
        ("error_unauthorized", "/v2/session/info", "nonsense"),
        ("error_not_found", "/nowhere", key),
        ("error_session_not_found", "/v2/session/info?instance_id=000000000000", key),
        ("error_parameters", "/v2/auth/qr?scale=99", key),
        ("error_forbidden", "/v2/session/list", &token),
    ] {
        let answer = gateway.get(path, token).await;
        redacted().bind(|| assert_json_snapshot!(name, answer.json()));
    }
    let answer = gateway.get("/v2/auth/qr", &token).await;
    let mut body = answer.json();
    assert_eq!(body["instance_id"], id.as_str());
    body["instance_id"] = "[instance]".into();
    redacted().bind(|| assert_json_snapshot!("error_session_status", body));
}
