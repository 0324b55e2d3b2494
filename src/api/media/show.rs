//! `GET /v2/media/{message_id}`: the file of a message.

use actix_web::body::SizedStream;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_RANGE, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, HeaderMap,
    IF_NONE_MATCH, IF_RANGE, RANGE,
};
use actix_web::{HttpResponse, HttpResponseBuilder, web};
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::openapi::answers::{EveryRoute, OfFile, OfInstance, OfStatus};
use crate::domain::instance::InstanceId;
use crate::domain::token::Scope;
use crate::media::library::Book;

use super::disposition;
use super::obtain::obtain;
use super::range::{Wanted, wanted};

/// Gives out the file of a message.
///
/// It is brought from WhatsApp when it is first asked for, which needs the session to be `WORKING`; from then on it is kept
/// here, encrypted, for the time the operator has set. `Range` asks for a part of it: one range, in bytes. The media type
/// and the name are the sender's; whatever is no picture, film or sound is sent as an attachment, and no browser runs
/// anything in it. 410 if WhatsApp has it no more.
#[utoipa::path(
    get, path = "/v2/media/{message_id}", tag = "Messages",
    params(
        ("message_id" = String, Path, description = "The message's id, as its event has it.", max_length = 256,
            example = "3EB0C767D097B7C7C030"),
        ("instance_id" = InstanceId, Query),
        ("Range" = Option<String>, Header, description = "A part of the file.", example = "bytes=0-1023"),
    ),
    responses(
        (status = 200, description = "The file.", content_type = "*/*", body = Vec<u8>,
            headers(("ETag"), ("Accept-Ranges"), ("Content-Disposition"))),
        (status = 206, description = "The part that was asked for.", content_type = "*/*",
            body = Vec<u8>, headers(("ETag"), ("Content-Range"), ("Content-Disposition"))),
        (status = 304, description = "What `If-None-Match` names is still current.", headers(("ETag"))),
        EveryRoute, OfInstance, OfStatus, OfFile,
    ),
)]
#[tracing::instrument(skip_all, fields(instance.id))]
pub async fn show(call: Call, message_id: web::Path<String>) -> Result<HttpResponse, ApiError> {
    let mut read = call.read();
    let target = call.target(&mut read);
    read.finish()?;
    let id = call.instance(target, Scope::Read).await?;
    let book = obtain(&call.state, id, &message_id).await?;
    answer(call.headers(), &message_id, book).await
}

async fn answer(headers: &HeaderMap, message_id: &str, book: Book) -> Result<HttpResponse, ApiError> {
    let etag = etag(&book);
    if names(headers, &etag) {
        return Ok(HttpResponse::NotModified().insert_header((ETAG, etag)).finish());
    }
    let mut answer = HttpResponse::Ok();
    let length = book.length;
    let part = match wanted(asked(headers, &etag), length) {
        Wanted::Whole => 0..length,
        Wanted::Part(part) => {
            answer.status(StatusCode::PARTIAL_CONTENT);
            answer.insert_header((CONTENT_RANGE, format!("bytes {}-{}/{length}", part.start, part.end - 1)));
            part
        }
        Wanted::Beyond => return Err(ApiError::RangeNotSatisfiable { length }),
    };
    describe(&mut answer, message_id, &book, etag);
    let many = part.end - part.start;
    let stream = book.read(part).await.map_err(|error| ApiError::Internal(Box::new(error)))?;
    Ok(answer.body(SizedStream::new(many, stream)))
}

fn describe(answer: &mut HttpResponseBuilder, message_id: &str, book: &Book, etag: String) {
    let media_type = disposition::media_type(book.reference.mimetype.as_deref());
    let disposition = disposition::disposition(&media_type, book.reference.filename.as_deref(), message_id);
    answer
        .insert_header((ACCEPT_RANGES, "bytes"))
        .insert_header((ETAG, etag))
        .insert_header((CONTENT_DISPOSITION, disposition))
        .insert_header((CONTENT_TYPE, media_type))
        // It is a stranger's file, and may be a page.
        .insert_header((CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"));
}

/// The file never changes, and what WhatsApp calls it is the hash of its encrypted form.
fn etag(book: &Book) -> String {
    let hash = &book.reference.enc_sha256;
    format!("\"{}\"", BASE64_URL_SAFE_NO_PAD.encode(&hash[..hash.len().min(16)]))
}

/// The range that is asked for, unless it is meant for another version of the file.
fn asked<'a>(headers: &'a HeaderMap, etag: &str) -> Option<&'a str> {
    let is_another = headers.get(IF_RANGE).is_some_and(|version| version.as_bytes() != etag.as_bytes());
    headers.get(RANGE).filter(|_| !is_another)?.to_str().ok()
}

fn names(headers: &HeaderMap, etag: &str) -> bool {
    let named = headers.get_all(IF_NONE_MATCH).filter_map(|value| value.to_str().ok());
    named
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|tag| tag == "*" || tag.trim_start_matches("W/") == etag)
}
