//! Where a request comes from. `X-Forwarded-For` is believed only as far as trusted proxies vouch for it.

use std::net::{IpAddr, Ipv4Addr};

use actix_web::HttpRequest;

use crate::domain::network::Network;

/// The text is neither an address nor a network.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} in server.trusted_proxies is neither an address nor a network such as 10.0.0.0/8")]
pub struct InvalidNetwork(String);

/// The proxies in front of this gateway.
#[derive(Debug, Clone, Default)]
pub struct TrustedProxies(Vec<Network>);

impl TrustedProxies {
    /// Reads addresses and networks.
    pub fn parse(entries: &[String]) -> Result<Self, InvalidNetwork> {
        let parse = |entry: &String| Network::parse(entry).ok_or_else(|| InvalidNetwork(entry.clone()));
        entries.iter().map(parse).collect::<Result<_, _>>().map(Self)
    }

    /// The client's address: the peer, or, if that is a trusted proxy, the last address in `X-Forwarded-For` that is
    /// not.
    pub fn client_address(&self, request: &HttpRequest) -> IpAddr {
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
        let forwarded: Vec<&str> = forwarded.flat_map(|value| value.split(',')).collect();
        self.last_untrusted(peer, forwarded.iter().rev().copied())
    }

    fn last_untrusted<'a>(&self, peer: IpAddr, nearest_first: impl Iterator<Item = &'a str>) -> IpAddr {
        let mut client = peer;
        for hop in nearest_first {
            if !self.trusts(client) {
                break;
            }
            let Ok(address) = hop.trim().parse::<IpAddr>() else { break };
            client = address.to_canonical();
        }
        client
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(trusted: &[&str], peer: &str, forwarded: &[&str]) -> String {
        let trusted: Vec<String> = trusted.iter().map(|entry| (*entry).to_owned()).collect();
        let proxies = TrustedProxies::parse(&trusted).unwrap();
        proxies.last_untrusted(peer.parse().unwrap(), forwarded.iter().rev().copied()).to_string()
    }

    #[test]
    fn a_stranger_is_not_believed_and_a_proxy_is_for_what_it_added() {
        assert_eq!(client(&[], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["203.0.113.9", "198.51.100.7"]), "198.51.100.7");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["198.51.100.7", " 10.9.9.9"]), "198.51.100.7");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &[]), "10.1.2.3");
        assert_eq!(client(&["10.0.0.0/8"], "10.1.2.3", &["198.51.100.7", "nonsense"]), "10.1.2.3");
        assert_eq!(client(&["::1", "2001:db8::/32"], "::1", &["2001:db9::1", "2001:db8::5"]), "2001:db9::1");
        assert_eq!(client(&["0.0.0.0/0"], "192.0.2.1", &["2001:db8::1"]), "2001:db8::1");
        assert_eq!(client(&["::/0"], "2001:db8::1", &["192.0.2.1"]), "192.0.2.1");
    }

    #[test]
    fn what_is_no_network_is_refused_by_name() {
        for entry in ["", "10.0.0.0/33", "proxy.example"] {
            let error = TrustedProxies::parse(&[entry.to_owned()]).unwrap_err();
            assert!(error.to_string().contains(&format!("{entry:?}")));
        }
    }
}
