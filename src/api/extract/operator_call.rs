//! A request of the operator that may proceed. Only the operator's listener has routes that take one.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use uuid::Uuid;

use crate::api::error::ApiError;
use crate::api::state::ApiState;
use crate::api::tokens::{Operator, Unresolved};
use crate::domain::account::AccountId;
use crate::domain::token::Token;

use super::body;
use super::call::{Refusal, refuse, within};
use super::parameters::Parameters;
use super::read::Read;

/// [`Call`](super::Call) for the operator: the same checks in the same order, but the key is taken from a header alone.
pub struct OperatorCall {
    /// What the handlers share.
    pub state: Data<ApiState>,
    /// Who calls.
    pub operator: Operator,
    /// From where.
    pub client: IpAddr,
    request: HttpRequest,
    parameters: Parameters,
}

impl FromRequest for OperatorCall {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let body = body::read(&mut payload).await?;
            let parameters = Parameters::of(request.headers(), request.query_string(), &body).await?;
            let state =
                request.app_data::<Data<ApiState>>().cloned().expect("every route is configured with the state");
            let client = state.trusted_proxies.client_address(&request);
            let operator =
                authenticate(&state, &parameters).await.map_err(|refusal| refuse(&state, client, refusal))?;
            within(&state, &request, state.operator_limit.check(&operator.token_id))?;
            Ok(Self { state, operator, client, request, parameters })
        })
    }
}

async fn authenticate(state: &ApiState, parameters: &Parameters) -> Result<Operator, Refusal> {
    let token = parameters.access_token().and_then(|text| Token::parse(text).ok());
    let token = token.filter(|_| !parameters.token_outside_headers());
    let Some(token) = token else { return Err(Unresolved::Unknown.into()) };
    state.tokens.resolve_operator(&token, &state.store, state.clock.now()).await.map_err(Refusal::from)
}

impl OperatorCall {
    /// The parameters.
    pub fn read(&self) -> Read<'_> {
        Read::new(&self.parameters)
    }

    /// The account that the path names. What is no id is no account's.
    pub fn account(&self) -> Result<AccountId, ApiError> {
        let id = self.request.match_info().get("account_id").and_then(|id| Uuid::try_parse(id).ok());
        id.map(AccountId).ok_or(ApiError::AccountNotFound)
    }
}
