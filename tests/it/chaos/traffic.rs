//! A phone that writes to the instance, and a customer that writes to the phone, both one message after the other and
//! without regard to who is dead.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::support::client::Client;
use crate::support::network::{Network, http};

/// Between two messages: traffic that goes on while things die, and not a burst before the first death.
const PACE: Duration = Duration::from_millis(60);

/// Texts on their way in.
pub(super) struct Inbound {
    count: Arc<AtomicUsize>,
    task: JoinHandle<Vec<String>>,
}

impl Inbound {
    /// `from` and `to` are numbers.
    pub(super) fn start(network: Network, (from, to): (String, String), messages: usize) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let task = tokio::spawn(async move {
            let mut texts = Vec::new();
            for nth in 0..messages {
                let text = format!("in {nth}");
                let path = format!("/phones/{from}/send");
                let (status, body) = network.post(&path, &json!({ "to": to, "text": text })).await;
                assert_eq!(status, 201, "{body}");
                texts.push(text);
                counted.fetch_add(1, Ordering::Relaxed);
                sleep(PACE).await;
            }
            texts
        });
        Self { count, task }
    }

    pub(super) fn sent(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The texts, in their order.
    pub(super) async fn end(self) -> Vec<String> {
        self.task.await.unwrap()
    }
}

/// A message that the API took.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) text: String,
    pub(super) id: String,
}

/// Texts on their way out.
pub(super) struct Outbound {
    count: Arc<AtomicUsize>,
    task: JoinHandle<Vec<Taken>>,
}

impl Outbound {
    pub(super) fn start(client: Client, (instance, to): (String, String), messages: usize) -> Self {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let task = tokio::spawn(async move {
            let http = http();
            let mut taken = Vec::new();
            for nth in 0..messages {
                let text = format!("out {nth}");
                let body = json!({ "instance_id": instance, "chatId": to, "message": text });
                let id = insist(&http, &client, &body, &format!("chaos-{nth}")).await;
                taken.push(Taken { text, id });
                counted.fetch_add(1, Ordering::Relaxed);
                sleep(PACE).await;
            }
            taken
        });
        Self { count, task }
    }

    pub(super) fn taken(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The messages, in their order.
    pub(super) async fn end(self) -> Vec<Taken> {
        self.task.await.unwrap()
    }
}

/// Sends the same request with the same key until it is taken, as a careful customer does; the message's id.
async fn insist(http: &reqwest::Client, client: &Client, body: &Value, key: &str) -> String {
    loop {
        let request = http.post(format!("{}/v2/send/text", client.url())).bearer_auth(client.key());
        let request = request.header("Idempotency-Key", key).timeout(Duration::from_secs(15)).json(body);
        if let Ok(response) = request.send().await {
            let status = response.status();
            if let Ok(answer) = response.json::<Value>().await {
                if status == 200 || status == 202 {
                    return answer["id"].as_str().unwrap().to_owned();
                }
                let mends = status.is_server_error() || [409, 422, 429].contains(&status.as_u16());
                assert!(mends, "{status} {answer}");
            }
        }
        sleep(Duration::from_millis(100)).await;
    }
}
