//! The way of every message: read, claimed by its idempotency key, accepted, answered.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::http::header::HeaderValue;
use chrono::{DateTime, TimeDelta, Utc};
use rand::RngExt;
use serde_json::{Value, json};

use crate::api::auth::retry_after;
use crate::api::error::{ApiError, StatusMismatch};
use crate::api::extract::{Call, Read, Target as Named};
use crate::api::idempotency::{REPLAYED, Turn};
use crate::domain::chat_id::ChatId;
use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Author, Content, Message, Over, Quote, Target};
use crate::domain::session::Status;
use crate::domain::token::Scope;
use crate::limit::Policy;
use crate::store::idempotency::Answer;
use crate::store::outbound::OutboundError;
use crate::supervisor::{Kept, Letter, SendRefusal};

use super::document::{Accepted, answer};

/// What the kinds of messages have in common, as a request gives it.
pub(in crate::api) struct Form {
    target: Option<Named>,
    key: Option<String>,
    ttl: Option<TimeDelta>,
    over: Option<Over>,
    /// The message that is answered, and who wrote it.
    reply_to: Option<Reference>,
}

/// A message that a request names.
#[derive(Debug, Clone)]
pub(in crate::api) struct Reference {
    pub(in crate::api) id: MessageId,
    participant: Option<ChatId>,
    from_me: Option<bool>,
}

impl Reference {
    /// Reads a message's id from `name`, and beside it who wrote the message.
    pub(in crate::api) fn read(read: &mut Read<'_>, name: &'static str) -> Option<Self> {
        let id = read.message_id(name);
        let (participant, from_me) = (read.maybe_chat("participant"), read.boolean("from_me"));
        if participant.as_ref().is_some_and(ChatId::is_group) {
            read.wrong::<()>("participant", "must be a person");
        }
        id.map(|id| Self { id, participant, from_me })
    }

    /// One's own message, unless somebody else is named as its author.
    pub(in crate::api) fn own_unless_told(self) -> Self {
        let from_me = self.from_me.or(Some(self.participant.is_none()));
        Self { from_me, ..self }
    }

    /// Whether somebody else wrote it.
    pub(in crate::api) fn is_of_another(&self) -> bool {
        self.from_me != Some(true)
    }

    fn told(&self) -> Value {
        json!({ "id": self.id, "participant": self.participant, "from_me": self.from_me })
    }
}

impl Form {
    /// Reads what every message takes.
    pub(in crate::api) fn read(call: &Call, read: &mut Read<'_>) -> Self {
        let (key, target) = (call.idempotency_key(read), call.target(read));
        Self { key, target, ttl: read.ttl(), over: read.over(), reply_to: None }
    }

    /// Reads what every message takes that may answer another.
    pub(in crate::api) fn read_with_reply(call: &Call, read: &mut Read<'_>) -> Self {
        let form = Self::read(call, read);
        Self { reply_to: Reference::read(read, "reply_to"), ..form }
    }

    /// The instance, if the caller may send with it.
    pub(in crate::api) async fn instance(&self, call: &Call) -> Result<InstanceId, ApiError> {
        call.instance(self.target, Scope::Send).await
    }

    /// Accepts the message that `content` makes, and answers.
    pub(in crate::api) async fn send(
        self,
        call: &Call,
        operation: &'static str,
        chat_and_asked: (ChatId, Value),
        content: impl FnOnce(Option<Quote>) -> Content,
    ) -> Result<HttpResponse, ApiError> {
        let nothing = async |_, _: &MessageId| Ok(());
        self.send_prepared(call, operation, chat_and_asked, nothing, |(), quote| content(quote)).await
    }

    /// Accepts the message that `content` makes of what `prepare` gives, and answers. `asked` is what makes two requests the
    /// same besides what this form holds; `content` is given the message that is answered.
    pub(in crate::api) async fn send_prepared<T>(
        self,
        call: &Call,
        operation: &'static str,
        (chat, asked): (ChatId, Value),
        prepare: impl AsyncFnOnce(InstanceId, &MessageId) -> Result<T, ApiError>,
        content: impl FnOnce(T, Option<Quote>) -> Content,
    ) -> Result<HttpResponse, ApiError> {
        let id = self.instance(call).await?;
        let Self { target: _, key, ttl, over, reply_to } = self;
        let request = json!({
            "instance": id, "chat": chat, "ttl": ttl.map(|ttl| ttl.num_seconds()), "over": over,
            "reply_to": reply_to.as_ref().map(Reference::told), "content": asked,
        });
        let claim = match call.claim(key, operation, &request).await? {
            Turn::Ours(claim) => claim,
            Turn::Answered(kept) => {
                let accepted: Accepted =
                    serde_json::from_str(&kept.body).map_err(|error| ApiError::Internal(error.into()))?;
                return replayed(call, id, &accepted).await;
            }
        };
        let sent = async {
            let quote = match &reply_to {
                Some(reference) => Some(quoted(call, id, &chat, reference).await?),
                None => None,
            };
            let message_id = MessageId::generate(&mut call.state.rng());
            let prepared = prepare(id, &message_id).await?;
            let queued =
                Accepted::queued(message_id.to_string(), chat.to_string(), call.state.clock.now().timestamp_millis());
            let body = serde_json::to_string(&queued).expect("our documents have no keys but text");
            let kept = Answer { status: StatusCode::ACCEPTED.as_u16(), body, secret: None };
            let letter = Letter {
                id: message_id,
                message: Message { chat, content: content(prepared, quote) },
                ttl: ttl.unwrap_or(call.state.message_ttl),
                over,
            };
            let kept = claim.held(call).map(|claim| Kept { claim, answer: kept });
            let left = letter.message.content.has_file().then(|| letter.id.clone());
            let sent = call.state.sessions.send(id, letter, kept).await;
            if let (Err(error), Some(message_id)) = (&sent, left)
                && is_not_accepted(error)
                && let Err(error) = call.state.library.discard(id, message_id.as_str()).await
            {
                tracing::debug!(error = &error as &dyn std::error::Error, "a file that is not sent stays for a day");
            }
            sent.map_err(|error| refusal(error, call.state.clock.now()))
        };
        match sent.await {
            Ok(message) => answer(&message),
            Err(error) => {
                // A message that was accepted has its answer, and this lets nothing of it go.
                claim.release(call).await;
                Err(error)
            }
        }
    }
}

/// Whether a refusal says for certain that the message is not in the outbox.
fn is_not_accepted(refusal: &SendRefusal) -> bool {
    match refusal {
        SendRefusal::NotTaken { .. } | SendRefusal::TooFast { .. } | SendRefusal::ClaimLost => true,
        SendRefusal::NotFound
        | SendRefusal::NotRetriable { .. }
        | SendRefusal::Unreachable
        | SendRefusal::Supervisor(_)
        | SendRefusal::Outbound(_)
        | SendRefusal::Vault(_) => false,
    }
}

/// The answer that was given before, as it would be given now.
async fn replayed(call: &Call, id: InstanceId, accepted: &Accepted) -> Result<HttpResponse, ApiError> {
    let message_id = MessageId::parse(&accepted.id).map_err(|error| ApiError::Internal(error.into()))?;
    let mut response = match call.state.sessions.message(id, &message_id).await {
        Ok(message) => answer(&message)?,
        // It is forgotten; what was said of it first still holds.
        Err(SendRefusal::NotFound) => crate::api::respond::json(StatusCode::ACCEPTED, accepted),
        Err(error) => return Err(refusal(error, call.state.clock.now())),
    };
    response.headers_mut().insert(REPLAYED, HeaderValue::from_static("true"));
    Ok(response)
}

/// A message that a new one answers: what it says is known if it was sent through this gateway.
async fn quoted(call: &Call, id: InstanceId, chat: &ChatId, reference: &Reference) -> Result<Quote, ApiError> {
    let (target, text) = referred(call, id, chat, reference).await?;
    let text = text.and_then(|content| match content {
        Content::Text { text, .. } | Content::Edit { text, .. } => Some(text),
        Content::Poll { poll, .. } => Some(poll.question),
        Content::File { caption, .. } => caption,
        Content::Location { .. } | Content::Contact { .. } | Content::Reaction { .. } | Content::Revoke { .. } => None,
    });
    Ok(Quote { target, text })
}

/// Who wrote a message that a request names, and what it says if this gateway sent it.
pub(in crate::api) async fn referred(
    call: &Call,
    id: InstanceId,
    chat: &ChatId,
    reference: &Reference,
) -> Result<(Target, Option<Content>), ApiError> {
    let target = |author| Target { id: reference.id.clone(), author };
    match call.state.sessions.message(id, &reference.id).await {
        Ok(sent) => return Ok((target(Author::Me), Some(sent.message.content))),
        Err(SendRefusal::NotFound) => {}
        Err(error) => return Err(refusal(error, call.state.clock.now())),
    }
    let author = match (&reference.participant, reference.from_me) {
        (_, Some(true)) => Author::Me,
        (Some(participant), _) => Author::Other(participant.clone()),
        (None, _) if !chat.is_group() => Author::Other(chat.clone()),
        (None, _) => {
            let mut read = call.read();
            // In a group an id alone says nothing.
            read.missing::<()>("participant");
            read.finish()?;
            Author::Me
        }
    };
    Ok((target(author), None))
}

/// Draws what a poll's votes are encrypted with.
pub(super) fn secret(call: &Call) -> [u8; 32] {
    call.state.rng().random()
}

/// Why a message was not accepted, as the contract says it.
pub(in crate::api) fn refusal(refusal: SendRefusal, now: DateTime<Utc>) -> ApiError {
    match refusal {
        SendRefusal::NotTaken { view } => {
            let retry_after = view.recovering.then(|| retry_after(&view, now));
            ApiError::SessionStatus(StatusMismatch {
                code: "session_status_mismatch",
                instance_id: view.instance_id,
                status: view.status,
                expected: &[Status::Working],
                recovering: retry_after.is_some(),
                retry_after,
            })
        }
        SendRefusal::TooFast { retry_after, pace } => {
            let policy = Policy::per_minute("messages", pace.per_minute);
            ApiError::RateLimited(policy.refuse(retry_after.to_std().unwrap_or(Duration::ZERO)))
        }
        SendRefusal::ClaimLost => ApiError::IdempotencyKeyInUse,
        SendRefusal::NotFound => ApiError::MessageNotFound,
        SendRefusal::NotRetriable { state } => ApiError::MessageNotRetriable { state: state.shown() },
        SendRefusal::Unreachable => ApiError::UpstreamUnreachable,
        SendRefusal::Supervisor(error) => error.into(),
        SendRefusal::Outbound(OutboundError::Store(error)) => error.into(),
        SendRefusal::Outbound(error) => ApiError::Internal(error.into()),
        SendRefusal::Vault(error) => error.into(),
    }
}
