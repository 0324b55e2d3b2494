//! A request that may bring a file: its body is not read as a whole before it is known who calls.
//!
//! - Multipart: the fields come first, 64 KiB of them at most; with them the request is checked as any other. Then the
//!   part `file` is written to disk as it arrives. Nothing may follow it, because it would come too late to be checked.
//! - JSON may be longer than on other routes, for a file in base64. What is longer than 64 KiB is read only for a caller
//!   who is known by then, by a header or the query, and only of two such requests at a time: it is all in memory.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use multer::{Field, Multipart};
use tokio::sync::mpsc;

use crate::api::error::ApiError;
use crate::api::state::ApiState;
use crate::media::spool::{Arriving, SpoolError, Spooled};

use super::body::{self, Fields, Format, LIMIT};
use super::multipart::{malformed, text};
use super::parameters::Parameters;
use super::parts::Parts;
use super::{Call, drain};

/// The longest JSON body: 16 MiB of base64, which are 12 MiB of a file, and its other parameters.
const JSON_LIMIT: usize = 16 * 1024 * 1024 + LIMIT;

/// Bytes that may come before it is known who calls: the fields, and what the connection has read ahead of them, which is
/// a few of its buffers.
const AHEAD: u64 = 16 * LIMIT as u64;

/// How long nothing may come of a file.
const STALL: Duration = Duration::from_secs(30);

/// How long a file may take to arrive.
const PATIENCE: Duration = Duration::from_mins(15);

/// A request that may proceed, and the file it brought as a part of its body.
pub struct FileCall {
    /// The request, as without a file.
    pub call: Call,
    /// The file.
    pub part: Option<Part>,
}

/// A file that came as a part of a multipart body.
#[derive(Debug, Clone)]
pub struct Part {
    /// The file.
    pub file: Spooled,
    /// The name its sender gave it.
    pub filename: Option<String>,
    /// The type its sender gave it; what stands for "any" is left out.
    pub mimetype: Option<String>,
}

impl FromRequest for FileCall {
    type Error = ApiError;
    type Future = Pin<Box<dyn Future<Output = Result<Self, ApiError>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let request = request.clone();
        let mut payload = payload.take();
        Box::pin(async move {
            match Format::of(request.headers()) {
                Some(Format::Multipart(content_type)) => {
                    let boundary = multer::parse_boundary(content_type)
                        .map_err(|_| ApiError::MalformedBody("its Content-Type names no boundary"))?;
                    tokio::time::timeout(PATIENCE, multipart(request, payload, boundary))
                        .await
                        .unwrap_or(Err(ApiError::BodyTimeout))
                }
                Some(Format::Json | Format::Form) => json(request, payload).await,
                None => {
                    drain(&mut payload).await?;
                    Err(ApiError::UnsupportedMediaType)
                }
            }
        })
    }
}

/// A body that is read as a whole.
async fn json(request: HttpRequest, mut payload: Payload) -> Result<FileCall, ApiError> {
    let beginning = match body::begin(&mut payload).await? {
        body::Begun::Whole(body) => {
            let parameters = Parameters::of(request.headers(), request.query_string(), &body).await?;
            return Ok(FileCall { call: Call::admit(request, Some(body), parameters).await?, part: None });
        }
        body::Begun::Longer(beginning) => beginning,
    };
    let parameters = Parameters::without_body(request.headers(), request.query_string())?;
    let mut call = Call::admit(request.clone(), None, parameters).await?;
    let state = call.state.clone();
    let _room = state.large_bodies.acquire().await.expect("the semaphore is never closed");
    let body =
        tokio::time::timeout(PATIENCE, rest(&mut payload, beginning)).await.unwrap_or(Err(ApiError::BodyTimeout))?;
    let parameters = Parameters::of(request.headers(), request.query_string(), &body).await?;
    call.replace(body, parameters);
    Ok(FileCall { call, part: None })
}

async fn rest(payload: &mut Payload, mut body: BytesMut) -> Result<Bytes, ApiError> {
    while let Some(chunk) = tokio::time::timeout(STALL, payload.next()).await.map_err(|_| ApiError::BodyTimeout)? {
        let chunk = chunk.map_err(|_| ApiError::MalformedBody("it ended before its length"))?;
        if body.len() + chunk.len() > JSON_LIMIT {
            return Err(ApiError::FileTooLarge { max: JSON_LIMIT as u64 });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The reader of parts must be able to move between threads, which the payload cannot: it is handed over chunk by chunk.
async fn multipart(request: HttpRequest, mut payload: Payload, boundary: String) -> Result<FileCall, ApiError> {
    let (sender, mut chunks) = mpsc::channel::<Result<Bytes, Broken>>(1);
    // The head of a part is read into memory however long it is, so what may still come is counted here.
    let allowance = Rc::new(Cell::new(AHEAD));
    let left = Rc::clone(&allowance);
    let pump = async move {
        loop {
            let chunk = match tokio::time::timeout(STALL, payload.next()).await {
                Ok(Some(Ok(chunk))) => match left.get().checked_sub(chunk.len() as u64) {
                    Some(rest) => {
                        left.set(rest);
                        Ok(chunk)
                    }
                    None => Err(Broken::TooLong),
                },
                Ok(Some(Err(_))) => Err(Broken::Ended),
                Ok(None) => break,
                Err(_) => Err(Broken::Stalled),
            };
            if sender.send(chunk).await.is_err() {
                break;
            }
        }
        drop(sender);
        std::future::pending::<()>().await;
    };
    let stream: BoxStream<'static, Result<Bytes, Broken>> =
        futures_util::stream::poll_fn(move |context| chunks.poll_recv(context)).boxed();
    let reading = read_parts(request, Multipart::new(stream, boundary), &allowance);
    tokio::select! {
        biased;
        outcome = reading => outcome,
        () = pump => Err(ApiError::BodyTimeout),
    }
}

/// Why a body ends.
#[derive(Debug, Clone, Copy, thiserror::Error)]
enum Broken {
    #[error("it ended before its length")]
    Ended,
    #[error("it did not arrive in time")]
    Stalled,
    #[error("it is longer than it may be")]
    TooLong,
}

async fn read_parts(
    request: HttpRequest,
    mut parts: Multipart<'static>,
    allowance: &Cell<u64>,
) -> Result<FileCall, ApiError> {
    let mut fields = Vec::new();
    let mut length = 0;
    let file = loop {
        let Some(mut part) = parts.next_field().await.map_err(broken)? else { break None };
        let name = part.name().map(ToOwned::to_owned).ok_or(ApiError::MalformedBody("a part of it has no name"))?;
        if name == "file" && part.file_name().is_some_and(|name| !name.is_empty()) {
            break Some(part);
        }
        let is_file = part.file_name().is_some();
        let mut value = Vec::new();
        while let Some(chunk) = part.chunk().await.map_err(broken)? {
            length += chunk.len();
            if length > LIMIT {
                return Err(ApiError::BodyTooLarge);
            }
            value.extend_from_slice(&chunk);
        }
        match (is_file, value.is_empty()) {
            (false, _) => fields.push((name, text(value)?)),
            // What a browser sends for a file input in which nothing was chosen.
            (true, true) => {}
            (true, false) => return Err(ApiError::MalformedBody("it holds a file that is not called file")),
        }
        length += 1;
    };
    let parameters = Parameters::with(request.headers(), request.query_string(), Fields::Form(fields.clone()))?;
    let mut call = Call::admit(request, None, parameters).await?;
    let Some(part) = file else { return Ok(FileCall { call, part: None }) };
    allowance.set(call.state.library.spool().max_bytes().saturating_add(LIMIT as u64));
    let part = take(&call.state, part).await?;
    allowance.set(LIMIT as u64);
    match parts.next_field().await.map_err(broken)? {
        None => {
            call.attach(Parts { fields, file: part.clone() });
            Ok(FileCall { call, part: Some(part) })
        }
        Some(_) => Err(ApiError::MalformedBody("the file must be its last part")),
    }
}

/// Writes a part to disk as it arrives.
async fn take(state: &Data<ApiState>, mut part: Field<'static>) -> Result<Part, ApiError> {
    let filename = part.file_name().map(ToOwned::to_owned);
    let mimetype = part.content_type().map(ToString::to_string).filter(|told| told != "application/octet-stream");
    let mut arriving: Arriving = state.library.spool().begin().await.map_err(SpoolError::Io)?;
    while let Some(chunk) = part.chunk().await.map_err(broken)? {
        arriving.write(&chunk).await?;
    }
    Ok(Part { file: arriving.finish().await.map_err(SpoolError::Io)?, filename, mimetype })
}

fn broken(error: multer::Error) -> ApiError {
    if let multer::Error::StreamReadFailed(cause) = &error {
        return match cause.downcast_ref::<Broken>() {
            Some(Broken::Stalled) => ApiError::BodyTimeout,
            Some(Broken::TooLong) => ApiError::BodyTooLarge,
            Some(Broken::Ended) | None => ApiError::MalformedBody("it ended before its length"),
        };
    }
    malformed(error)
}

impl From<SpoolError> for ApiError {
    fn from(error: SpoolError) -> Self {
        match error {
            SpoolError::TooLarge { max } => Self::FileTooLarge { max },
            SpoolError::Io(_) => Self::Internal(Box::new(error)),
        }
    }
}
