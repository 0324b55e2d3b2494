//! The stable codes of errors, with the status each is sent with and what it means.

use std::borrow::Cow;

use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

/// One code.
pub(in crate::api) struct ErrorCode {
    pub(super) word: &'static str,
    pub(super) status: u16,
    pub(super) meaning: &'static str,
}

const fn code(word: &'static str, status: u16, meaning: &'static str) -> ErrorCode {
    ErrorCode { word, status, meaning }
}

impl ErrorCode {
    /// All that a client may meet. `misdirected` is not among them: only nodes of one cluster say it, to each other.
    pub(super) const ALL: &'static [Self] = &[
        code("malformed_body", 400, "The body is not what its type says: syntax, depth over 32, a key given twice."),
        code("conflicting_parameter", 400, "A parameter was given in two places with different values."),
        code("missing_parameter", 400, "Parameters are missing; `parameters` names every bad one."),
        code("invalid_parameter", 400, "Parameters are wrong; `parameters` names every bad one."),
        code("unauthorized", 401, "No valid credential: missing, malformed, unknown, expired and revoked are one."),
        code("forbidden", 403, "The credential does not reach that far."),
        code(
            "foreign_page",
            403,
            "The dashboard's cookie came with a request that is not of the dashboard's own pages.",
        ),
        code(
            "quota_reached",
            403,
            "The account has all the instances or webhooks, or the holder all the tokens, it may have.",
        ),
        code("not_found", 404, "There is no such route."),
        code("session_not_found", 404, "The instance is absent, deleted, or another account's."),
        code("token_not_found", 404, "The token is absent, another holder's, or too dead for what is asked of it."),
        code("webhook_not_found", 404, "The webhook is absent, deleted, or another account's."),
        code("media_not_found", 404, "There is no message of this id here, or it came without a file."),
        code("account_not_found", 404, "The account is absent or deleted. Told to the operator only."),
        code("message_not_found", 404, "No such message was sent through this gateway, or it is forgotten."),
        code("method_not_allowed", 405, "The route does not answer to this method; `Allow` names those it does."),
        code("request_timeout", 408, "The body did not arrive in time. The connection is closed."),
        code("token_rotated", 409, "The token was replaced before."),
        code("last_account_key", 409, "It is the account's last key that does not expire."),
        code("message_not_retriable", 409, "The message neither failed nor is unknown: it is not sent again."),
        code("account_has_instances", 409, "The account is not empty. Told to the operator only."),
        code("idempotency_key_in_use", 409, "The first request with this Idempotency-Key is still being served."),
        code("media_gone", 410, "WhatsApp no longer has the file."),
        code(
            "payload_too_large",
            413,
            "The body is larger than 64 KiB, or the file than is taken. The connection is closed.",
        ),
        code(
            "unsupported_media_type",
            415,
            "The body is none of the forms that are read, or the file not what it is to be sent as.",
        ),
        code("range_not_satisfiable", 416, "The range is beyond the file; `Content-Range` tells its length."),
        code("session_status_mismatch", 422, "The session does not stand where the request needs it."),
        code("pairing_in_progress", 422, "The code was scanned and WhatsApp is still finishing."),
        code("already_linked", 422, "The instance is linked: there is nothing to scan."),
        code("message_failed", 422, "The message was not sent and will not be; `reason` says why."),
        code("group_not_found", 422, "WhatsApp knows no such group."),
        code("group_forbidden", 422, "The instance is not in the group, or is no admin of it where that is needed."),
        code("idempotency_key_reused", 422, "The Idempotency-Key belongs to another request."),
        code("media_unavailable", 422, "The file cannot be had; the message says why."),
        code("rate_limited", 429, "A limit is exhausted."),
        code("too_many_streams", 429, "As many streams of events are open as the account, or the node, may have."),
        code("upstream_rate_limited", 429, "WhatsApp was asked too often by this instance."),
        code("internal_error", 500, "A failure of the gateway; the request id leads to its log."),
        code("upstream_unreachable", 502, "WhatsApp could not be reached; nothing was changed."),
        code("upstream_timeout", 502, "WhatsApp did not answer in time; it may have done what was asked."),
        code("upstream_refused", 502, "WhatsApp was asked and refused."),
        code("owner_unreachable", 502, "The node that serves the instance could not be reached."),
        code("busy", 503, "The node has more new tokens to look up than it may."),
        code(
            "database_unavailable",
            503,
            "The gateway's database could not be reached; what was asked may have been done.",
        ),
    ];

    /// Whether an error is documented; what nodes say to each other is not.
    pub(in crate::api) fn fits(word: &str, status: u16) -> bool {
        status == 421 || Self::of(status).any(|code| code.word == word)
    }

    /// Those sent with a status.
    pub(super) fn of(status: u16) -> impl Iterator<Item = &'static Self> {
        Self::ALL.iter().filter(move |code| code.status == status)
    }

    /// A list for people.
    pub(super) fn explained(codes: impl Iterator<Item = &'static Self>) -> String {
        codes.map(|code| format!("- `{}`: {}", code.word, code.meaning)).collect::<Vec<_>>().join("\n")
    }
}

impl PartialSchema for ErrorCode {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some(format!("What went wrong, for programs.\n\n{}", Self::explained(Self::ALL.iter()))))
            .enum_values(Some(Self::ALL.iter().map(|code| code.word)))
            .into()
    }
}

impl ToSchema for ErrorCode {
    fn name() -> Cow<'static, str> {
        "ErrorCode".into()
    }
}
