//! Where requests to addresses that an account chose may go: to the public internet, and nowhere near this host or its
//! neighbours, unless the operator names a network.
//!
//! The check is made on the address that is dialled, not on the name: [`client`] builds HTTP clients whose resolver
//! gives out vetted addresses only, so a name that resolves anew between check and use gains nothing. Addresses in the
//! URL itself pass by a resolver; [`Guard::vet`] judges them, after the URL parser has brought every spelling
//! (`0177.1`, `2130706433`, `[::ffff:127.0.0.1]`) into one.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::redirect::Policy;
use url::{Host, Url};

use crate::domain::network::Network;

/// IPv4 blocks that are not the public internet (IANA's special-purpose registry, and multicast).
const SPECIAL_V4: &[(Ipv4Addr, u32)] = &[
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 52, 193, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(192, 175, 48, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];

/// Within 2000::/3, the only part of IPv6 that is given out, the blocks that are not public hosts, or that carry an IPv4
/// address inside.
const SPECIAL_V6: &[(Ipv6Addr, u32)] = &[
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x2620, 0x4f, 0x8000, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// What may be dialled.
#[derive(Debug, Clone, Default)]
pub struct Guard {
    allowed: Arc<[Network]>,
}

/// Why an address was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// No URL at all, or one without a host.
    #[error("it is not a web address")]
    NotAUrl,
    /// Neither http nor https.
    #[error("it must begin with https:// or http://")]
    Scheme,
    /// User and password in a URL end up in logs.
    #[error("it must not hold a user name or a password; use a header")]
    Credentials,
    /// An address or a name of this host or its neighbours.
    #[error("it does not lead to the public internet")]
    NotPublic,
}

impl Guard {
    /// Besides the public internet, these networks of the operator's may be dialled.
    pub fn new(allowed: impl IntoIterator<Item = Network>) -> Self {
        Self { allowed: allowed.into_iter().collect() }
    }

    /// Reads a URL and judges what can be judged without resolving its name.
    pub fn vet(&self, text: &str) -> Result<Url, TargetError> {
        let url = Url::parse(text).map_err(|_| TargetError::NotAUrl)?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(TargetError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(TargetError::Credentials);
        }
        let admitted = match url.host().ok_or(TargetError::NotAUrl)? {
            Host::Ipv4(address) => self.admits(address.into()),
            Host::Ipv6(address) => self.admits(address.into()),
            // What such a name resolves to is vetted when it is dialled; these never lead to the internet.
            Host::Domain(name) => self.opens_neighbours() || !is_local_name(name),
        };
        if admitted { Ok(url) } else { Err(TargetError::NotPublic) }
    }

    /// Whether an address may be dialled.
    pub fn admits(&self, address: IpAddr) -> bool {
        // `::ffff:10.0.0.1` is 10.0.0.1.
        let address = address.to_canonical();
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }

    /// What was refused when it was dialled, if `error` says that something was.
    pub fn refusal(error: &(dyn std::error::Error + 'static)) -> Option<TargetError> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            let inner = error.downcast_ref::<io::Error>().and_then(|error| error.get_ref());
            let refused = error.downcast_ref::<TargetError>();
            if let Some(refused) = refused.or_else(|| inner.and_then(|inner| inner.downcast_ref::<TargetError>())) {
                return Some(*refused);
            }
            cause = error.source();
        }
        None
    }

    fn opens_neighbours(&self) -> bool {
        !self.allowed.is_empty()
    }
}

/// Whether a name is one of this host's, or of its neighbours', by its form alone.
fn is_local_name(name: &str) -> bool {
    let name = name.trim_end_matches('.').to_ascii_lowercase();
    let last = name.rsplit('.').next().unwrap_or_default();
    // A name without a dot is a neighbour in the search domain.
    !name.contains('.')
        || matches!(last, "localhost" | "local" | "internal" | "lan" | "home" | "intranet" | "onion")
        || name.ends_with(".home.arpa")
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let bits = u32::from(address);
            !SPECIAL_V4.iter().any(|(block, prefix)| (bits ^ u32::from(*block)) >> (32 - prefix) == 0)
        }
        IpAddr::V6(address) => {
            let bits = u128::from(address);
            let is_in = |block: Ipv6Addr, prefix: u32| (bits ^ u128::from(block)) >> (128 - prefix) == 0;
            is_in(Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3)
                && !SPECIAL_V6.iter().any(|(block, prefix)| is_in(*block, *prefix))
        }
    }
}

/// How a name becomes addresses: the system's way, or a test's.
pub trait Names: Send + Sync + 'static {
    /// The addresses of a name; their ports mean nothing.
    fn look_up(&self, name: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>>;
}

/// The names that the system knows.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemNames;

impl Names for SystemNames {
    fn look_up(&self, name: &str) -> Pin<Box<dyn Future<Output = io::Result<Vec<SocketAddr>>> + Send>> {
        let name = name.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((name.as_str(), 0)).await?.collect()) })
    }
}

/// An HTTP client that dials what `guard` admits, follows no redirect and uses no proxy of the environment.
pub fn client(guard: &Guard, timeout: Duration, names: Arc<dyn Names>) -> Result<reqwest::Client, reqwest::Error> {
    reqwest::Client::builder()
        .dns_resolver(Arc::new(Resolver { guard: guard.clone(), names }))
        .redirect(Policy::none())
        .no_proxy()
        .referer(false)
        .connect_timeout(timeout)
        .timeout(timeout)
        .pool_idle_timeout(Duration::from_secs(30))
        .user_agent(concat!("wagate/", env!("CARGO_PKG_VERSION")))
        .build()
}

/// Resolves names and gives out vetted addresses only.
struct Resolver {
    guard: Guard,
    names: Arc<dyn Names>,
}

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = self.guard.clone();
        let found = self.names.look_up(name.as_str());
        Box::pin(async move {
            let found = found.await?;
            let vetted: Vec<SocketAddr> = found.into_iter().filter(|found| guard.admits(found.ip())).collect();
            if vetted.is_empty() {
                return Err(
                    Box::new(io::Error::other(TargetError::NotPublic)) as Box<dyn std::error::Error + Send + Sync>
                );
            }
            Ok(Box::new(vetted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTILE: &[&str] = &[
        "http://127.0.0.1/",
        "http://127.1/",
        "http://127.255.255.254:8080/",
        "http://2130706433/",
        "http://0x7f000001/",
        "http://0x7f.1/",
        "http://0177.0.0.1/",
        "http://017700000001/",
        "http://①②⑦.0.0.1/",
        "http://127。0。0。1/",
        "http://0/",
        "http://0.0.0.0:5432/",
        "http://localhost/",
        "http://LOCALHOST./",
        "http://foo.localhost/",
        "http://metadata/",
        "http://metadata.google.internal/computeMetadata/v1/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://[::ffff:169.254.169.254]/",
        "http://[::ffff:a9fe:a9fe]/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
        "http://10.0.0.1/",
        "http://172.16.0.1/",
        "http://172.31.255.255/",
        "http://192.168.1.1/",
        "http://100.64.0.1/",
        "http://192.0.0.1/",
        "http://192.0.2.1/",
        "http://198.18.0.1/",
        "http://198.51.100.1/",
        "http://203.0.113.1/",
        "http://224.0.0.1/",
        "http://240.0.0.1/",
        "http://255.255.255.255/",
        "http://[::1]/",
        "http://[::]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::127.0.0.1]/",
        "http://[fe80::1]/",
        "http://[fc00::1]/",
        "http://[ff02::1]/",
        "http://[2001:db8::1]/",
        "http://[2001::1]/",
        "http://[2002:7f00:1::]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[64:ff9b:1::1]/",
        "http://[3fff::1]/",
        "http://printer.local/",
        "http://router.lan/",
        "http://nas.home.arpa/",
        "http://user:pass@example.com/",
        "http://example.com@127.0.0.1/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "javascript:alert(1)",
        "data:text/plain,hi",
        "http:///",
        "//example.com/hook",
        "example.com/hook",
        "",
    ];

    #[test]
    fn nothing_near_this_host_is_a_target_in_any_spelling() {
        let guard = Guard::default();
        for text in HOSTILE {
            assert!(guard.vet(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_public_internet_is() {
        let guard = Guard::default();
        for text in [
            "https://example.com/hook?shop=7",
            "http://example.com:8080/",
            "https://8.8.8.8/",
            "https://172.32.0.1/",
            "https://[2606:4700::1111]/",
            "https://müller.example/",
        ] {
            assert!(guard.vet(text).is_ok(), "{text:?}");
        }
    }

    #[test]
    fn a_network_that_the_operator_names_is_a_target_and_its_neighbours_are_not() {
        let guard = Guard::new(["10.1.0.0/16", "::1"].map(|text| Network::parse(text).unwrap()));
        for text in ["http://10.1.2.3/", "http://[::ffff:10.1.2.3]/", "http://[::1]:9000/", "http://hooks.internal/"] {
            assert!(guard.vet(text).is_ok(), "{text:?}");
        }
        for text in ["http://10.2.0.1/", "http://127.0.0.1/", "http://169.254.169.254/"] {
            assert!(guard.vet(text).is_err(), "{text:?}");
        }
    }

    #[tokio::test]
    async fn a_name_that_resolves_to_this_host_is_refused_when_it_is_dialled() {
        let name = || "localhost".parse::<Name>().unwrap();
        let resolver = |guard| Resolver { guard, names: Arc::new(SystemNames) };
        let refused = resolver(Guard::default()).resolve(name()).await.err().unwrap();
        assert_eq!(refused.to_string(), TargetError::NotPublic.to_string());
        let loopback = Guard::new(["127.0.0.0/8", "::1"].map(|text| Network::parse(text).unwrap()));
        assert!(resolver(loopback).resolve(name()).await.is_ok());
    }
}
