//! The operator's listener: who may, and what of accounts and nodes.

use std::net::{SocketAddr, TcpListener};

use actix_web::dev::ServerHandle;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use serde_json::{Value, json};
use wagate::api;
use wagate::domain::token::{Token, TokenKind};
use wagate::store::token::Holder;
use wagate::telemetry::metrics::Exposition;

use super::gateway::{Answer, Gateway, key};

const ACCOUNTS: &str = "/v2/admin/accounts";

/// The operator's listener of a gateway, and an operator's key.
pub(super) struct Operator {
    address: SocketAddr,
    pub(super) key: Token,
    server: ServerHandle,
}

impl Operator {
    pub(super) async fn of(gateway: &Gateway) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = gateway.state.clone();
        let exposition = Data::new(Exposition::default());
        let server = HttpServer::new(move || App::new().configure(api::configure_operator(&state, &exposition)))
            .workers(1)
            .disable_signals()
            .listen(listener)
            .unwrap()
            .run();
        let handle = server.handle();
        tokio::spawn(server);
        let key = key(TokenKind::Operator, 80);
        gateway.add_token(&key, Holder::Operator, &[], None).await;
        Self { address, key, server: handle }
    }

    pub(super) fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let method = reqwest::Method::from_bytes(method.as_bytes()).unwrap();
        reqwest::Client::new().request(method, format!("http://{}{path}", self.address))
    }

    async fn ask(&self, method: &str, path: &str, body: Value) -> Answer {
        Answer::of(self.request(method, path).bearer_auth(self.key.expose()).json(&body)).await
    }

    async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path).bearer_auth(self.key.expose())).await
    }

    /// A new account: its path and its first key.
    async fn created(&self, body: Value) -> (String, String) {
        let answer = self.ask("POST", ACCOUNTS, body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        let created = answer.json();
        let path = format!("{ACCOUNTS}/{}", created["account_id"].as_str().unwrap());
        (path, created["key"]["access_token"].as_str().unwrap().to_owned())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        drop(self.server.stop(false));
    }
}

#[tokio::test]
async fn only_an_operators_key_in_a_header_opens_the_operators_routes() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 1_000).await;
    let operator = Operator::of(&gateway).await;
    let secret = operator.key.expose();
    let one = format!("{ACCOUNTS}/{}", gateway.account);
    let keys = format!("{one}/keys");
    for (method, path) in [
        ("GET", ACCOUNTS),
        ("POST", ACCOUNTS),
        ("GET", one.as_str()),
        ("POST", one.as_str()),
        ("DELETE", one.as_str()),
        ("POST", keys.as_str()),
        ("GET", "/v2/admin/nodes"),
    ] {
        let requests = [
            operator.request(method, path),
            operator.request(method, path).bearer_auth("nonsense"),
            operator.request(method, path).bearer_auth(gateway.key.expose()),
            operator.request(method, path).bearer_auth(key(TokenKind::Operator, 81).expose()),
            operator.request(method, &format!("{path}?access_token={secret}")),
            operator.request(method, &format!("{path}?access_token={secret}")).bearer_auth(secret),
            operator.request(method, path).json(&json!({"access_token": secret})),
        ];
        let mut first = None;
        for request in requests {
            let answer = Answer::of(request).await;
            assert_eq!(answer.error(), (401, "unauthorized".into()), "{method} {path}");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
            let mut body = answer.json();
            body["request_id"].take();
            assert_eq!(first.get_or_insert_with(|| body.clone()), &body);
        }
        assert_eq!(Answer::of(gateway.request(method, path).bearer_auth(secret)).await.status, 404, "not in public");
    }
    for header in ["X-Api-Key", "access-token"] {
        let request = operator.request("GET", ACCOUNTS).header(header, secret);
        assert_eq!(Answer::of(request).await.status, 200, "{header}");
    }
    assert_eq!(gateway.get("/v2/account", secret).await.status, 401, "in public it is an unknown token");
}

#[tokio::test]
async fn failures_at_the_operators_listener_drain_the_same_bucket_and_the_operator_passes() {
    let gateway = Gateway::with(|config| config.limits.failed_auth_per_minute = 3).await;
    let operator = Operator::of(&gateway).await;
    for _ in 0..3 {
        assert_eq!(Answer::of(operator.request("GET", ACCOUNTS)).await.status, 401);
    }
    assert_eq!(Answer::of(operator.request("GET", ACCOUNTS)).await.error(), (429, "rate_limited".into()));
    assert_eq!(gateway.get("/v2/account", "nonsense").await.status, 429, "it is one bucket");
    assert_eq!(operator.get(ACCOUNTS).await.status, 200);
}

#[tokio::test]
async fn an_account_is_created_with_a_key_and_held_to_its_quota() {
    let gateway = Gateway::start().await;
    let operator = Operator::of(&gateway).await;
    let body = json!({"name": "Shop", "max_instances": 1, "allow_get_control": true});
    let (path, key) = operator.created(body).await;
    gateway.create_with(&key).await;
    let refused = gateway.post("/v2/session/create", &key, json!({})).await;
    assert_eq!(refused.error(), (403, "quota_reached".into()));

    let seen = operator.get(&path).await.json();
    assert_eq!((&seen["name"], &seen["use"]["instances"]), (&json!("Shop"), &json!(1)));
    assert_eq!(seen["quota"]["max_instances"], 1);
    assert_eq!(seen["settings"]["allow_get_control"], true);
    let set = operator.ask("POST", &path, json!({"max_instances": "unlimited", "name": "Shops"})).await;
    assert_eq!((&set.json()["quota"]["max_instances"], &set.json()["name"]), (&Value::Null, &json!("Shops")));
    gateway.create_with(&key).await;

    let audit: Vec<(String, String)> =
        gateway.audit().await.into_iter().map(|(action, actor, _)| (action, actor)).collect();
    assert_eq!(audit[0], ("account.created".into(), "operator".into()));
    assert!(audit.contains(&("account.changed".into(), "operator".into())), "{audit:?}");
}

#[tokio::test]
async fn a_key_is_made_for_an_account_that_lost_its_own() {
    let gateway = Gateway::start().await;
    let operator = Operator::of(&gateway).await;
    let path = format!("{ACCOUNTS}/{}/keys", gateway.account);
    let answer = operator.ask("POST", &path, json!({"name": "found again"})).await;
    assert_eq!(answer.status, 201, "{}", answer.text());
    let key = answer.json()["access_token"].as_str().unwrap().to_owned();
    let seen = gateway.get("/v2/account", &key).await;
    assert_eq!(seen.json()["account_id"], json!(gateway.account));
}

#[tokio::test]
async fn accounts_are_listed_a_page_at_a_time() {
    let gateway = Gateway::start().await;
    let operator = Operator::of(&gateway).await;
    for number in 0..4 {
        operator.created(json!({"name": format!("shop {number}")})).await;
    }
    let (mut names, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = operator.get(&format!("{ACCOUNTS}?limit=2{cursor}")).await.json();
        let accounts = page["accounts"].as_array().unwrap();
        assert!((1..=2).contains(&accounts.len()), "{page}");
        names.extend(accounts.iter().map(|account| account["name"].as_str().unwrap().to_owned()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    names.sort();
    assert_eq!(names, ["shop", "shop 0", "shop 1", "shop 2", "shop 3"]);
}

#[tokio::test]
async fn an_account_with_instances_is_deleted_only_by_force_and_its_keys_end_at_once() {
    let gateway = Gateway::start().await;
    let operator = Operator::of(&gateway).await;
    let (path, key) = operator.created(json!({"name": "Shop"})).await;
    let instance = gateway.create_with(&key).await;
    let refused = operator.ask("DELETE", &path, json!({})).await;
    assert_eq!(refused.error(), (409, "account_has_instances".into()));
    assert_eq!(gateway.get("/v2/session/info", &instance.token).await.status, 200, "nothing has changed");
    let deleted = operator.ask("DELETE", &path, json!({"force": true})).await;
    assert_eq!(deleted.status, 200, "{}", deleted.text());
    assert_eq!((&deleted.json()["deleted"], &deleted.json()["instances_left"]), (&json!(true), &json!(1)));
    for token in [&key, &instance.token] {
        assert_eq!(gateway.get("/v2/session/info", token).await.status, 401);
    }
    assert_eq!(operator.ask("DELETE", &path, json!({})).await.status, 200, "asked again, it is still so");
    for (method, path) in [("GET", path.clone()), ("POST", path.clone()), ("POST", format!("{path}/keys"))] {
        assert_eq!(operator.ask(method, &path, json!({"name": "x"})).await.error().0, 404, "{method} {path}");
    }
    assert!(!operator.get(ACCOUNTS).await.text().contains("Shop"));
}

#[tokio::test]
async fn what_an_operator_gets_wrong_is_named() {
    let gateway = Gateway::start().await;
    let operator = Operator::of(&gateway).await;
    let unknown = format!("{ACCOUNTS}/{}", uuid::Uuid::nil());
    let nonsense = format!("{ACCOUNTS}/nonsense");
    let own = format!("{ACCOUNTS}/{}", gateway.account);
    for (method, path, body, status, code) in [
        ("POST", ACCOUNTS, json!({}), 400, "missing_parameter"),
        ("POST", ACCOUNTS, json!({"name": "x", "max_instances": -1}), 400, "invalid_parameter"),
        ("POST", ACCOUNTS, json!({"name": "x", "max_instances": "many"}), 400, "invalid_parameter"),
        ("POST", ACCOUNTS, json!({"name": "x", "allowed_origins": "a.example"}), 400, "invalid_parameter"),
        ("POST", own.as_str(), json!({"name": 7}), 400, "invalid_parameter"),
        ("GET", "/v2/admin/accounts?limit=0", json!({}), 400, "invalid_parameter"),
        ("GET", "/v2/admin/accounts?cursor=x", json!({}), 400, "invalid_parameter"),
        ("GET", unknown.as_str(), json!({}), 404, "account_not_found"),
        ("POST", unknown.as_str(), json!({}), 404, "account_not_found"),
        ("DELETE", unknown.as_str(), json!({}), 404, "account_not_found"),
        ("GET", nonsense.as_str(), json!({}), 404, "account_not_found"),
        ("PUT", own.as_str(), json!({}), 405, "method_not_allowed"),
        ("GET", "/v2/admin/nothing", json!({}), 404, "not_found"),
    ] {
        let answer = operator.ask(method, path, body.clone()).await;
        assert_eq!(answer.error(), (status, code.into()), "{method} {path} {body}");
    }
}
