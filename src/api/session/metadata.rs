//! What an owner may note on an instance: a small JSON object.

use serde_json::{Map, Value};

/// Bytes of its JSON.
const MAX_BYTES: usize = 16 * 1024;
/// Keys on all levels together.
const MAX_KEYS: usize = 100;
/// Objects and arrays within each other, the outermost counted.
const MAX_DEPTH: usize = 8;

/// Why these notes are refused, in words that follow "metadata".
pub(super) fn problem(metadata: &Map<String, Value>) -> Option<&'static str> {
    let mut seen = Seen::default();
    seen.object(metadata, 1);
    if seen.too_deep {
        Some("must not be nested more than 8 deep")
    } else if seen.keys > MAX_KEYS {
        Some("must not have more than 100 keys")
    } else if seen.has_nul {
        Some("must not hold the character U+0000")
    } else if serde_json::to_vec(metadata).map_or(usize::MAX, |json| json.len()) > MAX_BYTES {
        Some("must not be larger than 16 KiB as JSON")
    } else {
        None
    }
}

#[derive(Default)]
struct Seen {
    keys: usize,
    too_deep: bool,
    /// PostgreSQL's JSON has no such character.
    has_nul: bool,
}

impl Seen {
    fn object(&mut self, fields: &Map<String, Value>, depth: usize) {
        self.too_deep |= depth > MAX_DEPTH;
        self.keys += fields.len();
        for (key, value) in fields {
            self.text(key);
            self.value(value, depth + 1);
        }
    }

    fn value(&mut self, value: &Value, depth: usize) {
        match value {
            Value::Object(fields) => self.object(fields, depth),
            Value::Array(values) => {
                self.too_deep |= depth > MAX_DEPTH;
                for value in values {
                    self.value(value, depth + 1);
                }
            }
            Value::String(text) => self.text(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn text(&mut self, text: &str) {
        self.has_nul |= text.contains('\0');
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn nested(depth: usize) -> Value {
        (1..depth).fold(json!({}), |inside, _| json!({ "a": inside }))
    }

    fn keys(count: usize) -> Value {
        (0..count).map(|number| (format!("k{number}"), json!(number))).collect::<Map<_, _>>().into()
    }

    #[test]
    fn each_limit_is_told_by_name_and_holds_exactly() {
        for fits in [json!({}), nested(8), keys(100), json!({"a": "x".repeat(16 * 1024 - 8)})] {
            assert_eq!(problem(fits.as_object().unwrap()), None);
        }
        for (too_much, word) in [
            (nested(9), "deep"),
            (json!({"a": [[[[[[[[1]]]]]]]]}), "deep"),
            (keys(101), "100 keys"),
            (json!({"a": "x".repeat(16 * 1024 - 7)}), "16 KiB"),
            (json!({"a": ["\0"]}), "U+0000"),
            (json!({"a\0": 1}), "U+0000"),
        ] {
            let told = problem(too_much.as_object().unwrap()).unwrap();
            assert!(told.contains(word), "{told}");
        }
    }
}
