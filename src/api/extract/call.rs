//! A request that may proceed: read, authenticated, and within its token's limit.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::ACCEPT;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use bytes::Bytes;
use tracing::{Span, field};

use crate::api::error::ApiError;
use crate::api::forward::{self, Passage};
use crate::api::state::ApiState;
use crate::api::tokens::{Caller, Unresolved};
use crate::cluster::Owner;
use crate::cluster::passport::Origin;
use crate::domain::instance::InstanceId;
use crate::domain::token::{Scope, Token};
use crate::limit::{AddressKey, Refused, Standing};

use super::accept::prefers_image;
use super::body;
use super::parameters::Parameters;
use super::read::{Read, Target};

/// A request on its way: who calls, from where, with which parameters. Extracting it makes the checks 1 to 3 of the
/// contract; [`Call::read`] and [`Call::instance`] make 4 to 6.
pub struct Call {
    /// What the handlers share.
    pub state: Data<ApiState>,
    /// Who calls.
    pub caller: Arc<Caller>,
    /// From where, also if another node carried the request here.
    pub client: IpAddr,
    request: HttpRequest,
    body: Bytes,
    parameters: Parameters,
    origin: Origin,
}

impl FromRequest for Call {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let body = body::read(&mut payload).await?;
            let parameters = Parameters::of(&request, &body)?;
            let state =
                request.app_data::<Data<ApiState>>().cloned().expect("every route is configured with the state");
            let origin = forward::origin(&state, &request, &body);
            let client = match origin {
                Origin::Node(client) => client,
                Origin::Client | Origin::Expired => state.trusted_proxies.client_address(&request),
            };
            let caller = authenticate(&state, &parameters).await.map_err(|refusal| match (refusal, origin) {
                // The node it was carried from has let this client through; that it failed here is no guess of theirs.
                (Refusal::Credential, Origin::Node(_)) => ApiError::Unauthorized,
                (Refusal::Credential, Origin::Client | Origin::Expired) => refuse(&state, client),
                (Refusal::Other(error), _) => error,
            })?;
            let call = Self { state, caller, client, request, body, parameters, origin };
            if !matches!(origin, Origin::Node(_)) {
                call.within(call.caller.limiter.check())?;
            }
            Ok(call)
        })
    }
}

/// Why a caller is not known.
enum Refusal {
    /// No valid credential, or not where the account wants it.
    Credential,
    /// It could not be found out.
    Other(ApiError),
}

async fn authenticate(state: &ApiState, parameters: &Parameters) -> Result<Arc<Caller>, Refusal> {
    let token = parameters.access_token().and_then(|text| Token::parse(text).ok());
    let resolved = match token {
        Some(token) => state.tokens.resolve(&token, &state.store, state.clock.now()).await,
        None => Err(Unresolved::Unknown),
    };
    match resolved {
        Ok(caller) if caller.require_header_auth && parameters.token_outside_headers() => Err(Refusal::Credential),
        Ok(caller) => Ok(caller),
        Err(Unresolved::Unknown) => Err(Refusal::Credential),
        Err(Unresolved::TooManyLookups) => Err(Refusal::Other(ApiError::Busy)),
        Err(Unresolved::Store(error)) => Err(Refusal::Other(error.into())),
    }
}

/// A failure drains the bucket of its address; only further failures meet it empty.
fn refuse(state: &ApiState, client: IpAddr) -> ApiError {
    match state.failures.check(&AddressKey::from(client)) {
        Ok(_) => ApiError::Unauthorized,
        Err(refused) => ApiError::RateLimited(refused),
    }
}

impl Call {
    /// The parameters.
    pub fn read(&self) -> Read<'_> {
        Read::new(&self.parameters)
    }

    /// The instance a request names, or the token's own.
    pub fn target(&self, read: &mut Read<'_>) -> Option<Target> {
        read.target(self.caller.instance_id)
    }

    /// The instance, if the caller may do to it what `scope` names. Absent, deleted, another tenant's and out of the
    /// token's reach are one answer, after one and the same query. Another node's ends the handler: the answer comes
    /// from there.
    pub async fn instance(&self, target: Option<Target>, scope: Scope) -> Result<InstanceId, ApiError> {
        let Some(Target::Id(id)) = target else { return Err(ApiError::SessionNotFound) };
        let own = self.caller.instance_id.is_none_or(|own| own == id);
        if !self.state.owns(self.caller.account_id, self.caller.instance_id, id).await? || !own {
            return Err(ApiError::SessionNotFound);
        }
        Span::current().record("instance.id", field::display(id));
        if !self.caller.may(scope) {
            return Err(ApiError::Forbidden { needs: needs(scope) });
        }
        let carried = self.origin != Origin::Client;
        let passage = Passage { id, body: self.body.clone(), client: self.client, carried };
        self.request.extensions_mut().insert(passage);
        match self.state.sessions.owner_of(id).await? {
            Owner::Here | Owner::Nobody => Ok(id),
            Owner::Elsewhere { addr } => Err(ApiError::Elsewhere { addr }),
        }
    }

    /// The account's own affairs: its key is needed.
    pub fn account_key(&self) -> Result<(), ApiError> {
        match self.caller.instance_id {
            None => Ok(()),
            Some(_) => Err(ApiError::Forbidden { needs: "an account key" }),
        }
    }

    /// start, stop and restart change something, so a GET is taken only where the account allows it.
    pub fn control_method(&self) -> Result<(), ApiError> {
        if self.request.method() == Method::POST || self.caller.allow_get_control {
            Ok(())
        } else {
            Err(ApiError::MethodNotAllowed { allow: "POST" })
        }
    }

    /// The limit of codes, of this token and instance.
    pub fn within_qr_limit(&self, id: InstanceId) -> Result<(), ApiError> {
        self.within(self.state.qr_limit.check(&(self.caller.token_id, id)))
    }

    /// The limit of codes to type, of this instance.
    pub fn within_link_code_limit(&self, id: InstanceId) -> Result<(), ApiError> {
        self.within(self.state.link_code_limit.check(&id))
    }

    /// Whether something is handed in rather than looked at.
    pub fn is_post(&self) -> bool {
        self.request.method() == Method::POST
    }

    /// Whether `Accept` prefers an image to JSON.
    pub fn prefers_image(&self) -> bool {
        let accept = self.request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
        accept.is_some_and(prefers_image)
    }

    /// Notes where a limit stands, for the headers of whatever answer follows.
    fn within(&self, checked: Result<Standing, Refused>) -> Result<(), ApiError> {
        match checked {
            Ok(standing) => {
                self.request.extensions_mut().insert(standing);
                Ok(())
            }
            Err(refused) => {
                self.request.extensions_mut().insert(refused.standing);
                Err(ApiError::RateLimited(refused))
            }
        }
    }
}

fn needs(scope: Scope) -> &'static str {
    match scope {
        Scope::Read => "the scope read",
        Scope::Link => "the scope link",
        Scope::Send => "the scope send",
        Scope::Control => "the scope control",
    }
}
