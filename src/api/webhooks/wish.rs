//! How a webhook is to be, as a caller says it: by the parameters of a request, or, in WAHA's shape, within the `config`
//! of a new instance.

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::PgConnection;

use crate::api::error::ApiError;
use crate::api::extract::{Call, Read};
use crate::domain::event::EventKind;
use crate::domain::instance::InstanceId;
use crate::domain::webhook::{DisabledReason, Header, Order, Subscription, WebhookId};
use crate::store::webhook::endpoint::{self, Confidential, Endpoint, KeptSecret};
use crate::webhook::signature::Secret;
use crate::webhook::target::Guard;

const MAX_URL: usize = 2_000;
const MAX_HEADERS: usize = 20;

/// What is wished of a webhook; `None` stays as it is, or is as usual.
#[derive(Debug, Default)]
pub(crate) struct Wish {
    pub(in crate::api) url: Option<String>,
    subscription: Option<Subscription>,
    order: Option<Order>,
    headers: Option<Vec<Header>>,
    enabled: Option<bool>,
    secret: Option<Secret>,
}

impl Wish {
    /// Reads the parameters.
    pub(crate) fn read(read: &mut Read<'_>, guard: &Guard) -> Self {
        let url = read.text("url", MAX_URL).and_then(|url| match guard.vet(url) {
            Ok(_) => Some(url.to_owned()),
            Err(error) => read.wrong("url", &format!("cannot be used: {error}")),
        });
        let subscription = read.events("events");
        let words: Vec<(&str, Order)> = Order::ALL.iter().map(|order| (order.as_str(), *order)).collect();
        let order = read.word("order", &words);
        let headers = read.object("headers").and_then(|given| match headers(&given) {
            Ok(headers) => Some(headers),
            Err(problem) => read.wrong("headers", &problem),
        });
        let secret = read.text("secret", 128).and_then(|text| match Secret::parse(text) {
            Ok(secret) => Some(secret),
            Err(error) => read.wrong("secret", &format!("cannot be used: {error}")),
        });
        Self { url, subscription, order, headers, enabled: read.boolean("enabled"), secret }
    }

    /// Reads WAHA's `{url, events, hmac: {key}, customHeaders: [{name, value}]}`; on failure, words that follow `config`.
    pub(crate) fn of_waha(given: &Value, guard: &Guard) -> Result<Self, String> {
        const KEYS: &str = "webhooks may hold url, events, hmac and customHeaders";
        let given = given.as_object().ok_or("webhooks must be a list of objects")?;
        let mut wish = Self::default();
        for (key, value) in given {
            match (key.as_str(), value) {
                ("url", Value::String(url)) if url.len() <= MAX_URL => {
                    guard.vet(url).map_err(|error| format!("holds a webhook whose url cannot be used: {error}"))?;
                    wish.url = Some(url.clone());
                }
                ("events", Value::Array(words)) => {
                    let words: Option<Vec<&str>> = words.iter().map(Value::as_str).collect();
                    let subscription = words.and_then(|words| subscription(&words));
                    wish.subscription = Some(subscription.ok_or("holds a webhook with unknown events")?);
                }
                ("hmac", Value::Object(hmac)) => {
                    if let Some(key) = hmac.get("key").filter(|key| !key.is_null()) {
                        let secret = key.as_str().and_then(|text| Secret::parse(text).ok());
                        wish.secret =
                            Some(secret.ok_or("holds a webhook whose hmac.key is not 16 to 128 visible characters")?);
                    }
                }
                ("customHeaders", Value::Array(list)) => wish.headers = Some(listed_headers(list)?),
                // WAHA's own pauses cannot be set: a webhook's schedule is the same for all.
                ("hmac" | "customHeaders" | "retries" | "events", Value::Null) => {}
                ("url", _) => return Err("holds a webhook without a url".to_owned()),
                (_, _) => return Err(format!("is not understood: {KEYS}")),
            }
        }
        if wish.url.is_none() { Err("holds a webhook without a url".to_owned()) } else { Ok(wish) }
    }

    /// What makes two requests the same.
    pub(crate) fn request(&self) -> Value {
        serde_json::json!({
            "url": self.url,
            "events": self.subscription.as_ref().map(Subscription::named),
            "order": self.order,
            "headers": self.headers,
            "enabled": self.enabled,
            "secret": self.secret.as_ref().map(Secret::expose),
        })
    }

    /// The names of what is changed, for the audit log.
    pub(in crate::api) fn names(&self) -> Vec<&'static str> {
        let given = [
            ("url", self.url.is_some()),
            ("events", self.subscription.is_some()),
            ("order", self.order.is_some()),
            ("headers", self.headers.is_some()),
            ("enabled", self.enabled.is_some()),
            ("secret", self.secret.is_some()),
        ];
        given.into_iter().filter(|(_, given)| *given).map(|(name, _)| name).collect()
    }

    /// Makes a webhook of the caller's account, which is locked: it and its secret, if that is not the caller's own.
    pub(in crate::api) async fn make(
        self,
        call: &Call,
        conn: &mut PgConnection,
        (instance_id, of_session): (Option<InstanceId>, bool),
        now: DateTime<Utc>,
    ) -> Result<(Endpoint, Option<String>), ApiError> {
        let account_id = call.caller.account_id;
        let max = call.state.webhooks_per_account;
        if endpoint::count(conn, account_id).await? >= u64::from(max) {
            return Err(ApiError::TooManyWebhooks { max });
        }
        let is_own = self.secret.is_some();
        let secret = self.secret.unwrap_or_else(|| Secret::generate(&mut call.state.rng()));
        let id = WebhookId(call.state.uuid());
        let confidential = Confidential {
            url: self.url.unwrap_or_default(),
            headers: self.headers.unwrap_or_default(),
            secrets: vec![KeptSecret { text: secret.expose().to_owned(), until: None }],
        };
        let cipher = call.state.vault.account_cipher(conn, account_id).await?;
        let made = Endpoint {
            id,
            account_id,
            instance_id,
            of_session,
            subscription: self.subscription.unwrap_or(Subscription::All),
            order: self.order.unwrap_or(Order::Strict),
            sealed: confidential.seal(&cipher, id),
            created_at: now,
            disabled: (self.enabled == Some(false)).then_some((DisabledReason::Owner, now)),
            failing_since: None,
        };
        endpoint::insert(conn, &made).await?;
        Ok((made, (!is_own).then(|| secret.expose().to_owned())))
    }

    /// Changes a webhook that is locked. One that is enabled again, or led elsewhere, begins anew with what waits for it.
    pub(in crate::api) async fn change(
        self,
        call: &Call,
        conn: &mut PgConnection,
        mut endpoint: Endpoint,
        now: DateTime<Utc>,
    ) -> Result<Endpoint, ApiError> {
        let mut confidential = super::opened(call, conn, &endpoint).await?;
        let is_new = self.url.is_some() || (self.enabled == Some(true) && endpoint.disabled.is_some());
        if let Some(url) = self.url {
            confidential.url = url;
        }
        if let Some(headers) = self.headers {
            confidential.headers = headers;
        }
        if let Some(secret) = self.secret {
            confidential.secrets = vec![KeptSecret { text: secret.expose().to_owned(), until: None }];
        }
        endpoint.subscription = self.subscription.unwrap_or(endpoint.subscription);
        endpoint.order = self.order.unwrap_or(endpoint.order);
        match self.enabled {
            Some(true) => endpoint.disabled = None,
            Some(false) if endpoint.disabled.is_none() => endpoint.disabled = Some((DisabledReason::Owner, now)),
            Some(false) | None => {}
        }
        if is_new {
            endpoint.failing_since = None;
        }
        let cipher = call.state.vault.account_cipher(conn, endpoint.account_id).await?;
        endpoint.sealed = confidential.seal(&cipher, endpoint.id);
        endpoint::update(conn, &endpoint).await?;
        if is_new {
            endpoint::refresh(conn, endpoint.id, now).await?;
        }
        Ok(endpoint)
    }
}

impl Read<'_> {
    /// Kinds of events, separated by commas or in an array; `*`, or none at all, is every kind.
    pub(in crate::api) fn events(&mut self, name: &'static str) -> Option<Subscription> {
        let words = self.list(name, "kinds of events, or *", |word| match word {
            "*" => Some(None),
            word => EventKind::parse(word).map(Some),
        })?;
        let kinds: Option<Vec<EventKind>> = words.into_iter().collect();
        Some(kinds.filter(|kinds| !kinds.is_empty()).map_or(Subscription::All, Subscription::Only))
    }
}

fn subscription(words: &[&str]) -> Option<Subscription> {
    if words.is_empty() || words.contains(&"*") {
        return Some(Subscription::All);
    }
    words.iter().map(|word| EventKind::parse(word)).collect::<Option<_>>().map(Subscription::Only)
}

fn headers(given: &Map<String, Value>) -> Result<Vec<Header>, String> {
    let parse = |(name, value): (&String, &Value)| {
        let value = value.as_str().ok_or("must hold texts".to_owned())?;
        Header::parse(name, value).map_err(|error| format!("cannot be used: {error}"))
    };
    bounded(given.iter().map(parse).collect::<Result<_, _>>()?)
}

fn listed_headers(list: &[Value]) -> Result<Vec<Header>, String> {
    let parse = |header: &Value| {
        let (name, value) = (header["name"].as_str(), header["value"].as_str());
        let (name, value) = name.zip(value).ok_or("holds customHeaders that are no {name, value}".to_owned())?;
        Header::parse(name, value).map_err(|error| format!("holds customHeaders that cannot be used: {error}"))
    };
    bounded(list.iter().map(parse).collect::<Result<_, _>>()?)
}

fn bounded(headers: Vec<Header>) -> Result<Vec<Header>, String> {
    if headers.len() > MAX_HEADERS {
        return Err(format!("may hold {MAX_HEADERS} headers"));
    }
    let mut names: Vec<&str> = headers.iter().map(|header| header.name.as_str()).collect();
    names.sort_unstable();
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err("may hold each header once".to_owned());
    }
    Ok(headers)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn wahas_shape_is_read() {
        let given = json!({
            "url": "https://example.com/hook", "events": ["message", "session.status"], "hmac": {"key": "your-secret-key-16"},
            "retries": null, "customHeaders": [{"name": "X-My-Header", "value": "Value"}],
        });
        let wish = Wish::of_waha(&given, &Guard::default()).unwrap();
        assert_eq!(wish.url.as_deref(), Some("https://example.com/hook"));
        assert_eq!(wish.subscription.unwrap().named(), [EventKind::Message, EventKind::SessionStatus]);
        assert_eq!(wish.secret.unwrap().expose(), "your-secret-key-16");
        assert_eq!(wish.headers.unwrap()[0].name, "x-my-header");
    }

    #[test]
    fn what_cannot_be_done_is_said_and_not_ignored() {
        for given in [
            json!("https://example.com"),
            json!({}),
            json!({"url": "http://127.0.0.1/"}),
            json!({"url": "https://example.com", "events": ["nonsense"]}),
            json!({"url": "https://example.com", "retries": {"attempts": 3}}),
            json!({"url": "https://example.com", "hmac": {"key": "short"}}),
            json!({"url": "https://example.com", "customHeaders": [{"name": "Host", "value": "x"}]}),
            json!({"url": "https://example.com", "customHeaders": [{"name": "a", "value": "x"}, {"name": "A", "value": "y"}]}),
        ] {
            assert!(Wish::of_waha(&given, &Guard::default()).is_err(), "{given}");
        }
    }
}
