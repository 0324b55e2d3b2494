//! What a client is told of an error: the one document that every rendering is made from.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde::{Serialize, Serializer};
use serde_json::Value;
use utoipa::ToSchema;

use crate::api::openapi::ErrorCode;
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::Failure;
use crate::domain::session::Status;

use super::{ApiError, ParameterProblem};

/// The body of an error, as it stands in JSON.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Error)]
pub struct ErrorBody<'a> {
    /// The HTTP status.
    status: u16,
    /// The HTTP status in words.
    #[schema(value_type = String)]
    error: &'static str,
    /// What went wrong, in a word that never changes.
    #[schema(value_type = ErrorCode)]
    code: &'static str,
    /// What went wrong, in words for people.
    message: String,
    /// Names this request, as `X-Request-Id` does.
    #[schema(value_type = String)]
    request_id: &'a str,
    /// The parameters that are missing or wrong, all of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<ParameterProblem>, required = false)]
    parameters: Option<&'a [ParameterProblem]>,
    /// The instance whose session stands elsewhere than the request needs it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = InstanceId, required = false)]
    instance_id: Option<InstanceId>,
    /// Where that session stands.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Status, required = false)]
    session_status: Option<Status>,
    /// Where it would have to stand.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Vec<Status>, required = false)]
    expected: Option<&'static [Status]>,
    /// Whether time mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = bool, required = false)]
    recovering: Option<bool>,
    /// The message that was not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = MessageId, required = false)]
    message_id: Option<&'a MessageId>,
    /// Why it was not sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Failure, required = false)]
    reason: Option<Failure>,
    /// Seconds after which the same request may succeed, as `Retry-After` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = u64, required = false)]
    retry_after: Option<u64>,
}

impl<'a> ErrorBody<'a> {
    /// What a client is told of `error`.
    pub fn new(error: &'a ApiError, request_id: &'a str) -> Self {
        let mismatch = match error {
            ApiError::SessionStatus(mismatch) => Some(mismatch),
            _ => None,
        };
        let parameters = match error {
            ApiError::Parameters(problems) => Some(problems.as_slice()),
            _ => None,
        };
        let failed = match error {
            ApiError::MessageFailed { message_id, failure } => Some((message_id, *failure)),
            _ => None,
        };
        let status = error.status();
        debug_assert!(ErrorCode::fits(error.code(), status.as_u16()), "{} is not documented", error.code());
        Self {
            status: status.as_u16(),
            error: status.canonical_reason().unwrap_or_default(),
            code: error.code(),
            message: error.to_string(),
            request_id,
            parameters,
            instance_id: mismatch.map(|mismatch| mismatch.instance_id),
            session_status: mismatch.map(|mismatch| mismatch.status),
            expected: mismatch.map(|mismatch| mismatch.expected),
            recovering: mismatch.map(|mismatch| mismatch.recovering),
            message_id: failed.map(|(message_id, _)| message_id),
            reason: failed.map(|(_, failure)| failure),
            retry_after: error.retry_after(),
        }
    }

    /// As JSON.
    pub(super) fn json(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("an error has no keys but text")
    }

    /// Its members by name: a rendering that goes through these leaves none out.
    pub(super) fn members(&self) -> Members {
        serde_json::from_slice(&self.json()).expect("an error is a JSON object")
    }
}

/// The members of a JSON object in their order, which [`serde_json::Map`] does not keep.
#[derive(Debug)]
pub(super) struct Members(pub(super) Vec<(String, Value)>);

impl Members {
    /// Takes a member out, as text.
    pub(super) fn take(&mut self, name: &str) -> String {
        let position = self.0.iter().position(|(other, _)| other == name);
        position.map(|position| flat(&self.0.remove(position).1)).unwrap_or_default()
    }
}

/// A value on one line: lists by commas.
pub(super) fn flat(value: &Value) -> String {
    let joined = |values: &mut dyn Iterator<Item = &Value>, separator: &str| {
        values.map(flat).collect::<Vec<_>>().join(separator)
    };
    match value {
        Value::String(text) => text.clone(),
        Value::Array(values) => joined(&mut values.iter(), ", "),
        Value::Object(members) => joined(&mut members.values(), " "),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

impl Serialize for Members {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}
