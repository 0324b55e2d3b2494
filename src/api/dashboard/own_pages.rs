//! Whether a request comes from a page of this gateway: what keeps other sites from asking in the name of whoever is
//! signed in (cross-site request forgery).
//!
//! Browsers say it in `Sec-Fetch-Site` (W3C Fetch Metadata) and, with everything that may change something, in `Origin`
//! (the Fetch standard, 3.2); pages can set neither. Whatever of the two there is must agree. `SameSite=Strict` would
//! not do alone: to it, every port and every sibling domain is the same site.

use actix_web::http::Method;
use actix_web::http::header::{HeaderMap, HeaderName, ORIGIN};
use url::Url;

use crate::domain::origin::{Origin, is_loopback};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// Where this gateway's own pages are.
#[derive(Debug, Clone)]
pub struct OwnPages {
    url: Option<Url>,
}

impl OwnPages {
    /// By the address people reach the gateway at.
    pub fn new(public_url: &str) -> Self {
        Self { url: Url::parse(public_url).ok() }
    }

    /// Whether they are reached on this machine only.
    pub fn are_at_home(&self) -> bool {
        self.url.as_ref().is_some_and(is_loopback)
    }

    /// Whether a browser keeps a cookie that is `Secure` from here: over https, and from the machine it runs on.
    pub fn keep_cookies(&self) -> bool {
        self.url.as_ref().is_some_and(|url| url.scheme() == "https" || is_loopback(url))
    }

    /// Whether a request with these headers may use a cookie.
    pub(in crate::api) fn sent(&self, method: &Method, headers: &HeaderMap) -> bool {
        let site = only(headers, &SEC_FETCH_SITE);
        if method.is_safe() {
            // One that follows a link or an address shows a page of ours to a person, and nothing to whoever made it.
            return matches!(site, None | Some("same-origin" | "none"))
                || only(headers, &SEC_FETCH_MODE) == Some("navigate");
        }
        match (site, only(headers, &ORIGIN)) {
            (None, Some(origin)) => self.is_own(origin),
            // Our pages tell nobody where they are (`Referrer-Policy`), so what their forms send has the origin `null`.
            (Some(site), None | Some("null")) => site == "same-origin",
            (Some(site), Some(origin)) => site == "same-origin" && self.is_own(origin),
            (None, None) => false,
        }
    }

    /// This machine has several names, and whoever is told one may type another.
    fn is_own(&self, origin: &str) -> bool {
        let Some(own) = &self.url else { return false };
        if Origin::parse(origin).is_ok_and(|origin| Origin::of(own) == Some(origin)) {
            return true;
        }
        self.are_at_home()
            && Url::parse(origin).is_ok_and(|url| {
                is_loopback(&url)
                    && url.scheme() == own.scheme()
                    && url.port_or_known_default() == own.port_or_known_default()
            })
    }
}

/// The value of a header; no browser sends one of these twice, so a second one is nobody's.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let mut values = headers.get_all(name);
    let first = values.next()?;
    if values.next().is_some() { Some("") } else { Some(first.to_str().unwrap_or_default()) }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn sent(public_url: &str, method: &Method, headers: &[(&'static str, &'static str)]) -> bool {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        OwnPages::new(public_url).sent(method, &map)
    }

    const OURS: &str = "https://wa.example.com";

    #[test]
    fn what_changes_something_must_come_from_our_origin() {
        let post = |headers: &[(&'static str, &'static str)]| sent(OURS, &Method::POST, headers);
        assert!(post(&[("origin", OURS), ("sec-fetch-site", "same-origin")]));
        assert!(post(&[("origin", OURS)]), "a browser without fetch metadata");
        assert!(post(&[("sec-fetch-site", "same-origin")]));
        assert!(post(&[("origin", "null"), ("sec-fetch-site", "same-origin")]), "a form of a page without a referrer");
        assert!(!post(&[("origin", "null")]));
        assert!(!post(&[]));
        for (origin, site) in [
            ("https://evil.example.com", "cross-site"),
            ("https://evil.example.com", "same-origin"),
            (OURS, "same-site"),
            (OURS, "none"),
            ("null", "cross-site"),
            ("https://wa.example.com:8443", "same-site"),
            ("http://wa.example.com", "same-origin"),
        ] {
            assert!(!sent(OURS, &Method::POST, &[("origin", origin), ("sec-fetch-site", site)]), "{origin} {site}");
        }
        assert!(!post(&[("origin", OURS), ("origin", OURS)]), "a second one is nobody's");
    }

    #[test]
    fn what_is_read_by_another_site_is_refused_unless_a_person_goes_there() {
        let get = |headers: &[(&'static str, &'static str)]| sent(OURS, &Method::GET, headers);
        assert!(get(&[]) && get(&[("sec-fetch-site", "none")]) && get(&[("sec-fetch-site", "same-origin")]));
        assert!(!get(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")]));
        assert!(!get(&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")]));
        assert!(get(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")]));
    }

    #[test]
    fn every_name_of_this_machine_is_its_own_on_the_same_port() {
        let post = |origin| sent("http://127.0.0.1:8080", &Method::POST, &[("origin", origin)]);
        assert!(post("http://127.0.0.1:8080") && post("http://localhost:8080") && post("http://[::1]:8080"));
        assert!(!post("http://127.0.0.1:3000") && !post("https://localhost:8080") && !post("http://evil.example:8080"));
    }

    #[test]
    fn cookies_are_kept_over_https_and_on_this_machine() {
        let kept = |url| OwnPages::new(url).keep_cookies();
        assert!(kept(OURS) && kept("http://127.0.0.1:8080") && kept("http://localhost:8080"));
        assert!(!kept("http://192.168.1.5:8080"));
    }
}
