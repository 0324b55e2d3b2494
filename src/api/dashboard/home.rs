//! The way in for a browser on the gateway's own machine: off unless the operator names an account
//! (`dashboard.loopback_account`), refused at the start unless `server.public_url` is this machine.
//!
//! The address of the connection alone proves nothing: a proxy on this machine connects from here for the whole world,
//! and a page of another site can have a name that leads here (DNS rebinding). So the request must also name this machine
//! in `Host`, and show no trace of a proxy.

use std::net::IpAddr;

use actix_web::HttpRequest;
use actix_web::http::header::{HOST, HeaderMap};
use url::Url;

use crate::api::state::ApiState;
use crate::domain::account::AccountId;
use crate::domain::origin::is_loopback;
use crate::domain::token::TokenHash;
use crate::store::{StoreError, token};

/// What proxies add.
const FORWARDING: [&str; 9] = [
    "forwarded",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-forwarded-port",
    "x-forwarded-server",
    "x-real-ip",
    "x-wagate-forwarded",
];

/// The account that whoever sent this may enter without a key.
pub(super) fn account(state: &ApiState, request: &HttpRequest) -> Option<AccountId> {
    let account = state.loopback_account.filter(|_| state.own_pages.are_at_home())?;
    is_at_home(request.peer_addr().map(|peer| peer.ip()), request.headers()).then_some(account)
}

/// The key that such a one stands for: the oldest of the account's that lasts, of which there is always one.
pub(super) async fn key(state: &ApiState, request: &HttpRequest) -> Result<Option<TokenHash>, StoreError> {
    let Some(account) = account(state, request) else { return Ok(None) };
    let mut conn = state.store.acquire().await?;
    token::oldest_lasting_key(&mut conn, account).await
}

fn is_at_home(peer: Option<IpAddr>, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST);
    let (Some(host), None) = (hosts.next(), hosts.next()) else { return false };
    // A name and a port, and nothing that would make another part of an address of either.
    let host = host.to_str().ok().filter(|host| !host.contains(['@', '/', '?', '#', '\\']));
    let host = host.and_then(|host| Url::parse(&format!("http://{host}/")).ok());
    peer.is_some_and(|peer| peer.is_loopback())
        && host.is_some_and(|host| is_loopback(&host))
        && !FORWARDING.iter().any(|name| headers.contains_key(*name))
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn at_home(peer: &str, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        is_at_home(peer.parse().ok(), &map)
    }

    #[test]
    fn only_a_straight_connection_of_this_machine_under_its_own_name_is_at_home() {
        for host in ["127.0.0.1:8080", "localhost:8080", "[::1]:8080", "localhost"] {
            assert!(at_home("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(at_home("::1", &[("host", "localhost")]));
        for host in ["wa.example.com", "localhost.example.com", "10.0.0.1", "", "x@y@localhost", "169.254.169.254"] {
            assert!(!at_home("127.0.0.1", &[("host", host)]), "{host}");
        }
        assert!(!at_home("127.0.0.1", &[]));
        assert!(!at_home("127.0.0.1", &[("host", "localhost"), ("host", "localhost")]));
        for peer in ["192.168.1.7", "203.0.113.7", "none"] {
            assert!(!at_home(peer, &[("host", "localhost")]), "{peer}");
        }
        for name in FORWARDING {
            assert!(!at_home("127.0.0.1", &[("host", "localhost"), (name, "127.0.0.1")]), "{name}");
        }
    }
}
