//! A request that may proceed: read, authenticated, and within its token's limit.

use std::future::Future;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::Arc;

use actix_web::dev::Payload;
use actix_web::http::Method;
use actix_web::http::header::HeaderMap;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpMessage, HttpRequest};
use bytes::Bytes;
use tracing::{Span, field};
use uuid::Uuid;

use crate::api::dashboard::{Admitted, admit};
use crate::api::error::ApiError;
use crate::api::forward::{self, Cargo, Passage};
use crate::api::state::ApiState;
use crate::api::tokens::{Caller, LOOKUP, Unresolved};
use crate::cluster::Owner;
use crate::cluster::passport::Origin;
use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::token::{Scope, TokenKind};
use crate::limit::{AddressKey, Refused, Standing};
use crate::store::{StoreError, link};

use super::accept::Accept;
use super::body;
use super::credential::Credential;
use super::parameters::Parameters;
use super::parts::Parts;
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
    /// `None` if it is a file that does not lie in memory.
    body: Option<Bytes>,
    /// The body, if it is such a file.
    parts: Option<Parts>,
    parameters: Parameters,
    origin: Origin,
    credential: Credential,
    session: Option<Uuid>,
}

impl FromRequest for Call {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            let body = body::read(&mut payload).await?;
            let parameters = Parameters::of(request.headers(), request.query_string(), &body).await?;
            Self::admit(request, Some(body), parameters).await
        })
    }
}

/// Why a caller is not known.
pub(in crate::api) enum Refusal {
    /// No valid credential, or not where it is wanted.
    Credential,
    /// It was not looked up: the node has looked up all the guesses it may at this moment.
    Guesses,
    /// It could not be found out.
    Other(ApiError),
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::Other(error.into())
    }
}

impl From<Unresolved> for Refusal {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Unknown => Self::Credential,
            Unresolved::TooManyLookups => Self::Guesses,
            Unresolved::Store(error) => Self::Other(error.into()),
        }
    }
}

/// A failure drains the bucket of its address; only further failures meet it empty. So does a token that was not looked
/// up: it is no live one this node knows of, but it may have been made on another a moment ago, and 401 would be untrue.
pub(in crate::api) fn refuse(state: &ApiState, client: IpAddr, refusal: Refusal) -> ApiError {
    state.meter.authentication_failed();
    let error = match refusal {
        Refusal::Credential => ApiError::Unauthorized,
        Refusal::Guesses => {
            state.meter.rate_limited(LOOKUP);
            ApiError::Busy
        }
        Refusal::Other(error) => return error,
    };
    match state.failures.check(&AddressKey::from(client)) {
        Ok(_) => error,
        Err(refused) => {
            state.meter.rate_limited(refused.standing.policy_name());
            ApiError::RateLimited(refused)
        }
    }
}

/// Notes where a limit stands, for the headers of whatever answer follows.
pub(super) fn within(
    state: &ApiState,
    request: &HttpRequest,
    checked: Result<Standing, Refused>,
) -> Result<(), ApiError> {
    let standing = match &checked {
        Ok(standing) => *standing,
        Err(refused) => {
            state.meter.rate_limited(refused.standing.policy_name());
            refused.standing
        }
    };
    request.extensions_mut().insert(standing);
    checked.map(|_| ()).map_err(ApiError::RateLimited)
}

impl Call {
    /// Lets a request proceed whose parameters are read; without a body, the body is a file that does not lie in memory.
    pub(super) async fn admit(
        request: HttpRequest,
        body: Option<Bytes>,
        parameters: Parameters,
    ) -> Result<Self, ApiError> {
        let state = request.app_data::<Data<ApiState>>().cloned().expect("every route is configured with the state");
        let origin = forward::origin(&state, &request, body.as_deref());
        let client = match origin {
            Origin::Node(client) => client,
            Origin::Client | Origin::Expired => state.trusted_proxies.client_address(&request),
        };
        let admitted =
            admit(&state, &request, &parameters, origin).await.map_err(|refusal| match (refusal, origin) {
                // The node it was carried from has let this client through; that it failed here is no guess of theirs.
                (Refusal::Credential, Origin::Node(_)) => ApiError::Unauthorized,
                (Refusal::Guesses, Origin::Node(_)) => ApiError::Busy,
                (refusal, _) => refuse(&state, client, refusal),
            })?;
        let Admitted { caller, credential, session } = admitted;
        let call = Self { state, caller, client, request, body, parts: None, parameters, origin, credential, session };
        if !matches!(origin, Origin::Node(_)) {
            call.within(call.caller.limiter.check())?;
        }
        Ok(call)
    }

    /// The file has come.
    pub(super) fn attach(&mut self, parts: Parts) {
        self.parts = Some(parts);
    }

    /// The rest of the body has come.
    pub(super) fn replace(&mut self, body: Bytes, parameters: Parameters) {
        self.body = Some(body);
        self.parameters = parameters;
    }

    /// The parameters.
    pub fn read(&self) -> Read<'_> {
        Read::new(&self.parameters)
    }

    /// The instance a request names, or the token's own.
    pub fn target(&self, read: &mut Read<'_>) -> Option<Target> {
        read.target(self.caller.instance_id)
    }

    /// [`Self::owned`], if the caller may do to it what `scope` names. Another node's ends the handler: the answer comes
    /// from there.
    pub async fn instance(&self, target: Option<Target>, scope: Scope) -> Result<InstanceId, ApiError> {
        let id = self.reach(target, self.caller.may(scope), needs(scope)).await?;
        if self.is_visitor() {
            self.unspent(id).await?;
        }
        Ok(id)
    }

    /// [`Call::instance`] for whoever may know how it stands: the scope `read`, and link tokens, which are told less.
    pub async fn instance_to_tell(&self, target: Option<Target>) -> Result<InstanceId, ApiError> {
        let may = self.is_visitor() || self.caller.may(Scope::Read);
        self.reach(target, may, needs(Scope::Read)).await
    }

    /// [`Call::instance`] for what has the scope of linking and yet is not for the person who links.
    pub async fn instance_unless_visiting(&self, target: Option<Target>, scope: Scope) -> Result<InstanceId, ApiError> {
        let may = !self.is_visitor() && self.caller.may(scope);
        self.reach(target, may, "an account key or an instance token").await
    }

    /// [`Call::instance`] for what any node can do, because it rests on the database alone.
    pub async fn instance_anywhere(&self, target: Option<Target>, scope: Scope) -> Result<InstanceId, ApiError> {
        let id = self.owned(target).await?;
        if self.caller.may(scope) { Ok(id) } else { Err(ApiError::Forbidden { needs: needs(scope) }) }
    }

    /// What the caller proved itself with, for an answer that outlives the request.
    pub fn credential(&self) -> Credential {
        self.credential
    }

    /// The session of the dashboard that calls, if it is one.
    pub fn session(&self) -> Option<Uuid> {
        self.session
    }

    /// The same caller, asking for something else: what a page is made of is what the API tells.
    pub fn asking(&self, query: &[(&str, &str)]) -> Result<Self, ApiError> {
        Ok(Self {
            state: self.state.clone(),
            caller: Arc::clone(&self.caller),
            client: self.client,
            request: self.request.clone(),
            body: self.body.clone(),
            parts: self.parts.clone(),
            parameters: Parameters::of_query(query)?,
            origin: self.origin,
            credential: self.credential,
            session: self.session,
        })
    }

    /// Whether only the head of the answer is wanted.
    pub fn is_head(&self) -> bool {
        self.request.method() == Method::HEAD
    }

    /// Whether `Accept` prefers a stream of events to JSON.
    pub fn prefers_stream(&self) -> bool {
        let forms = [("application/json", false), ("text/event-stream", true)];
        Accept::of(self.request.headers()).choose(&forms).unwrap_or(false)
    }

    /// Whether a link token calls: somebody whom the account does not know.
    pub fn is_visitor(&self) -> bool {
        self.caller.kind == TokenKind::Link
    }

    /// A link that has linked the instance links nothing again, whatever became of the instance. Asked of the store and
    /// not remembered: it must hold on every node from the moment of the scan.
    async fn unspent(&self, id: InstanceId) -> Result<(), ApiError> {
        let mut conn = self.state.store.acquire().await?;
        let used_up = link::is_used_up(&mut conn, id, self.caller.token_id).await?;
        drop(conn);
        // As long as it is linked, the state says it better.
        if used_up && !self.state.sessions.view(id).await?.linked {
            return Err(ApiError::Forbidden { needs: "a new link, since this one was used" });
        }
        Ok(())
    }

    /// The instance, if it is in the caller's reach. Absent, deleted, another tenant's and out of the token's reach are
    /// one answer, after one and the same query.
    pub async fn owned(&self, target: Option<Target>) -> Result<InstanceId, ApiError> {
        let Some(Target::Id(id)) = target else { return Err(ApiError::SessionNotFound) };
        let own = self.caller.instance_id.is_none_or(|own| own == id);
        if !self.state.owns(self.caller.account_id, self.caller.instance_id, id).await? || !own {
            return Err(ApiError::SessionNotFound);
        }
        Span::current().record("instance.id", field::display(id));
        Ok(id)
    }

    async fn reach(&self, target: Option<Target>, may: bool, needs: &'static str) -> Result<InstanceId, ApiError> {
        let id = self.owned(target).await?;
        if !may {
            return Err(ApiError::Forbidden { needs });
        }
        let carried = self.origin != Origin::Client;
        let body = match (&self.body, &self.parts) {
            (Some(body), _) => Some(Cargo::Whole(body.clone())),
            (None, parts) => parts.clone().map(Cargo::Parts),
        };
        let passage = Passage { id, body, client: self.client, carried };
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

    /// What the path holds at a place of its pattern.
    pub fn path(&self, name: &str) -> Option<&str> {
        self.request.match_info().get(name)
    }

    /// The headers it came with.
    pub fn headers(&self) -> &HeaderMap {
        self.request.headers()
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

    /// The limit of questions about people, of this instance; each is one.
    pub fn within_contact_limit(&self, id: InstanceId, questions: NonZeroU32) -> Result<(), ApiError> {
        self.within(self.state.contact_limit.check_many(&id, questions))
    }

    /// The group that the path names, with or without `@g.us`.
    pub fn group(&self, read: &mut Read<'_>) -> Option<ChatId> {
        let text = self.request.match_info().query("group_id");
        let text = if text.contains('@') { text.to_owned() } else { format!("{text}@g.us") };
        let group = ChatId::parse(&text).ok().filter(ChatId::is_group);
        group.or_else(|| read.wrong("group_id", "must be a group's chat id such as 120363025246125486@g.us"))
    }

    /// Whether `Accept` prefers an image to JSON.
    pub fn prefers_image(&self) -> bool {
        let forms = [("application/json", false), ("image/png", true)];
        Accept::of(self.request.headers()).choose(&forms).unwrap_or(false)
    }

    fn within(&self, checked: Result<Standing, Refused>) -> Result<(), ApiError> {
        within(&self.state, &self.request, checked)
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
