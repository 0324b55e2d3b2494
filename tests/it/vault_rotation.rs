//! `wagate vault rotate`, as the real binary beside a gateway that runs.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::support::gateway::Gateway;

/// `wagate vault rotate` with these keys; the last one is active.
async fn rotate(gateway: &Gateway, folder: &Path, keys: &[(&str, &Path)]) -> Output {
    let file = folder.join("wagate.toml");
    let mut lines = String::new();
    for (id, path) in keys {
        writeln!(lines, "{id} = {:?}", path.display().to_string()).unwrap();
    }
    let active = keys.last().map_or("", |(id, _)| id);
    std::fs::write(&file, format!("[vault]\nactive = \"{active}\"\n[vault.keys]\n{lines}")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_wagate"));
    command
        .args(["vault", "rotate", "--config"])
        .arg(&file)
        .arg("--data-dir")
        .arg(folder.join("data"))
        .env("DATABASE_URL", gateway.database.url())
        .stdin(Stdio::null());
    tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_beside_a_running_gateway_lets_the_old_key_go_and_every_link_stays() {
    let folder = tempfile::tempdir().unwrap();
    let new_key: PathBuf = folder.path().join("new.key");
    std::fs::write(&new_key, STANDARD.encode([7; 32])).unwrap();
    let mut first = Gateway::start().await;
    let (instance, number) = first.client.linked(&first.network).await;

    let (mut old_key, also_new) = (PathBuf::new(), new_key.clone());
    let both = first
        .beside(|config| {
            old_key.clone_from(&config.vault.keys["local"]);
            config.vault.keys.insert("new".into(), also_new);
            config.vault.active = "new".into();
        })
        .await;
    first.leave().await;
    both.client.reaches(&instance, "WORKING").await;
    let logins = both.network.device_of(&number).await.unwrap()["logins"].clone();

    let refused = rotate(&both, folder.path(), &[("local", &old_key)]).await;
    assert!(
        !refused.status.success() && said(&refused).contains("vault.keys must name two keys"),
        "{}",
        said(&refused)
    );
    let absent = folder.path().join("absent.key");
    let refused = rotate(&both, folder.path(), &[("local", &old_key), ("new", &absent)]).await;
    assert!(!refused.status.success() && said(&refused).contains("absent.key cannot be read"), "{}", said(&refused));

    let rotated = rotate(&both, folder.path(), &[("local", &old_key), ("new", &new_key)]).await;
    assert!(rotated.status.success(), "{}", said(&rotated));
    assert!(said(&rotated).contains("1 of 1 rewrapped"), "{}", said(&rotated));
    let again = rotate(&both, folder.path(), &[("local", &old_key), ("new", &new_key)]).await;
    assert!(said(&again).contains("0 of 1 instance keys"), "{}", said(&again));
    let device = both.network.device_of(&number).await.unwrap();
    assert_eq!((&device["connected"], &device["logins"]), (&json!(true), &logins), "the gateway noticed nothing");

    both.stop().await;
    let new_alone = first.beside(|config| config.vault.keys = [("new".to_owned(), new_key)].into()).await;
    new_alone.client.reaches(&instance, "WORKING").await;
    assert_eq!(new_alone.network.device_of(&number).await.unwrap()["most_live_sockets"], 1);
    new_alone.stop().await;
    first.stop().await;
}
