//! `multipart/form-data` (RFC 7578), as far as it holds text: a field is a parameter like any other.
//!
//! A body without a file is small and is read whole; a file is refused rather than dropped, because who sends one expects
//! it to arrive. Routes that take one read their body as it arrives ([`super::file`]).

use std::convert::Infallible;
use std::future::ready;

use bytes::Bytes;
use futures_util::stream;
use multer::Multipart;

use crate::api::error::ApiError;

/// The fields of a body that was read, in their order.
pub(super) async fn fields(content_type: &str, body: Bytes) -> Result<Vec<(String, String)>, ApiError> {
    let boundary = multer::parse_boundary(content_type)
        .map_err(|_| ApiError::MalformedBody("its Content-Type names no boundary"))?;
    let mut parts = Multipart::new(stream::once(ready(Ok::<_, Infallible>(body))), boundary);
    let mut fields = Vec::new();
    while let Some(part) = parts.next_field().await.map_err(malformed)? {
        let name = part.name().map(ToOwned::to_owned).ok_or(ApiError::MalformedBody("a part of it has no name"))?;
        let file = part.file_name().map(str::is_empty);
        let value = part.bytes().await.map_err(malformed)?;
        match file {
            None => {}
            // What a browser sends for a file input in which nothing was chosen.
            Some(nameless) if nameless && value.is_empty() => continue,
            Some(_) => return Err(ApiError::MalformedBody("it holds a file, and this route takes none")),
        }
        fields.push((name, text(value.into())?));
    }
    Ok(fields)
}

/// A field's value.
pub(super) fn text(value: Vec<u8>) -> Result<String, ApiError> {
    String::from_utf8(value).map_err(|_| ApiError::MalformedBody("a field is not UTF-8"))
}

#[expect(clippy::needless_pass_by_value, reason = "for `map_err`")]
pub(super) fn malformed(error: multer::Error) -> ApiError {
    match error {
        multer::Error::IncompleteFieldData { .. }
        | multer::Error::IncompleteHeaders
        | multer::Error::IncompleteStream => ApiError::MalformedBody("it ended before its last boundary"),
        _ => ApiError::MalformedBody("it is not multipart/form-data"),
    }
}
