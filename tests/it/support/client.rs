//! The public REST API as a customer's backend uses it.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use super::network::{Network, http};
use super::wait::{until, until_within};

/// A gateway and an account's key.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    url: String,
    key: String,
    http: reqwest::Client,
}

impl Client {
    pub(crate) fn new(url: &str, key: &str) -> Self {
        Self { url: url.to_owned(), key: key.to_owned(), http: http() }
    }

    /// The same caller at another node.
    pub(crate) fn at(&self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self.clone() }
    }

    /// The same place for another caller.
    pub(crate) fn with_key(&self, key: &str) -> Self {
        Self { key: key.to_owned(), ..self.clone() }
    }

    /// Sends JSON and these headers; the whole answer.
    pub(crate) async fn ask(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> reqwest::Response {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.key).json(body);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.timeout(Duration::from_mins(1)).send().await.expect("the gateway answers")
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// Sends JSON; status and JSON body.
    pub(crate) async fn call(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let url = format!("{}{path}", self.url);
        let request = self.http.request(method, url).bearer_auth(&self.key).json(body).timeout(Duration::from_mins(1));
        let response = request.send().await.expect("the gateway answers");
        let status = response.status();
        (status, response.json().await.unwrap_or_default())
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        self.call(Method::POST, path, body).await
    }

    /// A body that is not JSON.
    pub(crate) async fn bytes(&self, path: &str, body: &Value) -> Vec<u8> {
        let request = self.http.post(format!("{}{path}", self.url)).bearer_auth(&self.key).json(body);
        let response = request.send().await.expect("the gateway answers");
        assert_eq!(response.status(), StatusCode::OK);
        response.bytes().await.expect("the body arrives").to_vec()
    }

    /// A new instance that starts at once.
    pub(crate) async fn create(&self, name: &str) -> String {
        let (status, body) = self.post("/v2/session/create", &json!({ "name": name })).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        body["instance_id"].as_str().expect("it has an id").to_owned()
    }

    pub(crate) async fn info(&self, instance: &str) -> Value {
        let (status, body) = self.post("/v2/session/info", &json!({ "instance_id": instance })).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// Waits until the session shows a status.
    pub(crate) async fn reaches(&self, instance: &str, wanted: &str) -> Value {
        until(&format!("{instance} is {wanted}"), || self.has_status(instance, wanted)).await
    }

    /// [`Client::reaches`] within a time that the product promises.
    pub(crate) async fn reaches_within(&self, patience: Duration, instance: &str, wanted: &str) -> Value {
        until_within(patience, &format!("{instance} is {wanted}"), || self.has_status(instance, wanted)).await
    }

    async fn has_status(&self, instance: &str, wanted: &str) -> Option<Value> {
        let info = self.info(instance).await;
        (info["status"] == wanted).then_some(info)
    }

    /// The live code's value and its expiry.
    pub(crate) async fn code(&self, instance: &str) -> (String, i64) {
        until("there is a code", || async {
            let (status, body) = self.post("/v2/auth/qr", &json!({ "instance_id": instance, "wait": 25 })).await;
            (status == StatusCode::OK).then(|| decode_envelope(&body))
        })
        .await
    }

    /// Creates an instance, scans its code with a new phone and waits for WORKING: the instance and the number.
    pub(crate) async fn linked(&self, network: &Network) -> (String, String) {
        let instance = self.create("linked").await;
        let number = network.phone().await;
        self.scan(network, &instance, &number).await;
        self.reaches(&instance, "WORKING").await;
        (instance, number)
    }

    /// The phone scans the live code; if that one rotated out in between, the next.
    pub(crate) async fn scan(&self, network: &Network, instance: &str, number: &str) {
        until("a phone has scanned the code", || async {
            let (value, _) = self.code(instance).await;
            let (status, body) = network.scan(number, &value).await;
            assert!(status.is_success() || status == StatusCode::CONFLICT, "{status} {body}");
            status.is_success().then_some(())
        })
        .await;
    }
}

/// Value and expiry out of the base64 envelope.
pub(crate) fn decode_envelope(envelope: &Value) -> (String, i64) {
    let data = envelope["data"].as_str().expect("the envelope has data");
    let code: Value = serde_json::from_slice(&STANDARD.decode(data).expect("it is base64")).expect("it is JSON");
    (code["value"].as_str().expect("a value").to_owned(), code["expiry"].as_i64().expect("an expiry"))
}
