//! `Idempotency-Key`: a request that is sent again, after a timeout or by an impatient client, is served once.
//!
//! A handler claims the key once the caller and the parameters are known; it writes the answer in the transaction that
//! does the work, or lets the claim go when nothing came of it. Only answers that succeeded are kept: a refusal changed
//! nothing, and the same request may succeed later.

use actix_web::http::header::HeaderName;
use chrono::TimeDelta;
use secrecy::SecretString;
use serde_json::Value;
use sha2::{Digest, Sha256};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::store::idempotency::{self, Answer, Claimed};
use crate::store::kept_secret;

use super::error::ApiError;
use super::extract::{Call, Read};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Tells an answer that was given before.
pub(super) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A handler that has not answered after this long died, though its node lives: none fetches a file for longer, and
/// transactions are given up far sooner.
const CLAIM: TimeDelta = TimeDelta::seconds(90);

/// How long a secret within an answer is told again.
pub(super) const SECRET_KEPT: TimeDelta = TimeDelta::minutes(10);

/// What a request with a key is to do.
pub(super) enum Turn {
    /// To be served.
    Ours(Claim),
    /// To be told what was answered.
    Answered(Kept),
}

/// An answer that was given before.
pub(super) struct Kept {
    pub(super) status: u16,
    /// Without its secret.
    pub(super) body: String,
    /// Its secret, while that is told.
    pub(super) secret: Option<SecretString>,
}

/// The right to serve a request; without a key, everybody has it.
pub(super) struct Claim(Option<Held>);

struct Held {
    key: String,
    id: Uuid,
}

impl Call {
    /// The key of the request, from its header.
    pub(super) fn idempotency_key(&self, read: &mut Read<'_>) -> Option<String> {
        let mut given = self.headers().get_all(&IDEMPOTENCY_KEY);
        let key = given.next()?.to_str().ok();
        let key = key.filter(|key| (1..=255).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()));
        if given.any(|other| Some(other.as_bytes()) != key.map(str::as_bytes)) {
            return read.wrong("Idempotency-Key", "is given more than once, with different values");
        }
        key.map(ToOwned::to_owned)
            .or_else(|| read.wrong("Idempotency-Key", "must be 1 to 255 characters of visible ASCII"))
    }

    /// Claims the key for this request: `operation` and `request`, which is whatever makes two requests the same.
    pub(super) async fn claim(&self, key: Option<String>, operation: &str, request: &Value) -> Result<Turn, ApiError> {
        let Some(key) = key else { return Ok(Turn::Ours(Claim(None))) };
        let held = Held { key, id: self.state.uuid() };
        let now = self.state.clock.now();
        let times = (now, now + CLAIM, now + self.state.idempotency_key_ttl);
        let mut conn = self.state.store.acquire().await?;
        match idempotency::claim(&mut conn, held.claim(self), &digest(operation, request), times).await? {
            Claimed::Ours => Ok(Turn::Ours(Claim(Some(held)))),
            Claimed::OtherRequest => Err(ApiError::IdempotencyKeyReused),
            Claimed::InUse => Err(ApiError::IdempotencyKeyInUse),
            Claimed::Answered(Answer { status, body, secret }) => {
                let secret = match secret {
                    None => None,
                    Some(token) => {
                        let account = self.caller.account_id;
                        kept_secret::tell(&mut conn, &self.state.vault, account, token, now).await?
                    }
                };
                Ok(Turn::Answered(Kept { status, body, secret }))
            }
        }
    }
}

impl Claim {
    /// The claim as the store takes it, for who writes the answer elsewhere; `None` without a key.
    pub(super) fn held(&self, call: &Call) -> Option<idempotency::Claim<'_>> {
        self.0.as_ref().map(|held| held.claim(call))
    }

    /// Whether the answer will be asked for again.
    pub(super) fn has_key(&self) -> bool {
        self.0.is_some()
    }

    /// Writes the answer in the transaction that does the work. `Err` if the claim ran out meanwhile: the work must not
    /// be committed then, because somebody else is at it.
    pub(super) async fn answer(&self, call: &Call, conn: &mut PgConnection, answer: Answer) -> Result<(), ApiError> {
        let Some(held) = &self.0 else { return Ok(()) };
        let ours = idempotency::answer(conn, held.claim(call), &answer).await?;
        if ours { Ok(()) } else { Err(ApiError::IdempotencyKeyInUse) }
    }

    /// Lets the key go after a failure. Where that fails too, the claim runs out by itself.
    pub(super) async fn release(self, call: &Call) {
        let Some(held) = self.0 else { return };
        let released = async {
            let mut conn = call.state.store.acquire().await?;
            idempotency::release(&mut conn, held.claim(call)).await
        };
        if let Err(error) = released.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an idempotency key stays claimed for a while");
        }
    }
}

impl Held {
    fn claim(&self, call: &Call) -> idempotency::Claim<'_> {
        let node = (call.state.node)();
        idempotency::Claim { account: call.caller.account_id, key: &self.key, id: self.id, node }
    }
}

/// SHA-256 of an operation and its parameters, whatever order their keys stand in.
fn digest(operation: &str, request: &Value) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(operation);
    feed(&mut hash, request);
    hash.finalize().into()
}

fn feed(hash: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| key.as_str());
            hash.update("{");
            for (key, value) in fields {
                hash.update(Value::from(key.as_str()).to_string());
                feed(hash, value);
            }
            hash.update("}");
        }
        Value::Array(values) => {
            hash.update("[");
            for value in values {
                feed(hash, value);
                hash.update(",");
            }
            hash.update("]");
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => hash.update(value.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_is_asked_for_decides_whether_two_requests_are_the_same() {
        let request = json!({"name": "shop", "metadata": {"a": [1, 2], "b": null}});
        let same: Value = serde_json::from_str(r#"{"metadata":{"b":null,"a":[1,2]},"name":"shop"}"#).unwrap();
        assert_eq!(digest("create", &request), digest("create", &same));
        for other in [
            json!({"name": "shop", "metadata": {"a": [12], "b": null}}),
            json!({"name": "shop", "metadata": {"a": [1, 2]}, "b": null}),
            json!({"name": "shop", "metadata": {"a": ["1", "2"], "b": null}}),
        ] {
            assert_ne!(digest("create", &request), digest("create", &other), "{other}");
        }
        assert_ne!(digest("create", &request), digest("send", &request));
    }
}
