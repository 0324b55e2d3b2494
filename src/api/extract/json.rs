//! JSON, read strictly: an object whose keys are unique at every level, nested at most [`MAX_DEPTH`] deep.
//!
//! A key that stands twice means one thing to one reader and another to the next; `serde_json` itself takes the last.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::api::error::ApiError;

/// Objects and arrays within each other, the outermost counted.
const MAX_DEPTH: u32 = 32;

/// What is refused although `serde_json` would read it: words for the client.
const DUPLICATE: &str = "a key stands twice in one object";
const TOO_DEEP: &str = "it is nested more than 32 deep";
/// PostgreSQL holds no such text, and no client means one.
const NUL: &str = "a text in it holds the character NUL";

const SURROGATE: &str = "an escape in it is half of a surrogate pair";
const CONTROL: &str = "a control character in a text stands unescaped";
const TOO_LARGE: &str = "a number in it is too large";
/// How `serde_json`'s own messages begin, and what the client is told for them.
const TOLD: [(&str, &str); 7] = [
    (DUPLICATE, DUPLICATE),
    (TOO_DEEP, TOO_DEEP),
    (NUL, NUL),
    ("lone leading surrogate", SURROGATE),
    ("unexpected end of hex escape", SURROGATE),
    ("control character", CONTROL),
    ("number out of range", TOO_LARGE),
];

/// Reads `body` as one object.
pub(super) fn object(body: &[u8]) -> Result<Map<String, Value>, ApiError> {
    match value(body).map_err(ApiError::MalformedBody)? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(ApiError::MalformedBody("it is not a JSON object"))
        }
    }
}

/// Reads `text` as one value; on failure, words for the client.
pub(super) fn value(text: &[u8]) -> Result<Value, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not UTF-8")?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = Strict { depth: 0 }.deserialize(&mut deserializer);
    value.and_then(|value| deserializer.end().map(|()| value)).map_err(|error| {
        let message = error.to_string();
        // serde_json appends the place, and says nothing of the content.
        let known = TOLD.iter().find(|(beginning, _)| message.starts_with(beginning));
        known.map_or("it is not valid JSON", |(_, told)| told)
    })
}

/// Reads one value at a depth.
#[derive(Clone, Copy)]
struct Strict {
    depth: u32,
}

impl Strict {
    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH { Err(E::custom(TOO_DEEP)) } else { Ok(Self { depth: self.depth + 1 }) }
    }
}

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or(Value::Null, Value::Number))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Value, E> {
        text(value.to_owned()).map(Value::String)
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut fields = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            let key = text(key)?;
            let value = map.next_value_seed(inner)?;
            if fields.insert(key, value).is_some() {
                return Err(A::Error::custom(DUPLICATE));
            }
        }
        Ok(Value::Object(fields))
    }
}

fn text<E: Error>(text: String) -> Result<String, E> {
    if text.contains('\0') { Err(E::custom(NUL)) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        format!("{}1{}", "[".repeat(depth), "]".repeat(depth)).into_bytes()
    }

    #[test]
    fn nesting_of_thirty_two_is_read_and_one_more_is_not() {
        assert!(value(&nested(32)).is_ok());
        assert_eq!(value(&nested(33)), Err(TOO_DEEP));
        assert_eq!(value(&nested(10_000)), Err(TOO_DEEP), "and never overflows the stack");
        let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth)).into_bytes();
        assert!(object(&objects(32)).is_ok());
        assert!(object(&objects(33)).is_err());
    }

    #[test]
    fn a_key_twice_in_one_object_is_refused_and_in_two_objects_is_not() {
        assert_eq!(value(br#"{"a":1,"a":1}"#), Err(DUPLICATE));
        assert_eq!(value(br#"{"x":[{"a":1,"\u0061":2}]}"#), Err(DUPLICATE), "also when escaped");
        assert!(value(br#"{"a":{"a":1},"b":{"a":1}}"#).is_ok());
    }

    #[test]
    fn what_is_not_one_json_object_is_refused() {
        for text in ["", "{", "{}x", "{}{}", "nul", "{'a':1}", "{\"a\":1,}", "[]", "1", "\"a\"", "null", "\u{feff}{}"] {
            assert!(object(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_no_text_may_hold_is_refused_with_its_reason() {
        for (text, reason) in [
            (&b"{\"a\":\"\xff\"}"[..], "it is not UTF-8"),
            (b"{\"a\":\"\xed\xa0\x80\"}", "it is not UTF-8"),
            (br#"{"a":"\u0000"}"#, NUL),
            (br#"{"\u0000":1}"#, NUL),
            (br#"{"a":{"b":["x\u0000"]}}"#, NUL),
            (b"{\"a\":\"\0\"}", CONTROL),
            (b"{\"a\":\"\n\"}", CONTROL),
            (br#"{"a":"\ud800"}"#, SURROGATE),
            (br#"{"a":"\udc00"}"#, SURROGATE),
            (br#"{"a":"\ud800\u0041"}"#, SURROGATE),
            (br#"{"a":"\ud800\ud800"}"#, SURROGATE),
            (br#"{"\udfff":1}"#, SURROGATE),
            (b"{\"a\":1e400}", TOO_LARGE),
        ] {
            assert_eq!(value(text), Err(reason), "{}", String::from_utf8_lossy(text));
        }
        assert!(value(br#"{"a":"\ud83d\ude00 \u001f"}"#).is_ok());
    }

    proptest! {
        #[test]
        fn where_keys_are_unique_it_reads_what_serde_json_reads(
            keys in proptest::collection::btree_map("[a-z\"\\\\é]{0,4}", (any::<(i64, f64, bool)>(), "[^\0]*"), 0..5)
        ) {
            let text = serde_json::to_vec(&keys).unwrap();
            prop_assert_eq!(value(&text), Ok(serde_json::from_slice::<Value>(&text).unwrap()));
        }
    }
}
