//! The passkey that WhatsApp may ask for before it links a device.
//!
//! The relying party is WhatsApp's own web page, so no page of the gateway can make the assertion: a native app or a
//! browser extension takes the options, makes it, and hands it back.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value, json};

/// What WhatsApp waits for.
#[derive(Clone, PartialEq)]
pub enum PasskeyAsk {
    /// An assertion, made with these options.
    Assertion {
        /// WebAuthn's `PublicKeyCredentialRequestOptions`, as WhatsApp gave them.
        options: Value,
    },
    /// A person's word that the phone shows this code too.
    Confirmation {
        /// `ABCD-EFGH`.
        code: String,
    },
}

/// What is asked of a session now.
#[derive(Debug, Clone)]
pub struct PasskeyPrompt {
    /// What WhatsApp waits for.
    pub ask: Arc<PasskeyAsk>,
    /// It was handed in, and WhatsApp or the phone has the word.
    pub answered: bool,
    /// When the attempt is given up.
    pub expires_at: DateTime<Utc>,
}

/// What a client hands in.
#[derive(Debug, Clone)]
pub enum PasskeyAnswer {
    /// The assertion.
    Assertion(PasskeyAssertion),
    /// The codes are the same.
    Confirmed,
}

/// An assertion of the form that WebAuthn's JSON has; whether it is right, WhatsApp says.
#[derive(Clone, PartialEq, Eq)]
pub struct PasskeyAssertion {
    /// Which passkey made it.
    pub credential_id: Vec<u8>,
    /// The parts that WhatsApp takes, as JSON.
    pub json: Vec<u8>,
}

/// Not an assertion; the words follow its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidAssertion {
    /// It is nothing like one.
    #[error("must be the JSON of a WebAuthn assertion: an object with id, rawId, type and response")]
    NotAnObject,
    /// The kind of credential is another.
    #[error("must have the type \"public-key\"")]
    Type,
    /// The two spellings of the credential's id differ.
    #[error("must have the same value in id and rawId")]
    Ids,
    /// A part is missing, empty, or not base64url.
    #[error("must have a {0} in base64url")]
    Part(&'static str),
}

impl PasskeyAsk {
    /// Whether it is this that is waited for.
    pub fn takes(&self, answer: &PasskeyAnswer) -> bool {
        match (self, answer) {
            (Self::Assertion { .. }, PasskeyAnswer::Assertion(_))
            | (Self::Confirmation { .. }, PasskeyAnswer::Confirmed) => true,
            (Self::Assertion { .. }, PasskeyAnswer::Confirmed)
            | (Self::Confirmation { .. }, PasskeyAnswer::Assertion(_)) => false,
        }
    }
}

impl PasskeyAssertion {
    /// Reads what `PublicKeyCredential.toJSON()` gives; parts that WhatsApp does not take are left out.
    pub fn parse(value: &Value) -> Result<Self, InvalidAssertion> {
        let whole = value.as_object().ok_or(InvalidAssertion::NotAnObject)?;
        let response = whole.get("response").and_then(Value::as_object).ok_or(InvalidAssertion::NotAnObject)?;
        if whole.get("type").and_then(Value::as_str) != Some("public-key") {
            return Err(InvalidAssertion::Type);
        }
        let credential_id = part(whole, "rawId", "rawId")?;
        if part(whole, "id", "id")? != credential_id {
            return Err(InvalidAssertion::Ids);
        }
        let user_handle = match response.get("userHandle") {
            None | Some(Value::Null) => None,
            Some(_) => Some(encode(&part(response, "userHandle", "response.userHandle")?)),
        };
        let id = encode(&credential_id);
        let json = json!({
            "id": id,
            "rawId": id,
            "type": "public-key",
            "response": {
                "clientDataJSON": encode(&part(response, "clientDataJSON", "response.clientDataJSON")?),
                "authenticatorData": encode(&part(response, "authenticatorData", "response.authenticatorData")?),
                "signature": encode(&part(response, "signature", "response.signature")?),
                "userHandle": user_handle,
            }
        });
        Ok(Self { credential_id, json: json.to_string().into_bytes() })
    }
}

fn part(object: &Map<String, Value>, key: &str, name: &'static str) -> Result<Vec<u8>, InvalidAssertion> {
    let text = object.get(key).and_then(Value::as_str).ok_or(InvalidAssertion::Part(name))?;
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim_end_matches('='));
    bytes.ok().filter(|bytes| !bytes.is_empty()).ok_or(InvalidAssertion::Part(name))
}

fn encode(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

impl fmt::Debug for PasskeyAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Assertion { .. } => "Assertion([redacted])",
            Self::Confirmation { .. } => "Confirmation([redacted])",
        })
    }
}

impl fmt::Debug for PasskeyAssertion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasskeyAssertion([redacted])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assertion() -> Value {
        json!({
            "id": "AQID", "rawId": "AQID", "type": "public-key", "authenticatorAttachment": "platform",
            "clientExtensionResults": {},
            "response": { "clientDataJSON": "e30", "authenticatorData": "AA==", "signature": "_-8", "userHandle": null }
        })
    }

    fn without(path: &str) -> Value {
        let mut value = assertion();
        match path.split_once('.') {
            Some((outer, inner)) => value[outer].as_object_mut().unwrap().remove(inner),
            None => value.as_object_mut().unwrap().remove(path),
        };
        value
    }

    #[test]
    fn what_a_browser_gives_is_read_and_what_whatsapp_does_not_take_is_left_out() {
        let read = PasskeyAssertion::parse(&assertion()).unwrap();
        assert_eq!(read.credential_id, [1, 2, 3]);
        let json: Value = serde_json::from_slice(&read.json).unwrap();
        let response =
            json!({ "clientDataJSON": "e30", "authenticatorData": "AA", "signature": "_-8", "userHandle": null });
        assert_eq!(json, json!({ "id": "AQID", "rawId": "AQID", "type": "public-key", "response": response }));
        assert_eq!(format!("{read:?}"), "PasskeyAssertion([redacted])");
    }

    #[test]
    fn a_missing_or_wrong_part_is_named() {
        use InvalidAssertion::{Ids, NotAnObject, Part, Type};
        for (path, wrong) in [
            ("id", Part("id")),
            ("rawId", Part("rawId")),
            ("type", Type),
            ("response", NotAnObject),
            ("response.clientDataJSON", Part("response.clientDataJSON")),
            ("response.authenticatorData", Part("response.authenticatorData")),
            ("response.signature", Part("response.signature")),
        ] {
            assert_eq!(PasskeyAssertion::parse(&without(path)), Err(wrong), "{path}");
        }
        let with = |key: &str, value: Value| {
            let mut whole = assertion();
            whole[key] = value;
            PasskeyAssertion::parse(&whole)
        };
        assert_eq!(with("id", json!("AQIE")), Err(Ids));
        assert_eq!(with("rawId", json!("A+/=")), Err(Part("rawId")), "not base64url");
        assert_eq!(with("type", json!("password")), Err(Type));
        assert_eq!(PasskeyAssertion::parse(&json!("text")), Err(NotAnObject));
        assert!(PasskeyAssertion::parse(&without("response.userHandle")).is_ok());
    }
}
