//! The part of the control API that is about messages, and the media server's two routes.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use wacore_binary::Jid;
use wacore_binary::builder::NodeBuilder;

use super::content::Content;
use super::media::MediaRefusal;
use super::{MEDIA_LIMIT, MessageError};
use crate::sandbox::network::Network;

/// The largest body of a request to send: a file of some size, base64.
const SEND_LIMIT: usize = 32 * 1024 * 1024;

/// An answer of this part.
pub(in crate::sandbox) enum Answered {
    /// JSON.
    Json(StatusCode, Value),
    /// A file.
    File(Bytes),
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(in crate::sandbox) enum ApiError {
    /// The body is not what is expected.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// The phone could not do it.
    #[error("{0}")]
    Message(#[from] MessageError),
    /// The route takes another method.
    #[error("this route does not take this method")]
    Method(&'static str),
}

impl MessageError {
    /// The status and code of the answer that reports it.
    pub(in crate::sandbox) fn status_and_code(&self) -> (StatusCode, &'static str) {
        use StatusCode as S;
        match self {
            Self::NoPhone => (S::NOT_FOUND, "phone_not_found"),
            Self::Offline => (S::CONFLICT, "phone_offline"),
            Self::NoRecipient => (S::UNPROCESSABLE_ENTITY, "recipient_not_found"),
            Self::NoMessage => (S::NOT_FOUND, "message_not_found"),
            Self::NotAPoll => (S::UNPROCESSABLE_ENTITY, "not_a_poll"),
            Self::NoSuchOption => (S::UNPROCESSABLE_ENTITY, "no_such_option"),
            Self::NoFile => (S::NOT_FOUND, "file_not_found"),
            Self::Data => (S::BAD_REQUEST, "invalid_parameter"),
            Self::NoGroup => (S::UNPROCESSABLE_ENTITY, "group_not_found"),
            Self::Store(_) => (S::INSUFFICIENT_STORAGE, "file_not_kept"),
            Self::Signal(_) => (S::INTERNAL_SERVER_ERROR, "not_encrypted"),
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Online {
    online: bool,
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
struct Read {
    messages: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Typing {
    to: String,
    state: TypingState,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum TypingState {
    Composing,
    Recording,
    Paused,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    to: String,
    #[serde(default)]
    video: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HangUp {
    to: String,
    call: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Present {
    available: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewGroup {
    creator: String,
    subject: String,
    participants: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    by: String,
    action: Action,
    participants: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Action {
    Add,
    Remove,
    Promote,
    Demote,
}

/// How large a body a route takes; `None` if the route is not one of these.
pub(in crate::sandbox) fn body_limit(path: &str) -> Option<usize> {
    if path.starts_with("/mms/") {
        return Some(MEDIA_LIMIT);
    }
    (path.starts_with("/phones/") && path.ends_with("/send")).then_some(SEND_LIMIT)
}

/// Whether a route is the media server's, to which clients come from WhatsApp's own web origin.
pub(in crate::sandbox) fn is_media(path: &str) -> bool {
    path.starts_with("/mms/")
}

fn ok(value: impl Serialize) -> Answered {
    let value = serde_json::to_value(value).expect("the answers of this API are plain data");
    Answered::Json(StatusCode::OK, value)
}

/// Answers a request about messages or media; `None` if the route is none of these.
pub(in crate::sandbox) fn answer(
    network: &Arc<Network>,
    method: &Method,
    path: &str,
    query: Option<&str>,
    body: &Bytes,
) -> Option<Result<Answered, ApiError>> {
    if is_media(path) {
        return Some(Ok(answer_media(network, method, path, query, body)));
    }
    let parts = path.trim_matches('/').split('/').collect::<Vec<_>>();
    let number = |text: &str| text.strip_prefix('+').unwrap_or(text).to_owned();
    Some(match (parts.as_slice(), method) {
        (["phones", phone, "send"], &Method::POST) => send(network, &number(phone), body),
        (["phones", phone, "inbox"], &Method::GET) => network.inbox(&number(phone)).map_err(ApiError::from).map(ok),
        (["phones", phone, "outbox"], &Method::GET) => network.outbox(&number(phone)).map_err(ApiError::from).map(ok),
        (["phones", phone, "noted"], &Method::GET) => network.noted(&number(phone)).map_err(ApiError::from).map(ok),
        (["phones", phone, "inbox", id, "file"], &Method::GET) => {
            network.file(&number(phone), id).map(|file| Answered::File(file.into())).map_err(ApiError::from)
        }
        (["phones", phone, "online"], &Method::POST) => set_online(network, &number(phone), body),
        (["phones", phone, "read"], &Method::POST) => read(network, &number(phone), body),
        (["phones", phone, "typing"], &Method::POST) => typing(network, &number(phone), body),
        (["phones", phone, "call"], &Method::POST) => call(network, &number(phone), body),
        (["phones", phone, "hang-up"], &Method::POST) => hang_up(network, &number(phone), body),
        (["phones", phone, "presence"], &Method::POST) => presence(network, &number(phone), body),
        (["groups"], &Method::POST) => make_group(network, body),
        (["groups"], &Method::GET) => Ok(ok(network.group_views())),
        (["groups", group, "participants"], &Method::POST) => change_group(network, group, body),
        (
            ["phones", _, "send" | "online" | "read" | "typing" | "presence" | "call" | "hang-up"]
            | ["groups"]
            | ["groups", _, "participants"],
            _,
        ) => Err(ApiError::Method("POST")),
        (["phones", _, "inbox" | "outbox" | "noted"] | ["phones", _, "inbox", _, "file"], _) => {
            Err(ApiError::Method("GET"))
        }
        (_, _) => return None,
    })
}

fn send(network: &Network, number: &str, body: &[u8]) -> Result<Answered, ApiError> {
    use serde::de::Error as _;
    let mut request: serde_json::Map<String, Value> = serde_json::from_slice(body)?;
    let Some(Value::String(to)) = request.remove("to") else {
        return Err(serde_json::Error::custom("`to` names the recipient").into());
    };
    request.entry("kind").or_insert_with(|| json!("text"));
    let content: Content = serde_json::from_value(Value::Object(request))?;
    let sent = network.send(number, &to, &content)?;
    Ok(Answered::Json(StatusCode::CREATED, serde_json::to_value(sent)?))
}

fn set_online(network: &Network, number: &str, body: &[u8]) -> Result<Answered, ApiError> {
    let Online { online } = serde_json::from_slice(body)?;
    if !network.set_online(number, online) {
        return Err(MessageError::NoPhone.into());
    }
    Ok(ok(json!({ "online": online })))
}

fn read(network: &Network, number: &str, body: &[u8]) -> Result<Answered, ApiError> {
    let Read { messages } = if body.is_empty() { Read::default() } else { serde_json::from_slice(body)? };
    let count = network.read(number, messages.as_deref()).ok_or(MessageError::NoPhone)?;
    Ok(ok(json!({ "read": count })))
}

fn typing(network: &Network, number: &str, body: &[u8]) -> Result<Answered, ApiError> {
    let Typing { to, state } = serde_json::from_slice(body)?;
    let state = match state {
        TypingState::Composing => NodeBuilder::new("composing").build(),
        TypingState::Recording => NodeBuilder::new("composing").attr("media", "audio").build(),
        TypingState::Paused => NodeBuilder::new("paused").build(),
    };
    network.type_to(number, &to, state)?;
    Ok(ok(json!({})))
}

fn call(network: &Network, number: &str, body: &[u8]) -> Result<Answered, ApiError> {
    let Call { to, video } = serde_json::from_slice(body)?;
    let call = network.call(number, &to, video)?;
    Ok(Answered::Json(StatusCode::CREATED, json!({ "call": call })))
}

fn hang_up(network: &Network, number: &str, body: &[u8]) -> Result<Answered, ApiError> {
    let HangUp { to, call } = serde_json::from_slice(body)?;
    network.hang_up(number, &to, &call)?;
    Ok(ok(json!({})))
}

fn presence(network: &Network, number: &str, body: &[u8]) -> Result<Answered, ApiError> {
    let Present { available } = serde_json::from_slice(body)?;
    let account = network.account(number).ok_or(MessageError::NoPhone)?;
    network.announce(&account.number, available);
    Ok(ok(json!({ "available": available })))
}

fn make_group(network: &Network, body: &[u8]) -> Result<Answered, ApiError> {
    let NewGroup { creator, subject, participants } = serde_json::from_slice(body)?;
    let group = network.create_group(&creator, &subject, &participants)?;
    Ok(Answered::Json(StatusCode::CREATED, serde_json::to_value(group)?))
}

fn change_group(network: &Network, group: &str, body: &[u8]) -> Result<Answered, ApiError> {
    let Change { by, action, participants } = serde_json::from_slice(body)?;
    let by = network.account(&by).ok_or(MessageError::NoPhone)?;
    let jid: Jid = group.parse().map_err(|_| MessageError::NoGroup)?;
    let numbers =
        participants.iter().map(|member| Ok(network.account(member).ok_or(MessageError::NoRecipient)?.number));
    let numbers = numbers.collect::<Result<BTreeSet<_>, MessageError>>()?;
    let action = match action {
        Action::Add => "add",
        Action::Remove => "remove",
        Action::Promote => "promote",
        Action::Demote => "demote",
    };
    if !network.change_members(&by, &jid, action, &numbers) {
        return Err(MessageError::NoGroup.into());
    }
    Ok(ok(json!({})))
}

fn answer_media(network: &Network, method: &Method, path: &str, query: Option<&str>, body: &Bytes) -> Answered {
    let refused = |status: StatusCode| Answered::Json(status, json!({ "status": status.as_u16() }));
    let query = |name: &str| {
        let mut pairs = form_urlencoded::parse(query.unwrap_or_default().as_bytes());
        pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
    };
    match *method {
        Method::GET => network.media.get(path).map_or_else(|| refused(StatusCode::NOT_FOUND), Answered::File),
        Method::POST if query("resume").is_some() => {
            if network.media.get(path).is_none() {
                return Answered::Json(StatusCode::OK, json!({}));
            }
            let url = network.media.url(path);
            Answered::Json(StatusCode::OK, json!({ "resume": "complete", "url": url, "direct_path": path }))
        }
        Method::POST => match network.media.put(path, query("auth").as_deref(), body.clone()) {
            Ok(()) => {
                let url = network.media.url(path);
                Answered::Json(StatusCode::OK, json!({ "url": url, "direct_path": path }))
            }
            Err(MediaRefusal::Unauthorized) => refused(StatusCode::UNAUTHORIZED),
            Err(MediaRefusal::Hash) => refused(StatusCode::BAD_REQUEST),
            Err(MediaRefusal::Storage) => refused(StatusCode::INSUFFICIENT_STORAGE),
        },
        _ => refused(StatusCode::METHOD_NOT_ALLOWED),
    }
}
