//! A small client of our own REST API, for the commands that talk to a running gateway.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};

/// How long the gateway may take, the longest `wait` included.
const TIMEOUT: Duration = Duration::from_secs(40);

/// A time that no stream lasts.
const ENDLESS: Duration = Duration::from_hours(24 * 365);

/// A gateway and the credential to use there.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    base: String,
    key: SecretString,
}

/// A code as the envelope of `/v2/auth/qr` gives it.
#[derive(Deserialize)]
pub(super) struct Code {
    /// What the phone must scan.
    pub(super) value: String,
    /// When it rotates out, in Unix milliseconds.
    pub(super) expiry: i64,
}

/// What a request for a code came to.
pub(super) enum CodeAnswer {
    /// A live code.
    Live(Code),
    /// Not now; the message says why, and time mends it.
    Later {
        /// The gateway's message.
        message: String,
        /// When to ask again.
        after: Duration,
    },
    /// There is nothing to scan: the instance is linked.
    AlreadyLinked,
}

/// The credential out of a file, or else out of a variable of the environment; never from the command line itself: other
/// users of the machine could read it there.
pub(super) fn secret(file: Option<&Path>, variable: &str, what: &str) -> anyhow::Result<SecretString> {
    let key = match file {
        Some(path) => fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?,
        None => std::env::var(variable).with_context(|| format!("set {variable} to {what}, or name a --key-file"))?,
    };
    Ok(key.trim().to_owned().into())
}

impl Client {
    /// A client of the gateway at `base`.
    pub(super) fn new(base: &str, key: SecretString) -> anyhow::Result<Self> {
        let http = reqwest::Client::builder().timeout(TIMEOUT).build().context("the HTTP client could not be made")?;
        Ok(Self { http, base: base.trim_end_matches('/').to_owned(), key })
    }

    fn post(&self, path: &str) -> RequestBuilder {
        self.http.post(format!("{}{path}", self.base)).bearer_auth(self.key.expose_secret())
    }

    /// Sends a request that must succeed, with a body if there is one, about an instance if one is named.
    pub(super) async fn call(
        &self,
        method: Method,
        path: &str,
        instance: Option<&str>,
        body: Option<&Value>,
    ) -> anyhow::Result<Value> {
        let request = self.http.request(method, format!("{}{path}", self.base)).bearer_auth(self.key.expose_secret());
        let request = instance.into_iter().fold(request, |request, id| request.header("X-Instance-ID", id));
        self.expect(body.into_iter().fold(request, RequestBuilder::json)).await
    }

    async fn answer(&self, request: RequestBuilder) -> anyhow::Result<(StatusCode, Value)> {
        let response = request.send().await.with_context(|| format!("no gateway answers at {}", self.base))?;
        let status = response.status();
        let body = response.json().await.context("the gateway's answer is not JSON")?;
        Ok((status, body))
    }

    /// Sends a request that must succeed.
    async fn expect(&self, request: RequestBuilder) -> anyhow::Result<Value> {
        match self.answer(request).await? {
            (status, body) if status.is_success() => Ok(body),
            (status, body) => bail!("the gateway answered {status}: {}", message_of(&body)),
        }
    }

    /// Creates an instance that starts at once.
    #[cfg(feature = "sandbox")]
    pub(super) async fn create(&self, name: &str) -> anyhow::Result<Value> {
        self.expect(self.post("/v2/session/create").json(&json!({ "name": name }))).await
    }

    /// The instance's session.
    pub(super) async fn info(&self, instance: &str) -> anyhow::Result<Value> {
        self.expect(self.post("/v2/session/info").json(&json!({ "instance_id": instance }))).await
    }

    /// The instance's events as a stream, behind the number `last` if one is given; `None` if the gateway cannot give it at
    /// this moment. A failure that is reqwest's own may pass too; other refusals of the gateway do not.
    pub(super) async fn events(
        &self,
        instance: &str,
        kinds: Option<&str>,
        last: Option<&str>,
    ) -> anyhow::Result<Option<Response>> {
        let query: String =
            form_urlencoded::Serializer::new(String::new()).extend_pairs(kinds.map(|kinds| ("events", kinds))).finish();
        let request = self.http.get(format!("{}/v2/events?{query}", self.base)).header("X-Instance-ID", instance);
        let request = request.bearer_auth(self.key.expose_secret()).header("Accept", "text/event-stream");
        // Unlike every other answer, this one has no end.
        let request = request.timeout(ENDLESS);
        let request = last.into_iter().fold(request, |request, last| request.header("Last-Event-ID", last));
        let response = request.send().await.with_context(|| format!("no gateway answers at {}", self.base))?;
        let status = response.status();
        if status.is_success() {
            return Ok(Some(response));
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Ok(None);
        }
        let body = response.json().await.context("the gateway's answer is not JSON")?;
        bail!("the gateway answered {status}: {}", message_of(&body))
    }

    /// The instance's live code, waited for up to 25 s.
    pub(super) async fn code(&self, instance: &str) -> anyhow::Result<CodeAnswer> {
        let request = self.post("/v2/auth/qr").json(&json!({ "instance_id": instance, "wait": 25 }));
        let (status, body) = self.answer(request).await?;
        if status.is_success() {
            let data = body["data"].as_str().context("the envelope has no data")?;
            let inner = STANDARD.decode(data).context("the envelope's data is not base64")?;
            return Ok(CodeAnswer::Live(serde_json::from_slice(&inner).context("the envelope's data is not a code")?));
        }
        if body["code"] == "already_linked" {
            return Ok(CodeAnswer::AlreadyLinked);
        }
        let message = message_of(&body);
        match body["retry_after"].as_u64() {
            Some(seconds) if status != StatusCode::UNAUTHORIZED && status != StatusCode::NOT_FOUND => {
                Ok(CodeAnswer::Later { message, after: Duration::from_secs(seconds.clamp(1, 20)) })
            }
            _ => bail!("the gateway answered {status}: {message}"),
        }
    }
}

fn message_of(body: &Value) -> String {
    body["message"].as_str().unwrap_or("no message").to_owned()
}

/// The linked number out of a session's info, as a person writes it.
pub(super) fn number_of(info: &Value) -> Option<String> {
    let id = info["me"]["id"].as_str()?;
    Some(format!("+{}", id.split_once('@').map_or(id, |(number, _)| number)))
}
