//! Web origins (RFC 6454): the places an account's own pages are served from.

use std::fmt;

use url::{Host, Url};

/// `https://app.example.com`, as a browser writes it in `Origin`: scheme, host, and the port unless it is the scheme's.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Origin(String);

/// The text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("an origin is http:// or https://, a host, and a port where it is not the usual one; nothing follows it")]
pub struct OriginError;

impl Origin {
    /// Reads an origin in the one spelling that browsers send, so that comparing is comparing text.
    pub fn parse(text: &str) -> Result<Self, OriginError> {
        let url = Url::parse(text).map_err(|_| OriginError)?;
        let origin = Self::of(&url).ok_or(OriginError)?;
        if origin.0 == text { Ok(origin) } else { Err(OriginError) }
    }

    /// The origin of a web address; `None` if it has another scheme than http and https.
    pub fn of(url: &Url) -> Option<Self> {
        matches!(url.scheme(), "http" | "https").then(|| Self(url.origin().ascii_serialization()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whether an address leads to the machine it is used on, by its name alone.
pub fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_spelling_of_browsers_is_an_origin() {
        for text in
            ["https://app.example.com", "http://localhost:3000", "https://[2001:db8::1]:8443", "http://10.0.0.1"]
        {
            assert_eq!(Origin::parse(text).map(|origin| origin.to_string()).as_deref(), Ok(text));
        }
        for text in [
            "",
            "*",
            "null",
            "app.example.com",
            "https://app.example.com/",
            "https://app.example.com:443",
            "https://App.example.com",
            "https://user@app.example.com",
            "https://app.example.com?x",
            "https://app.example.com\r\nx: y",
            "ftp://app.example.com",
            "javascript:alert(1)",
            "https://",
        ] {
            assert!(Origin::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_of_this_machine_is_told_by_its_host() {
        let at_home = |text: &str| is_loopback(&Url::parse(text).unwrap());
        for text in
            ["http://localhost:8080", "http://127.0.0.1", "http://127.9.9.9/x", "http://[::1]:1", "http://0x7f.1"]
        {
            assert!(at_home(text), "{text}");
        }
        for text in ["http://localhost.example.com", "http://10.0.0.1", "http://0.0.0.0", "http://[::2]", "data:x"] {
            assert!(!at_home(text), "{text}");
        }
    }

    #[test]
    fn an_address_has_the_origin_of_its_scheme_host_and_port() {
        let of = |text: &str| Origin::of(&Url::parse(text).unwrap()).map(|origin| origin.0);
        assert_eq!(of("https://App.example.com:443/done?x=1#y").as_deref(), Some("https://app.example.com"));
        assert_eq!(of("file:///etc/passwd"), None);
    }
}
