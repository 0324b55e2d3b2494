//! `wagate account` and `wagate token`.

use std::process::Command;

use serde_json::Value;

use super::{finished, said, wagate};
use crate::support::gateway::Gateway;

/// Runs a command that must succeed: what it printed.
async fn printed(command: Command) -> String {
    let output = finished(command).await;
    assert!(output.status.success(), "{}", said(&output.stderr));
    said(&output.stdout)
}

fn account(gateway: &Gateway, arguments: &[&str]) -> Command {
    let mut command = wagate(&["account", "--url", gateway.operator.url()], None);
    command.args(arguments).env("WAGATE_OPERATOR_KEY", gateway.operator.key());
    command
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_accounts_and_an_account_makes_tokens_from_the_command_line() {
    let gateway = Gateway::start().await;
    let key = printed(account(&gateway, &["create", "Shop", "--max-instances", "3"])).await;
    let key = key.trim();
    assert!(key.starts_with("wga_") && key.len() == 53, "the key stands alone on standard output: {key:?}");
    let client = gateway.client.with_key(key);
    let instance = client.create("till").await;
    let token = async |arguments: &[&str]| {
        let mut command = wagate(&["token", "--url", &gateway.url], Some(key));
        command.args(arguments);
        printed(command).await
    };

    let minted = token(&["mint", "--instance", &instance, "--scopes", "read,link", "--name", "ci"]).await;
    assert!(client.with_key(minted.trim()).info(&instance).await["instance_id"] == instance.as_str());
    let listed: Value = serde_json::from_str(&token(&["list", "--instance", &instance, "--json"]).await).unwrap();
    let id =
        listed["tokens"].as_array().unwrap().iter().find(|token| token["name"] == "ci").unwrap()["token_id"].clone();
    let rotated = token(&["rotate", id.as_str().unwrap(), "--instance", &instance, "--overlap", "0"]).await;
    assert!(rotated.starts_with("wgi_") && rotated != minted);
    let table = token(&["list", "--instance", &instance]).await;
    assert!(table.contains("revoked") && table.contains("read,link"), "{table}");
    assert!(!table.contains("wgi_"));

    let keys = token(&["list"]).await;
    assert!(keys.contains("everything"), "{keys}");
    let shown = printed(account(&gateway, &["list"])).await;
    let id = shown.lines().find(|line| line.ends_with("Shop")).unwrap().split_whitespace().next().unwrap().to_owned();
    assert!(printed(account(&gateway, &["show", &id])).await.contains("1 of 3"));
    let set: Value = serde_json::from_str(
        &printed(account(&gateway, &["set", &id, "--max-instances", "unlimited", "--json"])).await,
    )
    .unwrap();
    assert_eq!(set["quota"]["max_instances"], Value::Null);
    assert!(printed(account(&gateway, &["keys", &id])).await.starts_with("wga_"));
    assert!(printed(account(&gateway, &["nodes"])).await.contains("127.0.0.1:"));

    let refused = finished(account(&gateway, &["delete", &id])).await;
    assert!(!refused.status.success() && said(&refused.stderr).contains("force"), "{}", said(&refused.stderr));
    assert!(printed(account(&gateway, &["delete", &id, "--force"])).await.contains("is deleted"));
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_or_wrong_key_is_named_and_never_taken_as_an_argument() {
    let gateway = Gateway::start().await;
    let mut without = account(&gateway, &["list"]);
    without.env_remove("WAGATE_OPERATOR_KEY");
    let mut wrong = account(&gateway, &["list"]);
    wrong.env("WAGATE_OPERATOR_KEY", gateway.client.key());
    let mut argument = account(&gateway, &["list"]);
    argument.args(["--key", gateway.operator.key()]);
    for (command, says) in [
        (without, "WAGATE_OPERATOR_KEY"),
        (wrong, "401"),
        (argument, "--key"),
        (account(&gateway, &["show", "nonsense"]), "nonsense"),
        (account(&gateway, &["list", "--key-file", "/nowhere"]), "/nowhere"),
        (wagate(&["token", "list", "--url", &gateway.url], None), "WAGATE_KEY"),
        (wagate(&["token", "list", "--url", &gateway.url], Some("wga_x")), "401"),
    ] {
        let output = finished(command).await;
        assert!(!output.status.success());
        assert!(said(&output.stderr).contains(says), "{says}: {}", said(&output.stderr));
    }
    gateway.stop().await;
}
