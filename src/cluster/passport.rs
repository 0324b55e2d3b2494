//! How a node shows another that a request comes from a node, and for whom it was carried.
//!
//! The node a client talks to has checked that client's limits; the owner must not check them again, and must believe
//! whom the request is from. A header that anybody can write does not show that, so it holds a MAC over the request,
//! keyed with a secret that only the nodes on one database have. It proves nothing about the credential: the owner
//! checks that as it always does.

use std::net::IpAddr;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use chrono::{DateTime, TimeDelta, Utc};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderName, HeaderValue};
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};

/// Carries the passport.
pub const FORWARDED: HeaderName = HeaderName::from_static("x-wagate-forwarded");

/// Nodes' clocks may differ by this much, the way included.
const TOLERANCE: TimeDelta = TimeDelta::seconds(60);

/// What is signed, so that a MAC made for anything else never fits.
const PURPOSE: &[u8] = b"wagate forwarded request 1";

/// The secret all nodes on one database share.
pub struct NodeSecret(SecretBox<[u8; 32]>);

/// What a passport is issued for.
#[derive(Debug, Clone, Copy)]
pub struct Subject<'a> {
    /// `POST`
    pub method: &'a str,
    /// As it stands in the request line.
    pub path_and_query: &'a str,
    /// The whole body.
    pub body: &'a [u8],
}

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A client, whatever its headers say.
    Client,
    /// A node, on behalf of the client at this address.
    Node(IpAddr),
    /// A node, but the passport has expired, as it seems to where clocks differ: it earns no trust, yet such a request
    /// must not be carried on, or it could go in circles.
    Expired,
}

impl NodeSecret {
    /// Takes the secret that the database keeps.
    pub fn new(secret: SecretBox<[u8; 32]>) -> Self {
        Self(secret)
    }

    /// The passport of a request that is carried at `now` for `client`.
    pub fn issue(&self, subject: Subject<'_>, client: IpAddr, now: DateTime<Utc>) -> HeaderValue {
        let issued = now.timestamp();
        let mac = self.mac(subject, client, issued).finalize().into_bytes();
        let text = format!("{issued} {client} {}", BASE64_URL_SAFE_NO_PAD.encode(mac));
        HeaderValue::try_from(text).expect("numbers, addresses and base64 are visible ASCII")
    }

    /// What `passport`, as it came with a request, shows at `now`.
    pub fn examine(&self, passport: &str, subject: Subject<'_>, now: DateTime<Utc>) -> Origin {
        let Some((issued, client, mac)) = parse(passport) else { return Origin::Client };
        // Compared in constant time.
        if self.mac(subject, client, issued).verify_slice(&mac).is_err() {
            return Origin::Client;
        }
        let age = now.signed_duration_since(DateTime::from_timestamp(issued, 0).unwrap_or_default());
        if age.abs() <= TOLERANCE { Origin::Node(client) } else { Origin::Expired }
    }

    fn mac(&self, subject: Subject<'_>, client: IpAddr, issued: i64) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.expose_secret()).expect("HMAC takes a key of any length");
        let head = [subject.method, subject.path_and_query, &client.to_string(), &issued.to_string()];
        mac.update(PURPOSE);
        for part in head {
            // None of them can hold a line break, so no two requests are written alike.
            mac.update(b"\n");
            mac.update(part.as_bytes());
        }
        mac.update(b"\n");
        mac.update(&Sha256::digest(subject.body));
        mac
    }
}

impl std::fmt::Debug for NodeSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("NodeSecret")
    }
}

fn parse(passport: &str) -> Option<(i64, IpAddr, Vec<u8>)> {
    let mut parts = passport.split(' ');
    let parsed =
        (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?, BASE64_URL_SAFE_NO_PAD.decode(parts.next()?).ok()?);
    parts.next().is_none().then_some(parsed)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const SUBJECT: Subject<'static> = Subject { method: "POST", path_and_query: "/v2/auth/qr?wait=5", body: b"{}" };
    const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(203, 0, 113, 7));

    fn secret(byte: u8) -> NodeSecret {
        NodeSecret::new(SecretBox::new(Box::new([byte; 32])))
    }

    fn issued_at(now: DateTime<Utc>) -> String {
        secret(1).issue(SUBJECT, CLIENT, now).to_str().unwrap().to_owned()
    }

    #[test]
    fn a_passport_names_the_client_to_whoever_has_the_secret() {
        let now = DateTime::UNIX_EPOCH;
        assert_eq!(secret(1).examine(&issued_at(now), SUBJECT, now), Origin::Node(CLIENT));
        assert_eq!(secret(2).examine(&issued_at(now), SUBJECT, now), Origin::Client);
    }

    #[test]
    fn a_passport_fits_one_request_only() {
        let now = DateTime::UNIX_EPOCH;
        let others = [
            Subject { method: "GET", ..SUBJECT },
            Subject { path_and_query: "/v2/auth/qr?wait=6", ..SUBJECT },
            Subject { body: b"{ }", ..SUBJECT },
        ];
        for other in others {
            assert_eq!(secret(1).examine(&issued_at(now), other, now), Origin::Client, "{other:?}");
        }
        let forged = issued_at(now).replace("203.0.113.7", "203.0.113.8");
        assert_eq!(secret(1).examine(&forged, SUBJECT, now), Origin::Client);
        for nonsense in ["", "1", "0 203.0.113.7 ", &format!("{} x", issued_at(now))] {
            assert_eq!(secret(1).examine(nonsense, SUBJECT, now), Origin::Client, "{nonsense:?}");
        }
    }

    #[test]
    fn a_passport_ends_after_a_minute_and_does_not_come_from_the_future() {
        let now = DateTime::UNIX_EPOCH + TimeDelta::days(20_000);
        let passport = issued_at(now);
        let after = |seconds| secret(1).examine(&passport, SUBJECT, now + TimeDelta::seconds(seconds));
        assert_eq!((after(60), after(-60)), (Origin::Node(CLIENT), Origin::Node(CLIENT)));
        assert_eq!((after(61), after(-61)), (Origin::Expired, Origin::Expired));
    }
}
