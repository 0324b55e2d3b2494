//! A request of somebody who is not signed in, to the pages that sign in.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header::USER_AGENT;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use serde_json::Value;

use crate::api::error::ApiError;
use crate::api::extract::{Parameters, body};
use crate::api::state::ApiState;
use crate::api::tokens::Unresolved;
use crate::domain::account::AccountId;
use crate::domain::token::{Token, TokenHash, TokenKind};
use crate::domain::user_agent;
use crate::store::account;

use super::{admission, home};

/// [`Call`](crate::api::extract::Call) without a caller. Taking one makes sure that a page of ours sent it.
pub struct Guest {
    /// What the handlers share.
    pub state: Data<ApiState>,
    /// From where.
    pub client: IpAddr,
    request: HttpRequest,
    parameters: Parameters,
}

impl FromRequest for Guest {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let body = body::read(&mut payload).await?;
            let state =
                request.app_data::<Data<ApiState>>().cloned().expect("every route is configured with the state");
            // Signing somebody in to a stranger's account is a forgery too.
            if !state.own_pages.sent(request.method(), request.headers()) {
                return Err(ApiError::ForeignPage);
            }
            let parameters = Parameters::of(request.headers(), request.query_string(), &body).await?;
            let client = state.trusted_proxies.client_address(&request);
            Ok(Self { state, client, request, parameters })
        })
    }
}

impl Guest {
    /// The key that was typed. It is taken from a form alone: a query would stay in the browser's history.
    pub(super) fn key(&self) -> Option<Token> {
        if !self.request.query_string().is_empty() {
            return None;
        }
        let token = Token::parse(self.parameters.access_token()?.trim()).ok()?;
        (token.kind() == TokenKind::Account).then_some(token)
    }

    /// What a sign-in QR held.
    pub(super) fn pairing(&self) -> Option<TokenHash> {
        if !self.request.query_string().is_empty() {
            return None;
        }
        let text = self.parameters.get("token").and_then(Value::as_str)?;
        let token = Token::parse(text).ok().filter(|token| token.kind() == TokenKind::Pairing)?;
        Some(token.hash())
    }

    /// What kind of browser it is.
    pub(super) fn agent(&self) -> String {
        let agent = self.request.headers().get(USER_AGENT).and_then(|agent| agent.to_str().ok());
        user_agent::named(agent.unwrap_or_default())
    }

    /// The key of the account that may be entered without one.
    pub(super) async fn key_at_home(&self) -> Result<Option<TokenHash>, ApiError> {
        Ok(home::key(&self.state, &self.request).await?)
    }

    /// The account that may be entered without a key, and what it is called.
    pub async fn at_home(&self) -> Result<Option<(AccountId, String)>, ApiError> {
        let Some(id) = home::account(&self.state, &self.request) else { return Ok(None) };
        let mut conn = self.state.store.acquire().await?;
        Ok(account::name(&mut conn, id).await?.map(|name| (id, name)))
    }

    /// Whether its cookie opens anything; `true` where that cannot be found out now.
    pub async fn is_signed_in(&self) -> bool {
        let Some(hash) = admission::cookie(self.request.headers()) else { return false };
        let visit = self.state.visits.resolve(&self.state, hash, self.state.clock.now()).await;
        !matches!(visit, Err(Unresolved::Unknown))
    }

    /// Whether it brings a cookie of the dashboard, whatever that is worth.
    pub fn has_cookie(&self) -> bool {
        admission::cookie(self.request.headers()).is_some()
    }
}
