//! HTTP for the client: its version look-up, and the files of messages.
//!
//! A sandbox build reaches the media server of its sandbox and nothing else. The library and the messages name that
//! server with `https://`, as they do WhatsApp's, so addresses are rewritten here: those at the sandbox's own port of this
//! host go there without TLS, any other is refused.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, ORIGIN};
use sha2::{Digest, Sha256};
use url::Url;
use wacore::net::{HttpClient, HttpRequest, HttpResponse, WHATSAPP_WEB_ORIGIN};

use crate::media::spool::{Arriving, SpoolError, Spooled};

use super::files::patience;

/// Answers to uploads are short.
const ANSWER_LIMIT: usize = 64 * 1024;

/// HTTP for the client.
#[derive(Debug, Clone)]
pub(super) struct Http {
    pub(super) client: Option<reqwest::Client>,
    /// How long nothing may come.
    pub(super) stall: Duration,
    /// Where the sandbox listens on this host.
    #[cfg(feature = "sandbox")]
    pub(super) port: Option<u16>,
}

/// A file was not carried.
#[derive(Debug, thiserror::Error)]
pub(super) enum TransferError {
    /// The server refused.
    #[error("a media host answered with status {0}")]
    Status(u16),
    /// The exchange broke, or never began. The address is not told: it holds tokens.
    #[error("a media host could not be reached: {0}")]
    Unreachable(String),
    /// The file could not be kept.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

impl Http {
    /// No way to HTTP at all.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self {
            client: None,
            stall: Duration::ZERO,
            #[cfg(feature = "sandbox")]
            port: None,
        }
    }

    /// Where a request may go.
    fn way_to(&self, url: &str) -> Option<(&reqwest::Client, Url)> {
        let client = self.client.as_ref()?;
        let url = Url::parse(url).ok()?;
        #[cfg(feature = "sandbox")]
        let url = self.within_this_host(url)?;
        Some((client, url))
    }

    #[cfg(feature = "sandbox")]
    fn within_this_host(&self, mut url: Url) -> Option<Url> {
        let on_this_host = match url.host()? {
            url::Host::Ipv4(address) => address.is_loopback(),
            url::Host::Ipv6(address) => address.is_loopback(),
            url::Host::Domain(name) => name == "localhost",
        };
        let port = url.port_or_known_default();
        if url.scheme() != "https" || !on_this_host || port.is_none() || port != self.port {
            return None;
        }
        url.set_scheme("http").ok()?;
        url.set_port(port).ok()?;
        Some(url)
    }

    /// The body of a page, as text.
    pub(super) async fn text(&self, url: &str) -> Option<String> {
        // WhatsApp gives the page to browsers only.
        const AGENT: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) \
                             Chrome/131.0.0.0 Safari/537.36";
        let (client, url) = self.way_to(url)?;
        let request = client.get(url).header("sec-fetch-site", "none").header("user-agent", AGENT);
        request.send().await.ok()?.error_for_status().ok()?.text().await.ok()
    }

    /// Fetches a file; its SHA-256.
    pub(super) async fn download(&self, url: &str, into: &mut Arriving) -> Result<[u8; 32], TransferError> {
        let (client, url) = self.way_to(url).ok_or_else(no_way)?;
        let request = client.get(url).header(ORIGIN, WHATSAPP_WEB_ORIGIN).timeout(patience(into.max()));
        let mut answer = self.in_time(request.send()).await?;
        if !answer.status().is_success() {
            return Err(TransferError::Status(answer.status().as_u16()));
        }
        let mut hash = Sha256::new();
        while let Some(chunk) = self.in_time(answer.chunk()).await? {
            hash.update(&chunk);
            into.write(&chunk).await?;
        }
        Ok(hash.finalize().into())
    }

    /// Sends a file; the answer's body.
    pub(super) async fn upload(&self, url: &str, file: &Spooled) -> Result<Bytes, TransferError> {
        let (client, url) = self.way_to(url).ok_or_else(no_way)?;
        let request = client
            .post(url)
            .header(ORIGIN, WHATSAPP_WEB_ORIGIN)
            .header(CONTENT_TYPE, "application/octet-stream")
            // WhatsApp's media servers take no body of unknown length.
            .header(CONTENT_LENGTH, file.length())
            .timeout(patience(file.length()))
            .body(reqwest::Body::wrap_stream(file.chunks()));
        let mut answer = request.send().await.map_err(unreachable)?;
        if !answer.status().is_success() {
            return Err(TransferError::Status(answer.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = self.in_time(answer.chunk()).await? {
            if body.len() + chunk.len() > ANSWER_LIMIT {
                return Err(TransferError::Unreachable("its answer is too long".to_owned()));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    async fn in_time<T>(&self, step: impl Future<Output = Result<T, reqwest::Error>>) -> Result<T, TransferError> {
        match tokio::time::timeout(self.stall, step).await {
            Ok(outcome) => outcome.map_err(unreachable),
            Err(_) => Err(TransferError::Unreachable("nothing came in time".to_owned())),
        }
    }
}

fn no_way() -> TransferError {
    TransferError::Unreachable("this build has no way to it".to_owned())
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
fn unreachable(error: reqwest::Error) -> TransferError {
    let what = if error.is_connect() {
        "no connection"
    } else if error.is_timeout() {
        "no answer in time"
    } else {
        "the exchange broke off"
    };
    TransferError::Unreachable(what.to_owned())
}

#[async_trait]
impl HttpClient for Http {
    async fn execute(&self, request: HttpRequest) -> anyhow::Result<HttpResponse> {
        let (client, url) = self.way_to(&request.url).ok_or_else(|| anyhow::anyhow!("this build has no way to it"))?;
        let method = reqwest::Method::from_bytes(request.method.as_bytes())?;
        let mut builder = client.request(method, url);
        for (name, value) in &request.headers {
            builder = builder.header(name, value);
        }
        if let Some(body) = request.body {
            builder = builder.body(body);
        }
        // `without_url`: addresses of media hold tokens.
        let response = builder.send().await.map_err(reqwest::Error::without_url)?;
        let status_code = response.status().as_u16();
        let body = response.bytes().await.map_err(reqwest::Error::without_url)?.to_vec();
        Ok(HttpResponse { status_code, body })
    }
}

#[cfg(all(test, feature = "sandbox"))]
mod tests {
    use super::*;
    use crate::engine::whatsapp::Network;

    fn http() -> Http {
        Network::Sandbox(Url::parse("ws://127.0.0.1:8090/ws/chat").expect("it is a URL")).http(Duration::from_secs(1))
    }

    #[test]
    fn a_sandbox_build_finds_the_media_server_of_its_sandbox_and_nothing_else() {
        let http = http();
        for (url, way) in [
            ("https://127.0.0.1:8090/mms/image/a?token=b", Some("http://127.0.0.1:8090/mms/image/a?token=b")),
            ("https://localhost:8090/mms/image/a", Some("http://localhost:8090/mms/image/a")),
            ("https://[::1]:8090/", Some("http://[::1]:8090/")),
            ("https://127.0.0.1:8091/mms/image/a", None),
            ("https://127.0.0.1/mms/image/a", None),
            ("https://mmg.whatsapp.net/mms/image/a", None),
            ("https://127.0.0.1:8090@mmg.whatsapp.net/a", None),
            ("https://mmg.whatsapp.net:8090/a", None),
            ("ftp://127.0.0.1:8090/a", None),
            ("https://169.254.169.254:8090/", None),
        ] {
            let found = http.way_to(url).map(|(_, url)| url.to_string());
            assert_eq!(found.as_deref(), way, "{url}");
        }
    }

    #[tokio::test]
    async fn a_sandbox_build_has_no_way_to_whatsapp() {
        let http = http();
        let asked = HttpRequest::get("https://web.whatsapp.com/sw.js");
        assert!(http.execute(asked).await.is_err_and(|error| error.to_string() == "this build has no way to it"));
        assert_eq!(http.text("https://web.whatsapp.com/sw.js").await, None);
    }
}
