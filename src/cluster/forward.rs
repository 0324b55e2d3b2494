//! Carrying a request to the node that owns its instance, once.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};

/// Marks a request that was carried already: the node that gets it answers itself, or 421.
pub const FORWARDED: HeaderName = HeaderName::from_static("x-wagate-forwarded");

/// Headers that belong to one connection (RFC 9110, 7.6.1) and never travel on.
const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];

/// Sends requests to other nodes over kept connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Forwarder {
    client: reqwest::Client,
}

/// What the owner answered.
#[derive(Debug)]
pub struct Forwarded {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of the connection.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Why the owner's answer is missing.
#[derive(Debug, thiserror::Error)]
pub enum ForwardError {
    /// It answered 421: it is not the owner (any more). Look the owner up again.
    #[error("the node asked is not the owner of the instance")]
    Misdirected,
    /// It could not be reached, or broke off.
    #[error("the owner of the instance could not be reached")]
    Unreachable(#[source] reqwest::Error),
    /// The client could not be built.
    #[error("the client for other nodes could not be built")]
    Build(#[source] reqwest::Error),
}

impl Forwarder {
    /// A forwarder that gives an owner `timeout` to answer; it must exceed the longest `wait` a request may ask for.
    pub fn new(timeout: Duration) -> Result<Self, ForwardError> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .timeout(timeout)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(ForwardError::Build)?;
        Ok(Self { client })
    }

    /// Carries a request to `owner_addr` (`host:port`) and brings the answer back.
    pub async fn send(
        &self,
        method: Method,
        path_and_query: &str,
        mut headers: HeaderMap,
        body: Bytes,
        owner_addr: &str,
    ) -> Result<Forwarded, ForwardError> {
        strip(&mut headers);
        headers.insert(FORWARDED, HeaderValue::from_static("1"));
        let answer = self
            .client
            .request(method, format!("http://{owner_addr}{path_and_query}"))
            .headers(headers)
            .body(body)
            .send()
            .await
            .map_err(|error| ForwardError::Unreachable(error.without_url()))?;
        let status = answer.status();
        if status == StatusCode::MISDIRECTED_REQUEST {
            return Err(ForwardError::Misdirected);
        }
        let mut headers = answer.headers().clone();
        strip(&mut headers);
        let body = answer.bytes().await.map_err(|error| ForwardError::Unreachable(error.without_url()))?;
        Ok(Forwarded { status, headers, body })
    }
}

/// Takes out what belongs to one connection, and whatever `Connection` names besides.
fn strip(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_do_not_travel_and_the_others_do() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("host", "a"),
            ("transfer-encoding", "chunked"),
            ("x-api-key", "k"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        strip(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x-api-key"]);
    }
}
