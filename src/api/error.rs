//! The one error of the API: its HTTP status, its stable code, and what a client may know of it.
//!
//! A handler returns it; `answer` renders it, because only there the request's id is known: what a client is told is put
//! together once, in [`ErrorBody`], and written in the [`Rendering`] the client would rather have.

use std::error::Error;

use actix_web::http::StatusCode;
use actix_web::{HttpResponse, ResponseError};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::instance::InstanceId;
use crate::domain::message_id::MessageId;
use crate::domain::outgoing::{Failure, State};
use crate::domain::session::Status;
use crate::limit::Refused;

mod body;
mod markup;
mod rendering;
mod sources;
#[cfg(test)]
mod tests;

pub use body::ErrorBody;
pub use rendering::Rendering;

/// Seconds to wait when nothing better is known.
pub const DEFAULT_RETRY_AFTER: u64 = 10;

/// Seconds to wait for the database: a server that was started anew takes no longer.
const DATABASE_RETRY_AFTER: u64 = 2;

/// Seconds to wait when WhatsApp was asked too often. It does not say how long; shorter than this is of no use.
const UPSTREAM_RATE_LIMITED: u64 = 60;

/// Why a request was not served.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// No such route.
    #[error("There is no such route.")]
    NotFound,
    /// The route has no such method.
    #[error("This route answers to {allow}.")]
    MethodNotAllowed {
        /// The value of `Allow`.
        allow: &'static str,
    },
    /// The body is larger than the route takes; the connection is closed.
    #[error("The request body is larger than 64 KiB.")]
    BodyTooLarge,
    /// The file is larger than files may be; the connection is closed.
    #[error("The file is larger than the {max} bytes that are taken.")]
    FileTooLarge {
        /// How large they may be.
        max: u64,
    },
    /// The file is not what it is to be sent as.
    #[error("The file cannot be sent like this: {why}.")]
    UnfitFile {
        /// Why, in words that follow.
        why: String,
    },
    /// The body did not arrive in time; the connection is closed.
    #[error("The request body did not arrive in time.")]
    BodyTimeout,
    /// The body is neither JSON nor a form.
    #[error(
        "The request body must be JSON, or a form as application/x-www-form-urlencoded or multipart/form-data, in UTF-8 \
         and not compressed."
    )]
    UnsupportedMediaType,
    /// The body is not what its type says.
    #[error("The request body is malformed: {0}.")]
    MalformedBody(&'static str),
    /// A parameter was given twice with different values.
    #[error("The parameter {name} is given more than once, with different values.")]
    ConflictingParameter {
        /// Its name.
        name: String,
    },
    /// Parameters are missing or wrong.
    #[error("{}", problems_message(.0))]
    Parameters(Vec<ParameterProblem>),
    /// No valid credential: missing, malformed, unknown, expired and revoked are one.
    #[error("A valid access token is required.")]
    Unauthorized,
    /// A limit is exhausted.
    #[error("Too many requests. Retry after {} s.", retry_seconds(.0))]
    RateLimited(Refused),
    /// The instance is absent, deleted, or another account's.
    #[error("There is no session of this instance.")]
    SessionNotFound,
    /// The credential does not reach that far.
    #[error("This access token may not do this: it needs {needs}.")]
    Forbidden {
        /// What would be needed.
        needs: &'static str,
    },
    /// A page of another origin, or something that is no page, asked what only our own pages may.
    #[error("This answers to the gateway's own pages only. Open them at the address in server.public_url.")]
    ForeignPage,
    /// The account has all the instances it may have.
    #[error("The account has reached its quota of {max} instances.")]
    QuotaReached {
        /// How many.
        max: u32,
    },
    /// The session does not stand where the request needs it.
    #[error("{}", .0.message())]
    SessionStatus(StatusMismatch),
    /// WhatsApp could not be reached; nothing was changed.
    #[error("WhatsApp could not be reached. Retry after {DEFAULT_RETRY_AFTER} s.")]
    UpstreamUnreachable,
    /// WhatsApp did not answer; it may have done what was asked.
    #[error("WhatsApp did not answer in time and may have done what was asked. Retry after {DEFAULT_RETRY_AFTER} s.")]
    UpstreamTimeout,
    /// WhatsApp was asked too often by this instance.
    #[error("WhatsApp was asked too often by this instance. Retry after {UPSTREAM_RATE_LIMITED} s.")]
    UpstreamRateLimited,
    /// WhatsApp knows no such group.
    #[error("WhatsApp knows no such group.")]
    GroupNotFound,
    /// WhatsApp says only that it is forbidden, which has two reasons.
    #[error("WhatsApp refused: the instance is not in this group, or is no admin of it where that is needed.")]
    GroupForbidden,
    /// The instance belongs to the node at that address. Never told: the frame asks that node for the answer.
    #[error("Another node serves this instance.")]
    Elsewhere {
        /// `host:port`
        addr: String,
    },
    /// A node carried the request here, and it belongs to yet another node.
    #[error("This node does not serve the instance.")]
    Misdirected,
    /// No node serves the instance at this moment.
    #[error("The node that serves this instance could not be reached. Retry after {DEFAULT_RETRY_AFTER} s.")]
    OwnerUnreachable,
    /// The node has more new tokens to look up than it may.
    #[error("The gateway is busy. Retry after 2 s.")]
    Busy,
    /// The database went away; the cause is logged, not told.
    #[error("The gateway's database could not be reached. Retry after {DATABASE_RETRY_AFTER} s.")]
    DatabaseUnavailable(#[source] Box<dyn Error + Send + Sync>),
    /// Our own failure; the cause is logged, not told.
    #[error("The gateway could not serve this request.")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
    /// The token is absent or another holder's, or too dead for what is asked of it.
    #[error("There is no such token.")]
    TokenNotFound,
    /// The webhook is absent, deleted, or another account's.
    #[error("There is no such webhook.")]
    WebhookNotFound,
    /// The account has all the webhooks it may have.
    #[error("There are {max} webhooks already; delete some before another is made.")]
    TooManyWebhooks {
        /// How many.
        max: u32,
    },
    /// The token was rotated before and is on its way out.
    #[error("This token was replaced already. Revoke it, or rotate the one that replaced it.")]
    TokenRotated,
    /// The holder has all the live tokens it may have.
    #[error("There are {max} live tokens already; revoke some before another is made.")]
    TooManyTokens {
        /// How many.
        max: u64,
    },
    /// Without this key the account would be locked out, now or once its other keys expire.
    #[error(
        "This is the account's last key that does not expire. Mint another before this one is revoked, or rotate it."
    )]
    LastAccountKey,
    /// The message was not accepted here, or is forgotten.
    #[error("There is no such message.")]
    MessageNotFound,
    /// The message stands where it is not sent again.
    #[error("The message is {state}: only one that failed or is unknown is sent again.")]
    MessageNotRetriable {
        /// Where it stands.
        state: State,
    },
    /// The message was accepted, and then not sent.
    #[error("The message was not sent: {}.", failure_message(.failure))]
    MessageFailed {
        /// Which message.
        message_id: MessageId,
        /// Why.
        failure: Failure,
    },
    /// The account is absent or deleted.
    #[error("There is no such account.")]
    AccountNotFound,
    /// The account is not empty, and its instances were not meant to go with it.
    #[error("The account has {count} instances. Delete them first, or send force=true to erase them with it.")]
    AccountHasInstances {
        /// How many.
        count: u64,
    },
    /// The idempotency key belongs to another request.
    #[error("This Idempotency-Key was used for another request.")]
    IdempotencyKeyReused,
    /// The first request with the idempotency key is still being served.
    #[error("A request with this Idempotency-Key is still being served. Retry after 2 s.")]
    IdempotencyKeyInUse,
    /// There is no message of this id here, or it came without a file.
    #[error("There is no file of this message.")]
    MediaNotFound,
    /// WhatsApp keeps files for some weeks only.
    #[error("WhatsApp no longer has the file of this message.")]
    MediaGone,
    /// The file is none that can be given out.
    #[error("The file of this message cannot be had: {why}.")]
    MediaUnavailable {
        /// Why, in words that follow.
        why: String,
    },
    /// No part of the file is what was asked for.
    #[error("The file is {length} bytes long: the Range that was asked for is beyond it.")]
    RangeNotSatisfiable {
        /// Its length.
        length: u64,
    },
    /// As many streams are open as may be.
    #[error("As many streams are open as {whose} may have. Close some, or retry after {DEFAULT_RETRY_AFTER} s.")]
    TooManyStreams {
        /// Whose limit it is, in words that fit: "an account".
        whose: &'static str,
    },
    /// WhatsApp was asked and refused.
    #[error("WhatsApp refused {what}. Retry after {DEFAULT_RETRY_AFTER} s.")]
    UpstreamRefused {
        /// What it refused, in words that follow.
        what: &'static str,
    },
}

/// One parameter that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ParameterProblem {
    /// Its name.
    #[schema(value_type = String, example = "scale")]
    pub name: &'static str,
    /// What is wrong, in words that follow the name: "is missing".
    pub problem: String,
    /// Whether it is missing rather than wrong.
    #[serde(skip)]
    pub missing: bool,
}

/// A session that does not stand where a request needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusMismatch {
    /// Which of the 422 codes.
    pub code: &'static str,
    /// Whose session.
    pub instance_id: InstanceId,
    /// Where it stands.
    pub status: Status,
    /// Where it would have to stand.
    pub expected: &'static [Status],
    /// Whether it mends itself if one waits.
    pub recovering: bool,
    /// Seconds after which to ask again, if it does.
    pub retry_after: Option<u64>,
}

impl StatusMismatch {
    fn message(&self) -> String {
        let expected: Vec<&str> = self.expected.iter().map(|status| status.as_str()).collect();
        let what = match self.code {
            "already_linked" => "The instance is linked already, there is nothing to scan".to_owned(),
            "pairing_in_progress" => "The code was scanned and WhatsApp is still finishing".to_owned(),
            _ => {
                format!("Session status is not as expected: it is {}, expected {}", self.status, expected.join(" or "))
            }
        };
        match self.retry_after {
            Some(seconds) => format!("{what}. Retry after {seconds} s."),
            None => format!("{what}."),
        }
    }
}

fn problems_message(problems: &[ParameterProblem]) -> String {
    let problems: Vec<String> =
        problems.iter().map(|problem| format!("{} {}", problem.name, problem.problem)).collect();
    format!("Bad parameters: {}.", problems.join("; "))
}

fn retry_seconds(refused: &Refused) -> u64 {
    // Rounded up: a client that sleeps exactly this long is let through.
    u64::try_from(refused.retry_after.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX).max(1)
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the macro that makes the message hands out references")]
fn failure_message(failure: &Failure) -> &'static str {
    match failure {
        Failure::Expired => "its time to live was over before it could be sent",
        Failure::ReachoutTimelock => {
            "WhatsApp does not let this account write to people who have not written to it (463)"
        }
        Failure::RateOverlimit => "WhatsApp says that this account sends too much (429)",
        Failure::Forbidden => "WhatsApp does not let this account do it",
        Failure::RecipientNotFound => "WhatsApp knows no such recipient",
        Failure::Malformed => "WhatsApp did not understand it",
        Failure::UpstreamError => "WhatsApp's server failed",
        Failure::Refused => "WhatsApp refused it",
        Failure::FileLost => "the file it was to bring is no longer here",
        Failure::Unsendable => "it could not be built or encrypted for its recipient",
    }
}

impl ApiError {
    /// The HTTP status.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::MalformedBody(_) | Self::ConflictingParameter { .. } | Self::Parameters(_) => StatusCode::BAD_REQUEST,
            Self::Unauthorized => StatusCode::UNAUTHORIZED,
            Self::Forbidden { .. }
            | Self::ForeignPage
            | Self::QuotaReached { .. }
            | Self::TooManyTokens { .. }
            | Self::TooManyWebhooks { .. } => StatusCode::FORBIDDEN,
            Self::NotFound
            | Self::SessionNotFound
            | Self::TokenNotFound
            | Self::WebhookNotFound
            | Self::AccountNotFound
            | Self::MessageNotFound
            | Self::MediaNotFound => StatusCode::NOT_FOUND,
            Self::MediaGone => StatusCode::GONE,
            Self::RangeNotSatisfiable { .. } => StatusCode::RANGE_NOT_SATISFIABLE,
            Self::TokenRotated
            | Self::LastAccountKey
            | Self::AccountHasInstances { .. }
            | Self::MessageNotRetriable { .. }
            | Self::IdempotencyKeyInUse => StatusCode::CONFLICT,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyTooLarge | Self::FileTooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            Self::UnsupportedMediaType | Self::UnfitFile { .. } => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::SessionStatus(_)
            | Self::IdempotencyKeyReused
            | Self::MessageFailed { .. }
            | Self::MediaUnavailable { .. }
            | Self::GroupNotFound
            | Self::GroupForbidden => StatusCode::UNPROCESSABLE_ENTITY,
            Self::RateLimited(_) | Self::TooManyStreams { .. } | Self::UpstreamRateLimited => {
                StatusCode::TOO_MANY_REQUESTS
            }
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::UpstreamUnreachable
            | Self::UpstreamTimeout
            | Self::UpstreamRefused { .. }
            | Self::OwnerUnreachable
            | Self::Elsewhere { .. } => StatusCode::BAD_GATEWAY,
            Self::Misdirected => StatusCode::MISDIRECTED_REQUEST,
            Self::Busy | Self::DatabaseUnavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The stable code.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::MethodNotAllowed { .. } => "method_not_allowed",
            Self::BodyTooLarge | Self::FileTooLarge { .. } => "payload_too_large",
            Self::BodyTimeout => "request_timeout",
            Self::UnsupportedMediaType | Self::UnfitFile { .. } => "unsupported_media_type",
            Self::MalformedBody(_) => "malformed_body",
            Self::ConflictingParameter { .. } => "conflicting_parameter",
            Self::Parameters(problems) if problems.iter().any(|problem| problem.missing) => "missing_parameter",
            Self::Parameters(_) => "invalid_parameter",
            Self::Unauthorized => "unauthorized",
            Self::RateLimited(_) => "rate_limited",
            Self::SessionNotFound => "session_not_found",
            Self::Forbidden { .. } => "forbidden",
            Self::ForeignPage => "foreign_page",
            Self::QuotaReached { .. } | Self::TooManyTokens { .. } | Self::TooManyWebhooks { .. } => "quota_reached",
            Self::SessionStatus(mismatch) => mismatch.code,
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::UpstreamRateLimited => "upstream_rate_limited",
            Self::GroupNotFound => "group_not_found",
            Self::GroupForbidden => "group_forbidden",
            Self::OwnerUnreachable | Self::Elsewhere { .. } => "owner_unreachable",
            Self::Misdirected => "misdirected",
            Self::Busy => "busy",
            Self::DatabaseUnavailable(_) => "database_unavailable",
            Self::Internal(_) => "internal_error",
            Self::TokenNotFound => "token_not_found",
            Self::WebhookNotFound => "webhook_not_found",
            Self::TokenRotated => "token_rotated",
            Self::LastAccountKey => "last_account_key",
            Self::AccountNotFound => "account_not_found",
            Self::MessageNotFound => "message_not_found",
            Self::MessageNotRetriable { .. } => "message_not_retriable",
            Self::MessageFailed { .. } => "message_failed",
            Self::AccountHasInstances { .. } => "account_has_instances",
            Self::IdempotencyKeyReused => "idempotency_key_reused",
            Self::IdempotencyKeyInUse => "idempotency_key_in_use",
            Self::MediaNotFound => "media_not_found",
            Self::MediaGone => "media_gone",
            Self::MediaUnavailable { .. } => "media_unavailable",
            Self::RangeNotSatisfiable { .. } => "range_not_satisfiable",
            Self::UpstreamRefused { .. } => "upstream_refused",
            Self::TooManyStreams { .. } => "too_many_streams",
        }
    }

    /// Seconds after which the same request may succeed.
    pub fn retry_after(&self) -> Option<u64> {
        match self {
            Self::RateLimited(refused) => Some(retry_seconds(refused)),
            Self::SessionStatus(mismatch) => mismatch.retry_after,
            Self::UpstreamUnreachable
            | Self::UpstreamTimeout
            | Self::UpstreamRefused { .. }
            | Self::TooManyStreams { .. }
            | Self::OwnerUnreachable
            | Self::Elsewhere { .. } => Some(DEFAULT_RETRY_AFTER),
            Self::UpstreamRateLimited => Some(UPSTREAM_RATE_LIMITED),
            Self::Busy | Self::IdempotencyKeyInUse => Some(2),
            Self::DatabaseUnavailable(_) => Some(DATABASE_RETRY_AFTER),
            Self::NotFound
            | Self::MethodNotAllowed { .. }
            | Self::BodyTooLarge
            | Self::FileTooLarge { .. }
            | Self::BodyTimeout
            | Self::UnsupportedMediaType
            | Self::UnfitFile { .. }
            | Self::MalformedBody(_)
            | Self::ConflictingParameter { .. }
            | Self::Parameters(_)
            | Self::Unauthorized
            | Self::SessionNotFound
            | Self::Forbidden { .. }
            | Self::ForeignPage
            | Self::QuotaReached { .. }
            | Self::Misdirected
            | Self::Internal(_)
            | Self::TokenNotFound
            | Self::TokenRotated
            | Self::TooManyTokens { .. }
            | Self::TooManyWebhooks { .. }
            | Self::WebhookNotFound
            | Self::LastAccountKey
            | Self::AccountNotFound
            | Self::AccountHasInstances { .. }
            | Self::MediaNotFound
            | Self::MediaGone
            | Self::MediaUnavailable { .. }
            | Self::RangeNotSatisfiable { .. }
            | Self::MessageNotFound
            | Self::MessageNotRetriable { .. }
            | Self::MessageFailed { .. }
            | Self::GroupNotFound
            | Self::GroupForbidden
            | Self::IdempotencyKeyReused => None,
        }
    }

    /// Whether the rest of the request's body was left unread, so that the connection cannot be used again.
    pub fn closes_connection(&self) -> bool {
        matches!(self, Self::BodyTooLarge | Self::FileTooLarge { .. } | Self::BodyTimeout)
    }
}

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status()
    }

    /// Only the status: the body is `answer`'s.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status())
    }
}
