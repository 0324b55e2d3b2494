//! The dashboard's sessions: how they begin, what they reach, how they end.

mod home;
mod pages;
// It reads pictures, as only tests against the sandbox can.
#[cfg(feature = "sandbox")]
mod pairing;
mod sessions;

use std::borrow::Cow;

use serde_json::Value;
use wagate::domain::token::{Token, TokenKind};

use super::gateway::{Answer, Gateway};

/// The origin of the pages of a test's gateway.
const ORIGIN: &str = "https://wa.example.com";

/// A browser: it keeps the cookie, and says where its requests come from.
pub(super) struct Browser<'a> {
    gateway: &'a Gateway,
    origin: Cow<'static, str>,
    cookie: Option<String>,
}

impl<'a> Browser<'a> {
    pub(super) fn new(gateway: &'a Gateway) -> Self {
        Self { gateway, origin: ORIGIN.into(), cookie: None }
    }

    /// At the same gateway under another address.
    fn at(gateway: &'a Gateway, origin: &'static str) -> Self {
        Self { origin: origin.into(), ..Self::new(gateway) }
    }

    /// One that has signed in with a key.
    pub(super) async fn signed_in(gateway: &'a Gateway, key: &str) -> Self {
        let mut browser = Self::new(gateway);
        let answer = browser.submit("/dashboard/sign-in", &[("access_token", key)]).await;
        assert_eq!((answer.status.as_u16(), answer.header("location")), (303, "/dashboard"), "{}", answer.text());
        browser.take_cookie(&answer);
        browser
    }

    fn request(&self, method: &str, path: &str) -> reqwest::RequestBuilder {
        let mut request = self.gateway.request(method, path).header("sec-fetch-site", "same-origin");
        if method != "GET" {
            request = request.header("origin", self.origin.as_ref());
        }
        match &self.cookie {
            Some(cookie) => request.header("cookie", format!("theme=dark; __Host-wagate={cookie}")),
            None => request,
        }
    }

    pub(super) async fn get(&self, path: &str) -> Answer {
        Answer::of(self.request("GET", path)).await
    }

    async fn post(&self, path: &str, body: &Value) -> Answer {
        Answer::of(self.request("POST", path).json(body)).await
    }

    /// Sends a form as a page does.
    async fn submit(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.request("POST", path).header("content-type", "application/x-www-form-urlencoded");
        Answer::of(request.body(body)).await
    }

    /// Keeps what an answer sets.
    fn take_cookie(&mut self, answer: &Answer) {
        let set = answer.header("set-cookie");
        let value = set.strip_prefix("__Host-wagate=").and_then(|rest| rest.split(';').next());
        let value = value.unwrap_or_else(|| panic!("no cookie in {set:?}"));
        assert_eq!(Token::parse(value).unwrap().kind(), TokenKind::Session);
        self.cookie = Some(value.to_owned());
    }

    fn cookie(&self) -> &str {
        self.cookie.as_deref().unwrap()
    }
}
