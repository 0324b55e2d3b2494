//! One request to an account's server, and what came of it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use reqwest::{Response, StatusCode};
use tokio::runtime::Handle;
use tokio_util::task::AbortOnDropHandle;

use crate::config;
use crate::domain::network::Network;
use crate::domain::webhook::{Header, Outcome};

use super::signature::{self, Secret};
use super::target::{self, Guard, Names};

/// WAHA: names the attempt.
const X_WEBHOOK_REQUEST_ID: HeaderName = HeaderName::from_static("x-webhook-request-id");
/// WAHA: when it was made, in Unix milliseconds.
const X_WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("x-webhook-timestamp");

/// Of an answer's body, what is read so that its connection can be used again. Nothing in it matters to us.
const READ_OF_BODY: usize = 16 * 1024;
const PATIENCE_WITH_BODY: Duration = Duration::from_secs(2);

/// Makes requests to where accounts want to be told; cheap to clone.
#[derive(Debug, Clone)]
pub struct Sender {
    client: reqwest::Client,
    guard: Guard,
    /// Where connections live. On an HTTP worker's own they would end with that worker.
    runtime: Handle,
}

/// What is sent.
#[derive(Debug, Clone)]
pub struct Parcel {
    /// Where to.
    pub url: String,
    /// Headers of the account's own.
    pub headers: Vec<Header>,
    /// What it is signed with, the newest first.
    pub secrets: Vec<Secret>,
    /// Names the event.
    pub id: String,
    /// Which attempt at it this is, from 1.
    pub attempt: u32,
    /// When.
    pub at: DateTime<Utc>,
    /// The event, as JSON.
    pub body: Vec<u8>,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// In a word.
    pub outcome: Outcome,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// How long the receiver asks to be left alone.
    pub retry_after: Option<Duration>,
    /// How long it took.
    pub took: Duration,
}

impl Sender {
    /// One that goes by `names` and reaches the public internet and what the configuration adds to it. Its connections
    /// live on the current runtime, which must be the main one.
    pub fn new(config: &config::Webhook, names: Arc<dyn Names>) -> Result<Self, reqwest::Error> {
        let allowed = config.allow_private.iter().filter_map(|text| Network::parse(text));
        let guard = Guard::new(allowed);
        let client = target::client(&guard, config.timeout, names)?;
        Ok(Self { client, guard, runtime: Handle::current() })
    }

    /// Where requests may go.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// [`Sender::send`] from any runtime.
    pub async fn send_from_elsewhere(&self, parcel: Parcel) -> Answer {
        let sender = self.clone();
        let sent = self.runtime.spawn(async move { sender.send(parcel).await });
        // Only the end of the process cancels it.
        let gone = Answer { outcome: Outcome::Unreachable, status: None, retry_after: None, took: Duration::ZERO };
        AbortOnDropHandle::new(sent).await.unwrap_or(gone)
    }

    /// Makes one attempt.
    pub async fn send(&self, parcel: Parcel) -> Answer {
        let began = Instant::now();
        let at = parcel.at;
        // Judged anew each time: the operator's networks may have changed since the address was taken in.
        let Ok(url) = self.guard.vet(&parcel.url) else {
            return Answer { outcome: Outcome::AddressRefused, status: None, retry_after: None, took: began.elapsed() };
        };
        let request = self.client.post(url).headers(headers(&parcel)).body(parcel.body);
        let (outcome, status, retry_after) = match request.send().await {
            Ok(response) => {
                let told = (outcome(response.status()), Some(response.status().as_u16()), retry_after(&response, at));
                drain(response).await;
                told
            }
            Err(error) if Guard::refusal(&error).is_some() => (Outcome::AddressRefused, None, None),
            Err(error) if error.is_timeout() => (Outcome::TimedOut, None, None),
            Err(_) => (Outcome::Unreachable, None, None),
        };
        Answer { outcome, status, retry_after, took: began.elapsed() }
    }
}

fn headers(parcel: &Parcel) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for Header { name, value } in &parcel.headers {
        let name: HeaderName = name.parse().expect("it was checked when it was taken in");
        let mut value: HeaderValue = value.parse().expect("it was checked when it was taken in");
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let own = |text: &str| HeaderValue::from_str(text).expect("what we make is visible ASCII");
    headers.insert(X_WEBHOOK_REQUEST_ID, own(&format!("{}.{}", parcel.id, parcel.attempt)));
    headers.insert(X_WEBHOOK_TIMESTAMP, own(&parcel.at.timestamp_millis().to_string()));
    for (name, value) in signature::headers(&parcel.id, parcel.at, &parcel.body, &parcel.secrets) {
        headers.insert(HeaderName::from_static(name), own(&value));
    }
    headers
}

fn outcome(status: StatusCode) -> Outcome {
    if status.is_success() {
        Outcome::Delivered
    } else if status == StatusCode::GONE {
        Outcome::Gone
    } else {
        Outcome::Refused
    }
}

/// In seconds, or as a date (RFC 9110, 10.2.3).
fn retry_after(response: &Response, now: DateTime<Utc>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    (date.to_utc() - now).to_std().ok()
}

/// Reads a short body to its end, so that the connection can be used again. A longer or slower one ends with it.
async fn drain(mut response: Response) {
    let reading = async {
        let mut read = 0;
        while let Ok(Some(chunk)) = response.chunk().await {
            read += chunk.len();
            if read > READ_OF_BODY {
                return;
            }
        }
    };
    let _ = tokio::time::timeout(PATIENCE_WITH_BODY, reading).await;
}
