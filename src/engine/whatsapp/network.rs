//! The network a build can reach: WhatsApp itself, or a sandbox, never both.
//!
//! The client checks its peer's certificate chain against a constant root key, and only a feature of the whole build
//! switches that check off. So the default build has only [`Network::Live`] and cannot reach a sandbox; the sandbox
//! build has only `Network::Sandbox` and cannot make a live connection: the word for it does not exist there.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
#[cfg(feature = "sandbox")]
use url::Url;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::transport::TokioWebSocketTransportFactory;

use super::http::Http;
use super::listener::Listener;

/// What the engine talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// WhatsApp.
    #[cfg(not(feature = "sandbox"))]
    Live,
    /// A stand-in on this host, at the address of its WebSocket: `ws://127.0.0.1:8090/ws/chat`.
    #[cfg(feature = "sandbox")]
    Sandbox(Url),
}

impl Network {
    /// Why this network cannot be used, if it cannot.
    #[cfg(not(feature = "sandbox"))]
    #[expect(clippy::unused_self, reason = "the other flavour looks at itself")]
    pub(super) fn refusal(&self) -> Option<&'static str> {
        None
    }

    /// Why this network cannot be used, if it cannot.
    #[cfg(feature = "sandbox")]
    pub(super) fn refusal(&self) -> Option<&'static str> {
        let Self::Sandbox(url) = self;
        let on_this_host = match url.host() {
            Some(url::Host::Ipv4(address)) => address.is_loopback(),
            Some(url::Host::Ipv6(address)) => address.is_loopback(),
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        (url.scheme() != "ws" || !on_this_host)
            .then_some("a sandbox is a WebSocket on this host, as ws://127.0.0.1:8090/ws/chat")
    }

    /// What makes the connections. One is shared by every run: a TLS connector of its own would cost each 20 KB.
    pub(super) fn dialer(&self) -> Arc<TokioWebSocketTransportFactory> {
        Arc::new(match self {
            #[cfg(not(feature = "sandbox"))]
            Self::Live => {
                TokioWebSocketTransportFactory::new().with_connector(whatsapp_rust::transport::default_tls_connector())
            }
            #[cfg(feature = "sandbox")]
            Self::Sandbox(url) => TokioWebSocketTransportFactory::new().with_url(url.as_str()),
        })
    }

    /// The client's way to HTTP, shared by every run. A request that brings nothing for `timeout` is given up.
    pub(super) fn http(&self, timeout: Duration) -> Http {
        // Already installed is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let builder = reqwest::Client::builder().timeout(timeout);
        match self {
            #[cfg(not(feature = "sandbox"))]
            Self::Live => Http { client: builder.https_only(true).build().ok(), stall: timeout },
            #[cfg(feature = "sandbox")]
            Self::Sandbox(url) => {
                let client = builder.no_proxy().redirect(reqwest::redirect::Policy::none()).build().ok();
                Http { client, stall: timeout, port: url.port_or_known_default() }
            }
        }
    }
}

/// Makes a run's connections and tells its listener how that went: the library itself says nothing of a failed one.
pub(super) struct Dialer {
    pub(super) inner: Arc<TokioWebSocketTransportFactory>,
    pub(super) timeout: Duration,
    pub(super) listener: Arc<Listener>,
}

impl fmt::Debug for Dialer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dialer").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

#[async_trait]
impl TransportFactory for Dialer {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, whatsapp_rust::async_channel::Receiver<TransportEvent>)> {
        let result = match tokio::time::timeout(self.timeout, self.inner.create_transport()).await {
            Ok(result) => result,
            Err(_) => Err(anyhow::anyhow!("no connection within {} s", self.timeout.as_secs())),
        };
        match &result {
            Ok(_) => self.listener.transport_is_up(),
            Err(error) => self.listener.transport_failed(format!("{error:#}")),
        }
        result
    }
}

#[cfg(all(test, feature = "sandbox"))]
mod tests {
    use super::*;

    #[test]
    fn a_sandbox_build_reaches_nothing_beyond_this_host() {
        for (url, usable) in [
            ("ws://127.0.0.1:8090/ws/chat", true),
            ("ws://[::1]:8090/ws/chat", true),
            ("ws://localhost:8090/ws/chat", true),
            ("ws://10.0.0.1:8090/ws/chat", false),
            ("ws://web.whatsapp.com/ws/chat", false),
            ("wss://127.0.0.1/ws/chat", false),
            ("ws://127.0.0.1.example.com/ws/chat", false),
        ] {
            let network = Network::Sandbox(Url::parse(url).unwrap());
            assert_eq!(network.refusal().is_none(), usable, "{url}");
        }
    }
}
