//! The control API: phones, scans, devices, faults and the speed of the codes, for tests and demos.
//!
//! It asks for no credential, so it must not be reachable from a web page: a request whose `Host` is not this listener's
//! own, or with an `Origin` that is not, is refused (a page could otherwise be rebound to the loopback address).

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, ORIGIN};
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::body::Incoming;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use wacore::net::WHATSAPP_WEB_ORIGIN;

use super::device::DeviceId;
use super::fault::{FaultId, FaultKind, FaultSpec};
use super::messages::{MessageError, api as messages};
use super::network::{Network, PhoneError, ScanError};

/// The largest body that is read.
const BODY_LIMIT: usize = 64 * 1024;

/// An answer of the control API.
pub(super) type Answer = Response<Full<Bytes>>;

/// The control API of one network.
pub(super) struct Control {
    network: Arc<Network>,
    local_addr: SocketAddr,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct NewPhone {
    number: Option<String>,
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scan {
    value: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TypeCode {
    code: String,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Unlink {
    device: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Picture {
    data: Option<String>,
}

#[derive(Serialize)]
struct PictureSet {
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewFault {
    kind: FaultKind,
    #[serde(default)]
    device: Option<String>,
    #[serde(default)]
    seconds: Option<u64>,
    #[serde(default)]
    count: Option<u32>,
    #[serde(default)]
    delay_ms: Option<u64>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct ClockSpeed {
    rotation_factor: f64,
}

#[derive(Serialize)]
struct Linked {
    device: String,
}

#[derive(Serialize)]
struct Unlinked {
    unlinked: usize,
}

#[derive(Serialize)]
struct FaultMade {
    id: FaultId,
}

#[derive(Serialize)]
struct ErrorBody<'a> {
    status: u16,
    error: &'a str,
    code: &'a str,
    message: &'a str,
}

/// Why a request was not carried out.
#[derive(Debug, thiserror::Error)]
enum ControlError {
    #[error("this API answers only to its own host, and to no web page of another origin")]
    Foreign,
    #[error("there is no such route")]
    NoRoute,
    #[error("this route does not take this method")]
    Method(&'static str),
    #[error("the body is larger than 64 KiB or could not be read")]
    Body,
    #[error("the body is not the JSON expected here: {0}")]
    Json(#[source] serde_json::Error),
    #[error("{0}")]
    Phone(#[from] PhoneError),
    #[error("{0}")]
    Scan(#[from] ScanError),
    #[error("there is no such fault")]
    NoFault,
    #[error("a device is named as number:device@s.whatsapp.net")]
    Device,
    #[error("rotation_factor is a number from 1 to 10000")]
    Factor,
    #[error("{0}")]
    Message(#[from] MessageError),
}

impl ControlError {
    fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::Foreign => (S::FORBIDDEN, "forbidden"),
            Self::NoRoute => (S::NOT_FOUND, "not_found"),
            Self::Method(_) => (S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Body => (S::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Json(_) => (S::BAD_REQUEST, "malformed_body"),
            Self::Phone(PhoneError::Number) | Self::Device | Self::Factor => (S::BAD_REQUEST, "invalid_parameter"),
            Self::Phone(PhoneError::Exists) => (S::CONFLICT, "phone_exists"),
            Self::Scan(ScanError::NoPhone) => (S::NOT_FOUND, "phone_not_found"),
            Self::Scan(ScanError::NotACode) => (S::UNPROCESSABLE_ENTITY, "not_a_code"),
            Self::Scan(ScanError::Unknown) => (S::CONFLICT, "code_unknown"),
            Self::Scan(ScanError::Expired) => (S::CONFLICT, "code_expired"),
            Self::Scan(ScanError::Used) => (S::CONFLICT, "code_used"),
            Self::Scan(ScanError::Refused) => (S::CONFLICT, "link_refused"),
            Self::Scan(ScanError::Silent) => (S::GATEWAY_TIMEOUT, "device_silent"),
            Self::Message(error) => error.status_and_code(),
            Self::NoFault => (S::NOT_FOUND, "fault_not_found"),
        }
    }
}

impl From<messages::ApiError> for ControlError {
    fn from(error: messages::ApiError) -> Self {
        match error {
            messages::ApiError::Json(error) => Self::Json(error),
            messages::ApiError::Message(error) => Self::Message(error),
            messages::ApiError::Method(allowed) => Self::Method(allowed),
        }
    }
}

fn answered_messages(answered: messages::Answered) -> Answer {
    match answered {
        messages::Answered::Json(status, value) => json(status, &value),
        messages::Answered::File(file) => {
            let mut answer = empty(StatusCode::OK);
            *answer.body_mut() = Full::from(file);
            answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
            answer
        }
    }
}

type Outcome = Result<Answer, ControlError>;

impl Control {
    /// The API of `network` as it is reached at `local_addr`.
    pub(super) fn new(network: Arc<Network>, local_addr: SocketAddr) -> Self {
        Self { network, local_addr }
    }

    /// Answers one request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        // Read first, whatever comes of it: an unread body costs the connection.
        let body = Limited::new(body, messages::body_limit(path).unwrap_or(BODY_LIMIT))
            .collect()
            .await
            .map(Collected::to_bytes);
        let outcome = match body {
            _ if !self.is_own(&head.headers, messages::is_media(path)) => Err(ControlError::Foreign),
            Err(_) => Err(ControlError::Body),
            Ok(body) => match messages::answer(&self.network, &head.method, path, head.uri.query(), &body) {
                Some(answered) => answered.map(answered_messages).map_err(ControlError::from),
                None => self.route(&head.method, path, &body).await,
            },
        };
        outcome.unwrap_or_else(|error| error_answer(&error))
    }

    /// Whether a request comes from this host; clients of the media server come with WhatsApp's web origin.
    fn is_own(&self, headers: &HeaderMap, is_media: bool) -> bool {
        let is_own = |authority: &str| {
            let port = self.local_addr.port();
            [format!("{}", self.local_addr), format!("localhost:{port}")].iter().any(|own| own == authority)
        };
        let text = |name| headers.get(name).map(HeaderValue::to_str);
        let host = matches!(text(HOST), Some(Ok(host)) if is_own(host));
        let origin = match text(ORIGIN) {
            None => true,
            Some(Ok(origin)) if is_media && origin == WHATSAPP_WEB_ORIGIN => true,
            Some(Ok(origin)) => origin.strip_prefix("http://").is_some_and(is_own),
            Some(Err(_)) => false,
        };
        host && origin
    }

    async fn route(&self, method: &Method, path: &str, body: &[u8]) -> Outcome {
        let parts = path.trim_matches('/').split('/').collect::<Vec<_>>();
        match (parts.as_slice(), method) {
            (["phones"], &Method::POST) => {
                let NewPhone { number, name } = read_or_default(body)?;
                Ok(json(StatusCode::CREATED, &self.network.add_phone(number, name)?))
            }
            (["phones", number, "scan"], &Method::POST) => {
                let Scan { value } = read(body)?;
                let device = self.network.scan(number, &value).await?;
                Ok(json(StatusCode::OK, &Linked { device: device.to_string() }))
            }
            (["phones", number, "type-code"], &Method::POST) => {
                let TypeCode { code } = read(body)?;
                let device = self.network.type_code(number, &code).await?;
                Ok(json(StatusCode::OK, &Linked { device: device.to_string() }))
            }
            (["phones", number, "unlink"], &Method::POST) => {
                let device = device(read_or_default::<Unlink>(body)?.device.as_deref())?;
                let unlinked = self.network.unlink(number, device.as_ref()).ok_or(ScanError::NoPhone)?;
                Ok(json(StatusCode::OK, &Unlinked { unlinked }))
            }
            (["phones", number, "picture"], &Method::POST) => {
                let Picture { data } = read(body)?;
                Ok(json(StatusCode::OK, &PictureSet { url: self.network.set_picture(number, data.as_deref())? }))
            }
            (["phones", number, "chats"], &Method::GET) => {
                Ok(json(StatusCode::OK, &self.network.chats(number).ok_or(ScanError::NoPhone)?))
            }
            (["devices"], &Method::GET) => Ok(json(StatusCode::OK, &self.network.devices())),
            (["faults"], &Method::POST) => {
                let NewFault { kind, device: named, seconds, count, delay_ms } = read(body)?;
                let spec = FaultSpec { kind, device: device(named.as_deref())?, seconds, count, delay_ms };
                Ok(json(StatusCode::CREATED, &FaultMade { id: self.network.add_fault(&spec) }))
            }
            (["faults", id], &Method::DELETE) => {
                let id = id.parse().map(FaultId).map_err(|_| ControlError::NoFault)?;
                if !self.network.remove_fault(id) {
                    return Err(ControlError::NoFault);
                }
                Ok(empty(StatusCode::NO_CONTENT))
            }
            (["clock"], &Method::POST) => {
                let speed: ClockSpeed = read(body)?;
                if !(1.0..=10_000.0).contains(&speed.rotation_factor) {
                    return Err(ControlError::Factor);
                }
                self.network.set_factor(speed.rotation_factor);
                Ok(json(StatusCode::OK, &speed))
            }
            (["phones" | "faults" | "clock"] | ["phones", _, "scan" | "type-code" | "unlink" | "picture"], _) => {
                Err(ControlError::Method("POST"))
            }
            (["devices"] | ["phones", _, "chats"], _) => Err(ControlError::Method("GET")),
            (["faults", _], _) => Err(ControlError::Method("DELETE")),
            (_, _) => Err(ControlError::NoRoute),
        }
    }
}

fn device(named: Option<&str>) -> Result<Option<DeviceId>, ControlError> {
    named.map(|text| DeviceId::parse(text).ok_or(ControlError::Device)).transpose()
}

fn read<T: DeserializeOwned>(body: &[u8]) -> Result<T, ControlError> {
    serde_json::from_slice(body).map_err(ControlError::Json)
}

fn read_or_default<T: DeserializeOwned + Default>(body: &[u8]) -> Result<T, ControlError> {
    if body.trim_ascii().is_empty() { Ok(T::default()) } else { read(body) }
}

fn empty(status: StatusCode) -> Answer {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = status;
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

fn json(status: StatusCode, value: &impl Serialize) -> Answer {
    let mut answer = empty(status);
    let body = serde_json::to_vec(value).expect("the answers of this API are plain data");
    *answer.body_mut() = Full::from(body);
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    answer
}

fn error_answer(error: &ControlError) -> Answer {
    let (status, code) = error.status_and_code();
    let message = error.to_string();
    let reason = status.canonical_reason().unwrap_or_default();
    let mut answer = json(status, &ErrorBody { status: status.as_u16(), error: reason, code, message: &message });
    if let ControlError::Method(allowed) = error {
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    }
    answer
}
