//! Parameters from wherever a caller put them: headers, query, body; one value each.
//!
//! Wawp's clients send the same value in several places at once. Equal values are fine; different ones are refused,
//! because any choice between them would surprise somebody.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use actix_web::http::header::{AUTHORIZATION, HeaderMap};
use bytes::Bytes;
use serde_json::Value;

use crate::api::error::ApiError;

use super::body::{self, Fields};

pub(super) const ACCESS_TOKEN: &str = "access_token";
pub(super) const INSTANCE_ID: &str = "instance_id";

/// The parameters of a request. They hold a token, so there is no `Debug`.
#[derive(Default)]
pub struct Parameters {
    /// Hashed: a body of 64 KiB can hold thousands, and each is compared with its namesake.
    fields: HashMap<String, Value>,
    token_outside_headers: bool,
}

impl Parameters {
    /// Reads a request, taken apart.
    pub(crate) async fn of(headers: &HeaderMap, query: &str, body: &Bytes) -> Result<Self, ApiError> {
        Self::with(headers, query, body::fields(headers, body).await?)
    }

    /// Reads a request whose body has not been read.
    pub(super) fn without_body(headers: &HeaderMap, query: &str) -> Result<Self, ApiError> {
        Self::with(headers, query, Fields::None)
    }

    /// Reads a request whose body has these fields.
    pub(super) fn with(headers: &HeaderMap, query: &str, fields: Fields) -> Result<Self, ApiError> {
        let mut parameters = Self::default();
        parameters.take_headers(headers)?;
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            parameters.add_outside_headers(name.into_owned(), Value::String(value.into_owned()))?;
        }
        match fields {
            Fields::None => {}
            Fields::Json(fields) => {
                for (name, value) in fields {
                    parameters.add_outside_headers(name, value)?;
                }
            }
            Fields::Form(pairs) => {
                for (name, value) in pairs {
                    parameters.add_outside_headers(name, Value::String(value))?;
                }
            }
        }
        Ok(parameters)
    }

    /// Of a query that a page of ours asks.
    pub(super) fn of_query(query: &[(&str, &str)]) -> Result<Self, ApiError> {
        let mut parameters = Self::default();
        for (name, value) in query {
            parameters.add((*name).to_owned(), Value::String((*value).to_owned()))?;
        }
        Ok(parameters)
    }

    /// The value of a parameter; `None` if it was not given, or given empty.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The credential as it was given.
    pub(crate) fn access_token(&self) -> Option<&str> {
        self.get(ACCESS_TOKEN)?.as_str()
    }

    /// Whether the credential stood in the query or the body, where it gets logged and bookmarked.
    pub(in crate::api) fn token_outside_headers(&self) -> bool {
        self.token_outside_headers
    }

    fn take_headers(&mut self, headers: &HeaderMap) -> Result<(), ApiError> {
        for value in headers.get_all(AUTHORIZATION).filter_map(|value| value.to_str().ok()) {
            // Other schemes are some proxy's business.
            if let Some((scheme, token)) = value.split_once(' ')
                && scheme.eq_ignore_ascii_case("bearer")
            {
                self.add(ACCESS_TOKEN.into(), Value::String(token.trim().into()))?;
            }
        }
        for (header, name) in
            [("x-api-key", ACCESS_TOKEN), ("access-token", ACCESS_TOKEN), ("x-instance-id", INSTANCE_ID)]
        {
            for value in headers.get_all(header).filter_map(|value| value.to_str().ok()) {
                self.add(name.into(), Value::String(value.trim().into()))?;
            }
        }
        Ok(())
    }

    fn add_outside_headers(&mut self, name: String, value: Value) -> Result<(), ApiError> {
        self.token_outside_headers |= name == ACCESS_TOKEN;
        self.add(name, value)
    }

    fn add(&mut self, name: String, value: Value) -> Result<(), ApiError> {
        if value.is_null() || value.as_str() == Some("") {
            return Ok(());
        }
        match self.fields.entry(name) {
            Entry::Vacant(place) => {
                place.insert(value);
                Ok(())
            }
            Entry::Occupied(former) if same(former.get(), &value) => Ok(()),
            Entry::Occupied(former) => Err(ApiError::ConflictingParameter { name: told(former.key()) }),
        }
    }
}

/// Whether two values mean the same: `8` in JSON and `8` in a query do.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(text), other) | (other, Value::String(text)) => match other {
            Value::String(other) => text == other,
            Value::Number(number) => number.to_string() == *text,
            Value::Bool(true) => text == "true",
            Value::Bool(false) => text == "false",
            Value::Null | Value::Array(_) | Value::Object(_) => false,
        },
        _ => a == b,
    }
}

/// A parameter's name as it may stand in an answer: a caller may have put anything there, a token too.
fn told(name: &str) -> String {
    let plain = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if plain { name.to_owned() } else { "(unknown)".to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn equal_values_are_one_and_different_ones_conflict() {
        let mut parameters = Parameters::default();
        parameters.add("scale".into(), json!("8")).unwrap();
        parameters.add("scale".into(), json!(8)).unwrap();
        parameters.add("camera".into(), json!(true)).unwrap();
        parameters.add("camera".into(), json!("true")).unwrap();
        parameters.add("name".into(), json!("")).unwrap();
        parameters.add("name".into(), json!(null)).unwrap();
        parameters.add("name".into(), json!("shop")).unwrap();
        assert_eq!(parameters.fields.len(), 3);
        for (name, value) in [("scale", json!(9)), ("camera", json!("1")), ("name", json!({}))] {
            assert!(parameters.add(name.into(), value).is_err(), "{name}");
        }
    }

    #[test]
    fn a_name_that_could_be_a_secret_is_not_repeated() {
        assert_eq!(told("instance_id"), "instance_id");
        assert_eq!(told("wga_9zzSecret"), "(unknown)");
    }
}
