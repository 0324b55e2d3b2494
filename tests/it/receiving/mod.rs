//! From a phone to an instance's log, on the real protocol, through the true application.

mod durability;
mod erasing;
mod kinds;
mod signals;

use reqwest::StatusCode;
use serde_json::{Value, json};
use wagate::domain::event::{EventKind, Logged};

use crate::support::gateway::Gateway;
use crate::support::network::Network;
use crate::support::wait::until;

/// A linked instance, and a phone that is somebody else's.
struct Pair {
    gateway: Gateway,
    instance: String,
    /// The instance's own phone.
    own: String,
    /// Somebody else's.
    other: String,
}

impl Pair {
    async fn new() -> Self {
        let gateway = Gateway::start().await;
        let (instance, own) = gateway.client.linked(&gateway.network).await;
        let other = gateway.network.phone().await;
        Self { gateway, instance, own, other }
    }

    /// The other phone writes to the instance; the message's id.
    async fn hear(&self, content: Value) -> String {
        say(&self.gateway.network, &self.other, &self.own, content).await
    }

    /// Stops the instance's session, and waits until it has stopped: what it had to say is stored then.
    async fn stop(&self) {
        self.gateway.client.post("/v2/session/stop", &json!({ "instance_id": self.instance })).await;
        self.gateway.client.reaches(&self.instance, "STOPPED").await;
    }

    /// Starts it again.
    async fn start(&self) {
        self.gateway.client.post("/v2/session/start", &json!({ "instance_id": self.instance })).await;
    }

    /// Waits for the event of this kind that is told of a message, and that there is one only.
    async fn told(&self, kind: EventKind, id: &str) -> Value {
        let event = until(&format!("{kind} tells of {id}"), || async {
            self.log().await.into_iter().find(|event| event.kind == kind && payload(event)["id"] == id)
        })
        .await;
        payload(&event).clone()
    }

    /// The events that are about messages and the like: not those of the session.
    async fn log(&self) -> Vec<Logged> {
        let mut log = self.gateway.log(&self.instance).await;
        assert!(log.iter().map(|event| event.seq).eq(1..=i64::try_from(log.len()).unwrap()), "the numbers have no gap");
        log.retain(|event| !matches!(event.kind, EventKind::SessionStatus | EventKind::SessionQr));
        log
    }

    fn own_id(&self) -> String {
        format!("{}@c.us", self.own)
    }

    fn other_id(&self) -> String {
        format!("{}@c.us", self.other)
    }
}

async fn say(network: &Network, from: &str, to: &str, content: Value) -> String {
    let mut request = content;
    request["to"] = json!(to);
    let (status, sent) = network.post(&format!("/phones/{from}/send"), &request).await;
    assert_eq!(status, StatusCode::CREATED, "{sent}");
    sent["id"].as_str().expect("it has an id").to_owned()
}

fn text(words: &str) -> Value {
    json!({ "kind": "text", "text": words })
}

fn payload(event: &Logged) -> &Value {
    &event.content.as_ref().expect("it was not erased").payload
}
