//! Files of messages, from a phone through the gateway and back, on the real protocol.

mod given;
mod previews;
mod sent;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use reqwest::{Response, StatusCode};
use serde_json::{Value, json};

use crate::support::gateway::Gateway;
use crate::support::wait::until;

/// A gateway with a linked instance, and a phone of somebody else's.
struct Scene {
    gateway: Gateway,
    instance: String,
    /// The number of the instance's own phone.
    number: String,
    /// Somebody else's.
    other: String,
}

impl Scene {
    async fn new() -> Self {
        Self::on(Gateway::start().await).await
    }

    async fn on(gateway: Gateway) -> Self {
        let (instance, number) = gateway.client.linked(&gateway.network).await;
        let other = gateway.network.phone().await;
        Self { gateway, instance, number, other }
    }

    /// The other phone sends a file to the instance; its message's id.
    async fn receive(&self, mut message: Value, file: &[u8]) -> String {
        message["to"] = self.number.as_str().into();
        message["data"] = BASE64_STANDARD.encode(file).into();
        let (status, sent) = self.gateway.network.post(&format!("/phones/{}/send", self.other), &message).await;
        assert_eq!(status, StatusCode::CREATED, "{sent}");
        sent["id"].as_str().unwrap().to_owned()
    }

    /// Asks for the file of a message.
    async fn ask(&self, message: &str, headers: &[(&str, &str)]) -> Response {
        self.ask_as(self.gateway.client.key(), message, headers).await
    }

    async fn ask_as(&self, key: &str, message: &str, headers: &[(&str, &str)]) -> Response {
        let url = format!("{}/v2/media/{message}?instance_id={}", self.gateway.url, self.instance);
        let request = crate::support::network::http().get(url).bearer_auth(key);
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.send().await.unwrap()
    }

    /// The file of a message, once the message has come.
    async fn file(&self, message: &str) -> Response {
        until("the file of the message can be had", || async {
            let answer = self.ask(message, &[]).await;
            if answer.status() == StatusCode::NOT_FOUND {
                return None;
            }
            assert_eq!(answer.status(), StatusCode::OK);
            Some(answer)
        })
        .await
    }
}

fn header<'a>(answer: &'a Response, name: &str) -> &'a str {
    answer.headers().get(name).unwrap_or_else(|| panic!("{name} is there")).to_str().unwrap()
}

fn code(body: &[u8]) -> String {
    serde_json::from_slice::<Value>(body).unwrap()["code"].as_str().unwrap().to_owned()
}

/// A file whose bytes tell their place.
fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 251).to_le_bytes()[0]).collect()
}

fn picture() -> Value {
    json!({ "kind": "image", "mimetype": "image/png" })
}
