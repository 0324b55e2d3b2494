//! Messages out: from the API to the inbox of a phone, on the true engine and the real protocol.

mod answers;
mod kinds;
mod pace;
mod queue;

use reqwest::StatusCode;
use serde_json::{Value, json};
use wagate::config::Config;

use crate::support::gateway::Gateway;
use crate::support::wait::until;

/// A linked instance, and a phone that it writes to.
struct Post {
    gateway: Gateway,
    instance: String,
    /// Of the phone that linked the instance.
    number: String,
    /// Of the phone that is written to.
    other: String,
}

impl Post {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut Config)) -> Self {
        let gateway = Gateway::with(change).await;
        let (instance, number) = gateway.client.linked(&gateway.network).await;
        let other = gateway.network.phone().await;
        Self { gateway, instance, number, other }
    }

    /// Asks with the instance and the other phone's chat beside what `fields` holds.
    async fn ask(&self, path: &str, fields: Value) -> (StatusCode, Value) {
        self.gateway.client.post(path, &self.body(fields)).await
    }

    fn body(&self, fields: Value) -> Value {
        let mut body = json!({ "instance_id": self.instance, "chatId": format!("{}@c.us", self.other) });
        let Value::Object(fields) = fields else { panic!("fields have names") };
        for (name, value) in fields {
            body[name.as_str()] = value;
        }
        body
    }

    /// Sends what WhatsApp acknowledges; its id.
    async fn send(&self, path: &str, fields: Value) -> String {
        let (status, body) = self.ask(path, fields).await;
        // The phone may have it before the answer is made.
        let is_sent = ["sent", "delivered"].iter().any(|state| body["status"] == *state);
        assert!(status == StatusCode::OK && is_sent, "{status} {body}");
        body["id"].as_str().unwrap().to_owned()
    }

    async fn say(&self, words: &str) -> String {
        self.send("/v2/send/text", json!({ "message": words })).await
    }

    /// What the other phone has received, once it is this many messages.
    async fn inbox(&self, count: usize) -> Vec<Value> {
        inbox(&self.gateway, &self.other, count).await
    }

    /// What became of a message.
    async fn message(&self, id: &str) -> Value {
        let path = format!("/v2/messages/{id}?instance_id={}", self.instance);
        let (status, body) = self.gateway.client.call(reqwest::Method::GET, &path, &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{body}");
        body
    }

    /// The phone that is written to goes away, or comes back.
    async fn other_is_online(&self, online: bool) {
        let path = format!("/phones/{}/online", self.other);
        self.gateway.network.post(&path, &json!({ "online": online })).await;
    }

    /// What the log tells of the messages of this account, each with its id and kind.
    async fn logged(&self) -> Vec<Value> {
        let path = format!("/v2/events?instance_id={}&after=0", self.instance);
        let (status, page) = self.gateway.client.call(reqwest::Method::GET, &path, &json!({})).await;
        assert_eq!(status, StatusCode::OK, "{page}");
        let events = page["events"].as_array().unwrap().iter();
        events.filter(|event| event["event"] == "message.any").map(|event| event["payload"].clone()).collect()
    }

    /// Waits until a message stands there.
    async fn becomes(&self, id: &str, status: &str) -> Value {
        until(&format!("the message is {status}"), || async {
            let message = self.message(id).await;
            (message["status"] == status).then_some(message)
        })
        .await
    }
}

async fn inbox(gateway: &Gateway, number: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} messages are in the inbox"), || async {
        let inbox = gateway.network.get(&format!("/phones/{number}/inbox")).await;
        let inbox = inbox.as_array().unwrap().clone();
        (inbox.len() >= count).then_some(inbox)
    })
    .await
}
