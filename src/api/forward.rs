//! Another node's instance: its request is carried to that node, once, and what that node answers is the answer.
//!
//! Handlers know nothing of it. One that meets an instance of another node ends with [`ApiError::Elsewhere`], from
//! [`Call::instance`](super::extract::Call::instance) as a rule, from the supervisor where the owner changed at that
//! moment; the frame around every answer then asks here. Limits of the instance hold at its owner. Those of the token
//! and of the client's address were drawn from by the node the client talks to, and the owner, which knows a carried
//! request by its passport, leaves them alone.

use std::net::IpAddr;
use std::sync::Arc;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use bytes::Bytes;
use futures_util::StreamExt;
use tracing::{debug, warn};
use uuid::Uuid;

use crate::cluster::Owner;
use crate::cluster::forward::{Body, Carried, CarriedBody, ForwardError, Forwarded};
use crate::cluster::passport::{FORWARDED, Origin, Subject};
use crate::domain::instance::InstanceId;

use super::error::ApiError;
use super::extract::Parts;
use super::routes::matched;
use super::state::ApiState;

/// Where an instance is erased; the node that carried the request there forgets it too.
pub(super) const DELETE: &str = "/v2/session/delete";

/// What carrying a request takes that the request itself no longer holds. Kept among its extensions once it is known
/// which instance it is about.
#[derive(Clone)]
pub(super) struct Passage {
    /// Which instance it is about.
    pub(super) id: InstanceId,
    /// Its body, if it was read to its end.
    pub(super) body: Option<Cargo>,
    /// Whom it is from.
    pub(super) client: IpAddr,
    /// Whether it was carried here.
    pub(super) carried: bool,
}

/// The body of a request that is carried.
#[derive(Debug, Clone)]
pub(super) enum Cargo {
    /// It lies in memory.
    Whole(Bytes),
    /// A file of it lies on disk.
    Parts(Parts),
}

/// Where a request comes from. A passport is good for a body that was read: of one that was not, nobody is believed, but
/// it is not carried on either.
pub(super) fn origin(state: &ApiState, request: &HttpRequest, body: Option<&[u8]>) -> Origin {
    let passport = request.headers().get(FORWARDED.as_str()).and_then(|value| value.to_str().ok());
    let Some(passport) = passport else { return Origin::Client };
    let Some(body) = body else { return Origin::Expired };
    let subject = Subject { method: request.method().as_str(), path_and_query: path_and_query(request), body };
    let origin = state.forwarder.origin(passport, subject, state.clock.now());
    if origin == Origin::Expired {
        warn!("a node's request came with an expired passport: the clocks of the nodes must not be a minute apart");
    }
    origin
}

/// The answer of the node at `addr`, or of whichever owns the instance by then. A request that was carried here is
/// refused with 421 instead, so that none goes in circles.
pub(super) async fn answer(
    state: &ApiState,
    request: &HttpRequest,
    addr: &str,
    request_id: &str,
) -> Result<HttpResponse, ApiError> {
    let passage = request.extensions().get::<Passage>().cloned();
    let Some(passage) = passage else { return Err(ApiError::OwnerUnreachable) };
    let id = passage.id;
    if passage.carried {
        // What this node remembers may be what is wrong.
        state.sessions.forget_owner(id);
        return Err(ApiError::Misdirected);
    }
    let Some(body) = passage.body.clone() else { return Err(ApiError::OwnerUnreachable) };
    let boundary = state.uuid();
    let carried = carried(request, &passage, (body, boundary), request_id);
    state.meter.forwarded();
    let mut outcome = state.forwarder.send(carried.clone(), addr, state.clock.now()).await;
    if matches!(outcome, Err(ForwardError::Misdirected)) {
        state.sessions.forget_owner(id);
        if let Owner::Elsewhere { addr } = state.sessions.owner_of(id).await? {
            outcome = state.forwarder.send(carried, &addr, state.clock.now()).await;
        }
    }
    match outcome {
        Ok(answer) => {
            debug!(instance.id = %id, node.addr = %addr, http.status = answer.status.as_u16(), "the owner answered");
            if matched(request) == Some(DELETE) && answer.status.is_success() {
                state.forget(id);
            }
            Ok(response(state, answer))
        }
        Err(error) => {
            state.sessions.forget_owner(id);
            warn!(
                instance.id = %id, request.id = %request_id, node.addr = %addr,
                error = &error as &dyn std::error::Error, "the owner of an instance could not answer",
            );
            Err(ApiError::OwnerUnreachable)
        }
    }
}

fn carried(request: &HttpRequest, passage: &Passage, (cargo, boundary): (Cargo, Uuid), request_id: &str) -> Carried {
    // The two libraries are on different versions of the crate that defines these types.
    let mut headers = http::HeaderMap::with_capacity(request.headers().len() + 2);
    for (name, value) in request.headers() {
        headers.append(
            name.as_str().parse::<http::HeaderName>().expect("a name is a name"),
            http::HeaderValue::from_bytes(value.as_bytes()).expect("a value is a value"),
        );
    }
    let id = http::HeaderValue::from_str(request_id).expect("an id is made of visible ASCII");
    headers.insert(http::HeaderName::from_static("x-request-id"), id);
    let body = match cargo {
        Cargo::Whole(body) => CarriedBody::Whole(body),
        Cargo::Parts(parts) => {
            let content_type = parts.write(boundary).content_type;
            let content_type = http::HeaderValue::from_str(&content_type).expect("a boundary is visible ASCII");
            headers.insert(http::header::CONTENT_TYPE, content_type);
            CarriedBody::Streamed(Arc::new(move || {
                let written = parts.write(boundary);
                (written.length, written.chunks)
            }))
        }
    };
    // A HEAD travels as the GET whose head it wants: this node then leaves the body out, as it does with its own.
    let method = if request.method() == Method::HEAD { &Method::GET } else { request.method() };
    Carried {
        method: http::Method::from_bytes(method.as_str().as_bytes()).expect("a method is a method"),
        path_and_query: path_and_query(request).to_owned(),
        headers,
        body,
        client: passage.client,
    }
}

fn response(state: &ApiState, answer: Forwarded) -> HttpResponse {
    let status = StatusCode::from_u16(answer.status.as_u16()).expect("a status is a status");
    // The headers first: a body without a type would be given one.
    let mut response = HttpResponse::build(status);
    for (name, value) in &answer.headers {
        response.append_header((
            HeaderName::from_bytes(name.as_str().as_bytes()).expect("a name is a name"),
            HeaderValue::from_bytes(value.as_bytes()).expect("a value is a value"),
        ));
    }
    match answer.body {
        Body::Whole(body) => response.body(body),
        // The owner watches over it; this node only must not wait for its end when it stops.
        Body::Stream(stream) => response.streaming(stream.take_until(state.streams.ending().cancelled_owned())),
    }
}

/// As it stands in the request line.
fn path_and_query(request: &HttpRequest) -> &str {
    request.uri().path_and_query().map_or("/", |whole| whole.as_str())
}
