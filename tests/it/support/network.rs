//! The sandbox's control API as a test uses it: phones that scan, and faults.

use reqwest::StatusCode;
use serde_json::{Value, json};

/// An HTTP client. TLS wants its cryptography named before the first one is made, though nothing here uses TLS.
pub(crate) fn http() -> reqwest::Client {
    wagate::app::install_crypto_provider();
    reqwest::Client::new()
}

/// A sandbox network at an address.
#[derive(Debug, Clone)]
pub(crate) struct Network {
    url: String,
    http: reqwest::Client,
}

impl Network {
    /// The network whose control API is at `url`.
    pub(crate) fn at(url: &str) -> Self {
        Self { url: url.trim_end_matches('/').to_owned(), http: http() }
    }

    /// Sends a request; status and JSON body (null if there is none).
    pub(crate) async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        let response = self.http.post(format!("{}{path}", self.url)).json(body).send().await.unwrap();
        (response.status(), response.json().await.unwrap_or_default())
    }

    /// Reads a page of the control API.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.http.get(format!("{}{path}", self.url)).send().await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        response.json().await.unwrap()
    }

    /// A new phone; its number.
    pub(crate) async fn phone(&self) -> String {
        let (status, phone) = self.post("/phones", &json!({})).await;
        assert_eq!(status, StatusCode::CREATED, "{phone}");
        phone["number"].as_str().unwrap().to_owned()
    }

    /// The phone scans a value.
    pub(crate) async fn scan(&self, number: &str, value: &str) -> (StatusCode, Value) {
        self.post(&format!("/phones/{number}/scan"), &json!({ "value": value })).await
    }

    /// The phone removes its linked devices.
    pub(crate) async fn unlink(&self, number: &str) {
        let (status, body) = self.post(&format!("/phones/{number}/unlink"), &json!({})).await;
        assert!(status.is_success(), "{body}");
    }

    /// Causes a fault; its id.
    pub(crate) async fn fault(&self, fault: &Value) -> String {
        let (status, body) = self.post("/faults", fault).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        match &body["id"] {
            Value::String(id) => id.clone(),
            id => id.to_string(),
        }
    }

    /// Ends a fault.
    pub(crate) async fn mend(&self, id: &str) {
        let response = self.http.delete(format!("{}/faults/{id}", self.url)).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
    }

    /// What the network knows of its devices.
    pub(crate) async fn devices(&self) -> Vec<Value> {
        let response = self.http.get(format!("{}/devices", self.url)).send().await.unwrap();
        response.json().await.unwrap()
    }

    /// The device that is linked to a phone.
    pub(crate) async fn device_of(&self, number: &str) -> Option<Value> {
        self.devices().await.into_iter().find(|device| device["number"] == number)
    }

    /// Codes rotate that many times faster.
    pub(crate) async fn hurry(&self, factor: u32) {
        let (status, body) = self.post("/clock", &json!({ "rotation_factor": factor })).await;
        assert!(status.is_success(), "{body}");
    }
}
