//! Carrying a request to the node that owns its instance, once.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use std::{fmt, io};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};
use tokio::runtime::Handle;
use tokio::task::JoinError;
use tokio::time::error::Elapsed;
use tokio_util::task::AbortOnDropHandle;
use url::Position;

use super::passport::{FORWARDED, NodeSecret, Origin, Subject};

/// Headers that belong to one connection (RFC 9110, 7.6.1) or one exchange on it, and never travel on.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::EXPECT,
    header::HOST,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
];

/// Bytes of an answer that is brought as a whole; a longer one, a file, is passed on as it comes.
const WHOLE: u64 = 1024 * 1024;

/// Sends requests to other nodes over kept connections; cheap to clone.
#[derive(Debug, Clone)]
pub struct Forwarder {
    client: reqwest::Client,
    secret: Arc<NodeSecret>,
    /// Where connections live. On an HTTP worker's own they would end with that worker, under requests of others.
    runtime: Handle,
    /// How long an owner may take to answer.
    timeout: Duration,
}

/// Writes a body again: its length and its bytes.
pub type Rewrite = Arc<dyn Fn() -> (u64, BoxStream<'static, io::Result<Bytes>>) + Send + Sync>;

/// The body of a request to carry.
#[derive(Clone)]
pub enum CarriedBody {
    /// All of it.
    Whole(Bytes),
    /// It is too long for that. No passport is good for it: the owner treats such a request as a client's, which it then
    /// does not carry on.
    Streamed(Rewrite),
}

impl fmt::Debug for CarriedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Streamed(_) => "Streamed",
        })
    }
}

/// A request to carry.
#[derive(Debug, Clone)]
pub struct Carried {
    /// Its method.
    pub method: Method,
    /// As it stands in the request line.
    pub path_and_query: String,
    /// All of its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: CarriedBody,
    /// Whom it is from.
    pub client: IpAddr,
}

/// What the owner answered.
#[derive(Debug)]
pub struct Forwarded {
    /// Its status.
    pub status: StatusCode,
    /// Its headers, without those of the connection.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Body,
}

/// The body of an answer.
pub enum Body {
    /// All of it.
    Whole(Bytes),
    /// One that goes on, or is long, as it comes.
    Stream(BoxStream<'static, Result<Bytes, reqwest::Error>>),
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Whole(_) => "Whole",
            Self::Stream(_) => "Stream",
        })
    }
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
    /// It took too long.
    #[error("the owner of the instance did not answer in time")]
    TimedOut(#[source] Elapsed),
    /// This process is ending.
    #[error("the request to the owner of the instance was given up")]
    GivenUp(#[source] JoinError),
    /// The client could not be built.
    #[error("the client for other nodes could not be built")]
    Build(#[source] reqwest::Error),
}

impl Forwarder {
    /// A forwarder that gives an owner `timeout` to answer; it must exceed the longest `wait` a request may ask for. Its
    /// connections live on the current runtime, which must be the main one.
    pub fn new(timeout: Duration, secret: NodeSecret) -> Result<Self, ForwardError> {
        let client = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(3))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .build()
            .map_err(ForwardError::Build)?;
        Ok(Self { client, secret: Arc::new(secret), runtime: Handle::current(), timeout })
    }

    /// A body takes its time besides: a line of 1 MiB a second between nodes is slow.
    fn patience(&self, length: u64) -> Duration {
        self.timeout + Duration::from_secs(length / (1024 * 1024))
    }

    /// Where a request that came here is from, by the passport it shows.
    pub fn origin(&self, passport: &str, subject: Subject<'_>, now: DateTime<Utc>) -> Origin {
        self.secret.examine(passport, subject, now)
    }

    /// Carries a request to `owner_addr` (`host:port`) and brings the answer back.
    pub async fn send(
        &self,
        carried: Carried,
        owner_addr: &str,
        now: DateTime<Utc>,
    ) -> Result<Forwarded, ForwardError> {
        let Carried { method, path_and_query, mut headers, body, client } = carried;
        strip(&mut headers);
        let unreachable = |error: reqwest::Error| ForwardError::Unreachable(error.without_url());
        let request = self.client.request(method, format!("http://{owner_addr}{path_and_query}")).headers(headers);
        let (request, signed, timeout) = match body {
            CarriedBody::Whole(body) => (request.body(body.clone()), body, self.timeout),
            CarriedBody::Streamed(rewrite) => {
                let (length, chunks) = rewrite();
                let request = request.header(header::CONTENT_LENGTH, length);
                (request.body(reqwest::Body::wrap_stream(chunks)), Bytes::new(), self.patience(length))
            }
        };
        let mut request = request.build().map_err(unreachable)?;
        let passport = {
            // The request line as the owner will read it, which is not always as the client wrote it.
            let subject = Subject {
                method: request.method().as_str(),
                path_and_query: &request.url()[Position::BeforePath..Position::AfterQuery],
                body: &signed,
            };
            self.secret.issue(subject, client, now)
        };
        request.headers_mut().insert(FORWARDED, passport);
        let client = self.client.clone();
        let exchange = async move {
            // A stream has no end to wait for, so only its head has a time.
            let answer = tokio::time::timeout(timeout, client.execute(request)).await;
            let answer = answer.map_err(ForwardError::TimedOut)?.map_err(unreachable)?;
            let status = answer.status();
            if status == StatusCode::MISDIRECTED_REQUEST {
                return Err(ForwardError::Misdirected);
            }
            let length = answer.content_length();
            let mut headers = answer.headers().clone();
            strip(&mut headers);
            let goes_on = headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind == "text/event-stream");
            if goes_on || length.is_none_or(|length| length > WHOLE) {
                return Ok(Forwarded { status, headers, body: Body::Stream(answer.bytes_stream().boxed()) });
            }
            let body = tokio::time::timeout(timeout, answer.bytes()).await;
            let body = Body::Whole(body.map_err(ForwardError::TimedOut)?.map_err(unreachable)?);
            Ok(Forwarded { status, headers, body })
        };
        // If the client leaves, so does its request.
        AbortOnDropHandle::new(self.runtime.spawn(exchange)).await.map_err(ForwardError::GivenUp)?
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
    use http::HeaderValue;

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
