//! The real binary, killed. What was linked comes back without a scan, and no log ever held a secret.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;
use wagate::domain::event::{EventKind, Logged};
use wagate::domain::instance::InstanceId;
use wagate::store::event;

use crate::support::client::Client;
use crate::support::database::TestDatabase;
use crate::support::gateway::open_cipher;
use crate::support::network::{Network, http};
use crate::support::process::Process;
use crate::support::wait::{until, until_within};

struct Pair {
    folder: tempfile::TempDir,
    database: TestDatabase,
    sandbox: Process,
}

impl Pair {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let arguments = ["sandbox", "--listen", "127.0.0.1:0", "--ready-json"];
        let sandbox = Process::start(folder.path(), &arguments, &[]);
        Self { database: TestDatabase::fresh().await, sandbox, folder }
    }

    fn serve(&self, filter: &str) -> Process {
        self.serve_with(filter, &[])
    }

    /// Several may serve at once: two nodes on one machine, with one data folder.
    fn serve_with(&self, filter: &str, more: &[(&str, &str)]) -> Process {
        let data = self.folder.path().join("data").display().to_string();
        let arguments = [
            "serve",
            "--ready-json",
            "--listen",
            "127.0.0.1:0",
            "--operator-listen",
            "127.0.0.1:0",
            "--data-dir",
            &data,
            "--sandbox-at",
            self.sandbox.told("sandbox_url"),
        ];
        let mut variables = vec![
            ("WAGATE_LOG__FILTER", filter),
            ("DATABASE_URL", self.database.url()),
            ("WAGATE_ENGINE__PREKEYS", "10"),
            // A node that was killed is gone for others only when its lease has run out; it is the same machine here.
            ("WAGATE_NODE__RECONCILE_INTERVAL", "500ms"),
        ];
        variables.extend(more);
        Process::start(self.folder.path(), &arguments, &variables)
    }

    /// A first gateway, whose key a client of it has, and an instance of it with the number that it is linked to.
    async fn serve_linked(&self) -> (Process, Client, String, String) {
        let gateway = self.serve("info");
        let client = Client::new(gateway.told("url"), gateway.told("account_key"));
        let (instance, number) = client.linked(&self.network()).await;
        (gateway, client, instance, number)
    }

    async fn log(&self, instance: &str) -> Vec<Logged> {
        let cipher = open_cipher(&self.database, &self.folder.path().join("data"), instance).await;
        let id = InstanceId::parse(instance).unwrap();
        event::page(&mut self.database.pool().acquire().await.unwrap(), &cipher, id, 0, 10_000).await.unwrap()
    }

    fn network(&self) -> Network {
        Network::at(self.sandbox.told("sandbox_url"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_and_started_again_it_works_within_ten_seconds_without_a_scan() {
    let pair = Pair::new().await;
    let network = pair.network();
    let (first, client, instance, number) = pair.serve_linked().await;
    first.kill();

    let second = pair.serve("info");
    assert!(second.ready["account_key"].is_null(), "keys are made once: {}", second.ready);
    let client = client.at(second.told("url"));
    let working = client.reaches_within(Duration::from_secs(10), &instance, "WORKING").await;
    assert_eq!(working["me"]["id"], format!("{number}@c.us"));
    let device = network.device_of(&number).await.unwrap();
    assert_eq!((&device["most_live_sockets"], &device["connected"]), (&json!(1), &json!(true)));
    second.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_account_may_not_do_outlives_a_kill_and_ends_in_its_time() {
    let pair = Pair::new().await;
    let network = pair.network();
    let (first, client, instance, _) = pair.serve_linked().await;
    network.fault(&json!({ "kind": "463", "count": 1 })).await;
    let text = json!({ "instance_id": instance, "chatId": network.phone().await, "message": "to a stranger" });
    let (status, body) = client.post("/v2/send/text", &text).await;
    assert_eq!((status, &body["reason"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!("reachout_timelock")), "{body}");
    let works = |client: Client, reason: serde_json::Value| {
        let instance = instance.clone();
        async move {
            let info = client.info(&instance).await;
            (info["status"] == "WORKING" && info["reason"] == reason).then_some(())
        }
    };
    until("the session tells why", || works(client.clone(), json!("reachout_timelock"))).await;
    first.kill();

    let second = pair.serve("info");
    let client = client.at(second.told("url"));
    until("the next gateway tells it too", || works(client.clone(), json!("reachout_timelock"))).await;
    second.kill();

    sqlx::query("UPDATE session SET timelock_until = now() + interval '3 s' WHERE timelock_until > now()")
        .execute(pair.database.pool())
        .await
        .unwrap();
    let third = pair.serve("info");
    let client = client.at(third.told("url"));
    until("it is over", || works(client.clone(), serde_json::Value::Null)).await;
    third.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_amid_messages_it_tells_each_of_them_once_and_in_order() {
    const PHONES: usize = 4;
    const EACH: usize = 50;
    let pair = Pair::new().await;
    let network = pair.network();
    let (mut gateway, _, instance, number) = pair.serve_linked().await;
    let mut phones = Vec::new();
    for _ in 0..PHONES {
        let (network, phone, number) = (network.clone(), network.phone().await, number.clone());
        phones.push(tokio::spawn(async move {
            let mut sent = Vec::new();
            for count in 0..EACH {
                let text = json!({ "to": number, "kind": "text", "text": format!("message {count}") });
                let (status, body) = network.post(&format!("/phones/{phone}/send"), &text).await;
                assert_eq!(status, StatusCode::CREATED, "{body}");
                sent.push(body["id"].as_str().expect("it has an id").to_owned());
            }
            sent
        }));
    }
    let id = InstanceId::parse(&instance).unwrap();
    let last =
        || async { event::bounds(&mut pair.database.pool().acquire().await.unwrap(), id).await.unwrap().unwrap().1 };
    for _ in 0..3 {
        let before = last().await;
        until("something more is logged", || async { (last().await > before).then_some(()) }).await;
        gateway.kill();
        gateway = pair.serve("info");
    }
    let mut sent = Vec::new();
    for phone in phones {
        sent.push(phone.await.unwrap());
    }
    let told = until("every message is told", || async {
        let log = pair.log(&instance).await;
        assert!(log.iter().map(|event| event.seq).eq(1..=i64::try_from(log.len()).unwrap()), "a number is missing");
        let messages = log.into_iter().filter(|event| event.kind == EventKind::Message);
        let ids: Vec<String> = messages.map(|event| told_id(&event)).collect();
        (ids.len() >= PHONES * EACH).then_some(ids)
    })
    .await;
    for sent in &sent {
        let of_this_phone: Vec<&String> = told.iter().filter(|id| sent.contains(id)).collect();
        assert_eq!(of_this_phone, sent.iter().collect::<Vec<_>>());
    }
    assert_eq!(told.len(), PHONES * EACH);
    gateway.terminate();
}

fn told_id(event: &Logged) -> String {
    event.content.as_ref().unwrap().payload["id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_killed_node_owned_comes_back_on_another() {
    let lease = [
        ("WAGATE_NODE__LEASE_RENEW_INTERVAL", "1s"),
        ("WAGATE_NODE__LEASE_RENEW_TIMEOUT", "1s"),
        ("WAGATE_NODE__LEASE_TRUST", "7s"),
        ("WAGATE_NODE__LEASE_TTL", "8s"),
    ];
    let pair = Pair::new().await;
    let network = pair.network();
    let one = pair.serve_with("info", &[&lease[..], &[("WAGATE_NODE__NAME", "one")]].concat());
    let two = pair.serve_with("info", &[&lease[..], &[("WAGATE_NODE__NAME", "two")]].concat());
    let key = one.told("account_key").to_owned();
    let client = Client::new(two.told("url"), &key);
    let (instance, number) = client.linked(&network).await;
    let (owner, left) = match client.info(&instance).await["server_name"].as_str() {
        Some("one") => (one, two),
        Some("two") => (two, one),
        name => panic!("{name:?} serves it"),
    };
    let client = client.at(left.told("url"));
    let it = json!({ "instance_id": instance });
    // Whether it is under way by then or not: whoever waits at the owner learns that it is gone.
    let waits = json!({ "instance_id": instance, "wait_for": "FAILED", "timeout": 25 });
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.post("/v2/session/info", &waits).await }
    });
    owner.kill();
    let (status, body) = waiting.await.unwrap();
    assert_eq!((status, &body["code"]), (StatusCode::BAD_GATEWAY, &json!("owner_unreachable")));

    let (status, body) = client.post("/v2/session/info", &it).await;
    assert_eq!((status, &body["code"]), (StatusCode::BAD_GATEWAY, &json!("owner_unreachable")));
    until_within(Duration::from_secs(20), "the other node has taken over", || async {
        let (status, body) = client.post("/v2/session/info", &it).await;
        assert!(status == StatusCode::OK || body["code"] == "owner_unreachable", "{status} {body}");
        (body["status"] == "WORKING" && body["liveness"]["connected"] == true).then_some(())
    })
    .await;
    assert_eq!(network.device_of(&number).await.unwrap()["most_live_sockets"], 1);
    left.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_accepted_before_a_kill_is_sent_once_and_what_was_on_the_wire_is_not_sent_again() {
    let pair = Pair::new().await;
    let network = pair.network();
    let (first, client, instance, _) = pair.serve_linked().await;
    let other = network.phone().await;
    let text = |words: &str| json!({ "instance_id": instance, "chatId": other, "message": words });
    // It goes out, and nobody learns of it.
    let never = network.fault(&json!({ "kind": "ack_never" })).await;
    let on_the_wire = tokio::spawn({
        let (client, text) = (client.clone(), text("on the wire"));
        async move { client.ask("/v2/send/text", &text, &[]).await.status() }
    });
    let inbox = || async { network.get(&format!("/phones/{other}/inbox")).await.as_array().unwrap().clone() };
    until_within(Duration::from_secs(20), "the phone has it", || async { (inbox().await.len() == 1).then_some(()) })
        .await;
    // These wait behind it.
    let mut waiting = Vec::new();
    for words in ["waits", "waits too"] {
        let (client, text) = (client.clone(), text(words));
        waiting.push(tokio::spawn(async move { client.ask("/v2/send/text", &text, &[]).await.status() }));
        let rows = i64::try_from(waiting.len()).unwrap() + 1;
        until_within(Duration::from_secs(20), "it is accepted", || async {
            let count = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM outbound_message");
            (count.fetch_one(pair.database.pool()).await.unwrap() == rows).then_some(())
        })
        .await;
    }
    first.kill();
    on_the_wire.abort();
    waiting.iter().for_each(tokio::task::JoinHandle::abort);
    network.mend(&never).await;

    let second = pair.serve("info");
    let client = client.at(second.told("url"));
    client.reaches_within(Duration::from_secs(20), &instance, "WORKING").await;
    let (status, body) = client.post("/v2/send/text", &text("after all")).await;
    assert_eq!((status, &body["status"]), (StatusCode::OK, &json!("sent")), "{body}");
    let arrived: Vec<(String, u64)> = inbox()
        .await
        .iter()
        .map(|item| (item["text"].as_str().unwrap().to_owned(), item["copies"].as_u64().unwrap()))
        .collect();
    let once = |words: &str| (words.to_owned(), 1);
    assert_eq!(arrived, [once("on the wire"), once("waits"), once("waits too"), once("after all")]);
    second.terminate();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_log_at_trace_holds_a_token_a_code_or_a_number() {
    let pair = Pair::new().await;
    let network = pair.network();
    let gateway = pair.serve("trace");
    // One of the two owns the instance; what the other is asked is carried.
    let second = pair.serve("trace");
    let key = gateway.told("account_key").to_owned();
    let client = Client::new(gateway.told("url"), &key);

    let (_, created) = client.post("/v2/session/create", &json!({ "name": "secretive" })).await;
    let (instance, token) = (created["instance_id"].as_str().unwrap(), created["access_token"].as_str().unwrap());
    let (value, _) = client.code(instance).await;
    let number = network.phone().await;
    for node in [&gateway, &second] {
        let query = format!("{}/v2/session/info?instance_id={instance}&access_token={token}", node.told("url"));
        assert_eq!(http().get(&query).send().await.unwrap().status(), StatusCode::OK);
        client.at(node.told("url")).code(instance).await;
    }
    client.scan(&network, instance, &number).await;
    let working = client.reaches(instance, "WORKING").await;
    let lid = working["me"]["lid"].as_str().unwrap_or("no lid at all").split('@').next().unwrap().to_owned();
    client.post("/v2/session/restart", &json!({ "instance_id": instance })).await;
    client.reaches(instance, "WORKING").await;
    client.post("/v2/session/logout", &json!({ "instance_id": instance })).await;
    let operator_key = gateway.told("operator_key").to_owned();

    let mut log = String::new();
    for node in [second, gateway] {
        let log_file = node.log_file().to_owned();
        node.terminate();
        log += &std::fs::read_to_string(log_file).unwrap();
    }
    assert!(log.contains("the owner answered"), "nothing was carried");
    assert!(log.lines().count() > 100 && log.contains("TRACE"), "the log was not at trace");
    let parts: Vec<&str> = value.split(',').collect();
    let secrets: [&str; 6] = [&key, token, &operator_key, &number, &lid, &value];
    for secret in secrets.into_iter().chain(parts.into_iter().filter(|part| part.len() > 20)) {
        assert!(!log.contains(secret), "the log holds {secret}");
    }
}
