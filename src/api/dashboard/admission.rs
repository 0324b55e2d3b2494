//! What a route takes as a credential, and whom it admits by it.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::http::header::{COOKIE, HeaderMap};
use uuid::Uuid;

use crate::api::error::ApiError;
use crate::api::extract::{Credential, Parameters, Refusal};
use crate::api::state::ApiState;
use crate::api::tokens::{Caller, Unresolved};
use crate::cluster::passport::Origin;
use crate::domain::token::{Token, TokenHash, TokenKind};

use super::{home, session};

/// What a scope or a resource takes; kept among its data. Without one it takes tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// A token.
    Token,
    /// The dashboard's cookie.
    Session,
    /// The token of a link, in the path.
    Link,
    /// A token; without one, the cookie; and without that, whom the operator lets in on this machine.
    Either,
}

/// Who was admitted, and by what.
pub(in crate::api) struct Admitted {
    pub(in crate::api) caller: Arc<Caller>,
    pub(in crate::api) credential: Credential,
    /// The session of the dashboard, if it is one.
    pub(in crate::api) session: Option<Uuid>,
}

impl Admission {
    fn of(request: &HttpRequest) -> Self {
        request.app_data::<Self>().copied().unwrap_or(Self::Token)
    }
}

/// Looks at what a request brings. `from` is where it came from: one that another node carried here was looked at there,
/// before its page could be told by its address.
pub(in crate::api) async fn admit(
    state: &ApiState,
    request: &HttpRequest,
    parameters: &Parameters,
    from: Origin,
) -> Result<Admitted, Refusal> {
    let is_carried = matches!(from, Origin::Node(_));
    match Admission::of(request) {
        Admission::Token => by_token(state, parameters).await,
        Admission::Session => by_session(state, request, is_carried).await,
        Admission::Link => by_link(state, request, is_carried).await,
        Admission::Either if parameters.access_token().is_some() => by_token(state, parameters).await,
        Admission::Either if cookie(request.headers()).is_some() => by_session(state, request, is_carried).await,
        Admission::Either => match home::key(state, request).await? {
            Some(key) => by_hash(state, key).await,
            None => Err(Refusal::Credential),
        },
    }
}

async fn by_token(state: &ApiState, parameters: &Parameters) -> Result<Admitted, Refusal> {
    let token = parameters.access_token().and_then(|text| Token::parse(text).ok());
    let Some(token) = token else { return Err(Unresolved::Unknown.into()) };
    let caller = state.tokens.resolve(&token, &state.store, state.clock.now()).await?;
    if caller.require_header_auth && parameters.token_outside_headers() {
        return Err(Refusal::Credential);
    }
    Ok(Admitted { caller, credential: Credential::Token(token.hash()), session: None })
}

/// The page of a link asks with what its own address holds. Others who know the address may open it, and no more: what
/// asks for codes must come from the page.
async fn by_link(state: &ApiState, request: &HttpRequest, is_carried: bool) -> Result<Admitted, Refusal> {
    let token = request.match_info().get("token").and_then(|text| Token::parse(text).ok());
    let token = token.filter(|token| token.kind() == TokenKind::Link).ok_or(Refusal::Credential)?;
    if !is_carried && !state.own_pages.sent(request.method(), request.headers()) {
        return Err(Refusal::Other(ApiError::ForeignPage));
    }
    by_hash(state, token.hash()).await
}

async fn by_hash(state: &ApiState, hash: TokenHash) -> Result<Admitted, Refusal> {
    let caller = state.tokens.resolve_hash(hash, &state.store, state.clock.now()).await?;
    Ok(Admitted { caller, credential: Credential::Token(hash), session: None })
}

async fn by_session(state: &ApiState, request: &HttpRequest, is_carried: bool) -> Result<Admitted, Refusal> {
    // Who has no cookie has not guessed one: nothing is drawn from the bucket of their address.
    let Some(hash) = cookie(request.headers()) else { return Err(Refusal::Other(ApiError::Unauthorized)) };
    if !is_carried && !state.own_pages.sent(request.method(), request.headers()) {
        return Err(Refusal::Other(ApiError::ForeignPage));
    }
    let visit = state.visits.resolve(state, hash, state.clock.now()).await?;
    Ok(Admitted { caller: visit.caller, credential: Credential::Session(hash), session: Some(visit.id) })
}

/// What the dashboard's cookie is looked up by. One that is no token of ours is none.
pub(super) fn cookie(headers: &HeaderMap) -> Option<TokenHash> {
    let lines = headers.get_all(COOKIE).filter_map(|line| line.to_str().ok());
    let values = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let mut ours = values.filter(|(name, _)| *name == session::COOKIE).map(|(_, value)| value);
    let token = Token::parse(ours.next()?).ok().filter(|token| token.kind() == TokenKind::Session)?;
    Some(token.hash())
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn read(line: &str) -> Option<TokenHash> {
        let mut headers = HeaderMap::new();
        headers.insert(COOKIE, HeaderValue::from_str(line).unwrap());
        cookie(&headers)
    }

    #[test]
    fn the_cookie_is_found_among_others_and_nothing_else_is_taken_for_it() {
        let mut rng = StdRng::seed_from_u64(1);
        let [session, key] = [TokenKind::Session, TokenKind::Account].map(|kind| Token::generate(kind, &mut rng));
        assert_eq!(read(&format!("a=b; __Host-wagate={}; c=d", session.expose())), Some(session.hash()));
        assert_eq!(read(&format!("wagate={}", session.expose())), None);
        assert_eq!(read(&format!("__Host-wagate={}", key.expose())), None, "a key is no session");
        assert_eq!(read("__Host-wagate=; x"), None);
    }
}
