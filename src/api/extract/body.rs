//! Reading a request's body: always, whatever the answer.
//!
//! actix closes a connection whose request body was not read, which costs clients with keep-alive four fifths of their
//! throughput (measured: 105k → 22k requests/s). So a body of up to 64 KiB is read before anything is answered; of a
//! larger one that much is read, and then the connection is closed.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures_util::{StreamExt, poll};
use serde_json::{Map, Value};

use crate::api::error::ApiError;

use super::{json, multipart};

/// The largest body of a route that takes no media.
pub(super) const LIMIT: usize = 64 * 1024;

/// A body that is still not there after this long is given up.
const PATIENCE: Duration = Duration::from_secs(30);

/// The fields of a body.
pub(super) enum Fields {
    /// There was no body.
    None,
    /// A JSON object.
    Json(Map<String, Value>),
    /// Pairs of a form of either kind, in their order.
    Form(Vec<(String, String)>),
}

/// Reads the body and throws it away; `Err` if it was longer than that or did not arrive.
pub async fn drain(payload: &mut Payload) -> Result<(), ApiError> {
    read(payload).await.map(|_| ())
}

/// The fields of a body that was read.
pub(super) async fn fields(headers: &HeaderMap, body: &Bytes) -> Result<Fields, ApiError> {
    if body.is_empty() {
        return Ok(Fields::None);
    }
    match Format::of(headers).ok_or(ApiError::UnsupportedMediaType)? {
        Format::Json => json::object(body).map(Fields::Json),
        // What `curl -d '{…}'` sends by itself. Read as a form it would be one nameless field, silently ignored.
        Format::Form if body.starts_with(b"{") => {
            Err(ApiError::MalformedBody("it is JSON, but its Content-Type says form; send application/json"))
        }
        Format::Form => Ok(Fields::Form(form_urlencoded::parse(body).into_owned().collect())),
        Format::Multipart(content_type) => multipart::fields(content_type, body.clone()).await.map(Fields::Form),
    }
}

/// A body of which some has been read.
pub(super) enum Begun {
    /// All of it.
    Whole(Bytes),
    /// As much as other routes take, and more is to come.
    Longer(BytesMut),
}

/// Reads the body to its end, or as far as other routes would take it.
pub(super) async fn begin(payload: &mut Payload) -> Result<Begun, ApiError> {
    let reading = async {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            body.extend_from_slice(&chunk.map_err(|_| ApiError::MalformedBody("it ended before its length"))?);
            if body.len() > LIMIT {
                return Ok(Begun::Longer(body));
            }
        }
        Ok(Begun::Whole(body.freeze()))
    };
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Err(ApiError::BodyTimeout))
}

/// Reads the body to its end, unless it is too large or too slow.
pub(in crate::api) async fn read(payload: &mut Payload) -> Result<Bytes, ApiError> {
    if matches!(payload, Payload::None) {
        return Ok(Bytes::new());
    }
    let mut reading = pin!(read_to_end(payload));
    // A small body comes with its head: only one that does not is worth a timer.
    if let Poll::Ready(body) = poll!(reading.as_mut()) {
        return body;
    }
    tokio::time::timeout(PATIENCE, reading).await.unwrap_or(Err(ApiError::BodyTimeout))
}

async fn read_to_end(payload: &mut Payload) -> Result<Bytes, ApiError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| ApiError::MalformedBody("it ended before its length"))?;
        if body.len() + chunk.len() > LIMIT {
            return Err(ApiError::BodyTooLarge);
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// What a body is written in.
pub(super) enum Format<'a> {
    Json,
    Form,
    /// With the whole `Content-Type`, which names the boundary.
    Multipart(&'a str),
}

impl<'a> Format<'a> {
    /// A body without a type, or `text/plain`, is read as JSON: that is what a browser's
    /// `fetch(…, {body: JSON.stringify(…)})` sends.
    pub(super) fn of(headers: &'a HeaderMap) -> Option<Self> {
        let encoded = headers.get(CONTENT_ENCODING).is_some_and(|encoding| encoding != "identity");
        if encoded {
            return None;
        }
        let Some(content_type) = headers.get(CONTENT_TYPE) else { return Some(Self::Json) };
        let content_type = content_type.to_str().ok()?;
        let essence = content_type.split(';').next()?.trim().to_ascii_lowercase();
        match essence.as_str() {
            "" | "application/json" | "text/plain" => Some(Self::Json),
            "application/x-www-form-urlencoded" => Some(Self::Form),
            "multipart/form-data" => Some(Self::Multipart(content_type)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_http::BoxedPayloadStream;
    use actix_web::error::PayloadError;
    use futures_util::stream;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_body_that_does_not_end_is_given_up() {
        let beginning = stream::iter([Ok::<_, PayloadError>(Bytes::from_static(b"{"))]);
        let endless: BoxedPayloadStream = Box::pin(beginning.chain(stream::pending()));
        let mut payload = Payload::Stream { payload: endless };
        assert!(matches!(read(&mut payload).await, Err(ApiError::BodyTimeout)));
    }
}
