//! Headers that an account adds to its deliveries, such as a credential of the receiver's own.

use serde::{Deserialize, Serialize};

const MAX_NAME: usize = 100;
const MAX_VALUE: usize = 2_000;

/// Names that are the connection's, the body's, or ours.
const RESERVED: [&str; 19] = [
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "via",
    "forwarded",
    "x-hub-signature-256",
];
/// So are all that begin so.
const RESERVED_PREFIXES: [&str; 3] = ["webhook-", "x-webhook-", "x-forwarded-"];

/// A header, its name in lower case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// Its name.
    pub name: String,
    /// Its value; it may be a secret.
    pub value: String,
}

/// Why it may not be added. The value is never repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HeaderError {
    /// Not a header's name.
    #[error("a header's name has 1 to {MAX_NAME} letters, digits, - and _")]
    Name,
    /// Not a value.
    #[error("a header's value has 1 to {MAX_VALUE} visible ASCII characters and spaces within")]
    Value,
    /// It is the connection's, or ours.
    #[error("a header of the connection, of the body or of the signature cannot be set")]
    Reserved,
}

impl Header {
    /// Checks a name and a value.
    pub fn parse(name: &str, value: &str) -> Result<Self, HeaderError> {
        let name = name.to_ascii_lowercase();
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !(1..=MAX_NAME).contains(&name.len()) || !name.bytes().all(is_plain) {
            return Err(HeaderError::Name);
        }
        if RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
            return Err(HeaderError::Reserved);
        }
        let fits = (1..=MAX_VALUE).contains(&value.len())
            && value.trim() == value
            && value.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ');
        if fits { Ok(Self { name, value: value.to_owned() }) } else { Err(HeaderError::Value) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_of_the_receivers_may_be_sent() {
        let header = Header::parse("Authorization", "Bearer abc def").unwrap();
        assert_eq!((header.name.as_str(), header.value.as_str()), ("authorization", "Bearer abc def"));
    }

    #[test]
    fn nothing_that_would_change_the_request_itself_may() {
        for (name, value, error) in [
            ("", "x", HeaderError::Name),
            ("a b", "x", HeaderError::Name),
            ("a:b", "x", HeaderError::Name),
            ("X-Näme", "x", HeaderError::Name),
            ("x-ok", "", HeaderError::Value),
            ("x-ok", "a\r\nHost: evil", HeaderError::Value),
            ("x-ok", " a", HeaderError::Value),
            ("x-ok", "ä", HeaderError::Value),
            ("Host", "evil", HeaderError::Reserved),
            ("Transfer-Encoding", "chunked", HeaderError::Reserved),
            ("Webhook-Signature", "v1,x", HeaderError::Reserved),
            ("X-Webhook-Hmac", "x", HeaderError::Reserved),
            ("X-Forwarded-For", "127.0.0.1", HeaderError::Reserved),
        ] {
            assert_eq!(Header::parse(name, value), Err(error), "{name:?} {value:?}");
        }
    }
}
