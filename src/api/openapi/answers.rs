//! The errors that routes have in common. Each is written once, under `components`; a handler names the group it belongs
//! to among its `responses`.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use utoipa::IntoResponses;
use utoipa::openapi::response::Response;
use utoipa::openapi::{Ref, RefOr};

use super::codes::ErrorCode;

/// What any route that takes a credential may answer.
pub(in crate::api) struct EveryRoute;

/// What a route about one instance may answer besides.
pub(in crate::api) struct OfInstance;

/// What a route may answer that needs the session to stand somewhere.
pub(in crate::api) struct OfStatus;

/// What a route may answer that claims something which another has, or has had.
pub(in crate::api) struct Conflicting;

/// What a route under a changing path may answer.
pub(in crate::api) struct Missing;

impl IntoResponses for EveryRoute {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[400, 401, 403, 405, 408, 413, 415, 429, 500, 503])
    }
}

impl IntoResponses for OfInstance {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[404, 502])
    }
}

impl IntoResponses for OfStatus {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[422])
    }
}

impl IntoResponses for Conflicting {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[409])
    }
}

impl IntoResponses for Missing {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[404])
    }
}

/// What a route may answer that gives out a file.
pub(in crate::api) struct OfFile;

impl IntoResponses for OfFile {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        named(&[410, 416, 422])
    }
}

/// Each status that is an error, what it is called under `components`, and the headers it has to itself.
const ERRORS: &[(u16, &str, &str, &[&str])] = &[
    (400, "Bad Request", "BadRequest", &[]),
    (401, "Unauthorized", "Unauthorized", &["WWW-Authenticate"]),
    (403, "Forbidden", "Forbidden", &[]),
    (404, "Not Found", "NotFound", &[]),
    (405, "Method Not Allowed", "MethodNotAllowed", &["Allow"]),
    (408, "Request Timeout", "RequestTimeout", &[]),
    (409, "Conflict", "Conflict", &["Retry-After"]),
    (410, "Gone", "Gone", &[]),
    (413, "Payload Too Large", "PayloadTooLarge", &[]),
    (415, "Unsupported Media Type", "UnsupportedMediaType", &[]),
    (416, "Range Not Satisfiable", "RangeNotSatisfiable", &["Content-Range"]),
    (422, "Unprocessable Entity", "UnprocessableEntity", &["Retry-After"]),
    (429, "Too Many Requests", "TooManyRequests", &["Retry-After", "RateLimit", "RateLimit-Policy"]),
    (500, "Internal Server Error", "InternalServerError", &[]),
    (502, "Bad Gateway", "BadGateway", &["Retry-After"]),
    (503, "Service Unavailable", "ServiceUnavailable", &["Retry-After"]),
];

/// The forms an error is sent in, by `Accept`; JSON is the first.
const TEXT_FORMS: [&str; 4] = ["application/xml", "text/xml", "text/plain", "text/html"];

fn named(statuses: &[u16]) -> BTreeMap<String, RefOr<Response>> {
    let name = |status| ERRORS.iter().find(|(other, ..)| other == status).expect("the status is in the table").2;
    statuses.iter().map(|status| (status.to_string(), Ref::from_response_name(name(status)).into())).collect()
}

/// The responses under `components`.
pub(super) fn components() -> Value {
    ERRORS.iter().map(|(status, reason, name, headers)| ((*name).to_owned(), error(*status, reason, headers))).collect()
}

fn error(status: u16, reason: &str, headers: &[&str]) -> Value {
    let codes: Vec<&str> = ErrorCode::of(status).map(|code| code.word).collect();
    let first = ErrorCode::of(status).next().expect("each error status has a code");
    let narrowed = |schema: &str| {
        json!({
            "allOf": [{ "$ref": format!("#/components/schemas/{schema}") }],
            "properties": { "status": { "const": status }, "code": { "enum": codes } },
        })
    };
    let mut example = json!({
        "status": status, "error": reason, "code": first.word, "message": first.meaning,
        "request_id": "0193a1b2-7c3d-7e4f-8a5b-6c7d8e9f0a1b",
    });
    if status == 422 {
        example = mismatch(example);
    }
    let mut content = json!({
        "application/json": { "schema": narrowed("Error"), "example": example },
        "application/problem+json": { "schema": narrowed("Problem") },
    });
    for form in TEXT_FORMS {
        content[form] = json!({ "schema": { "type": "string" } });
    }
    let headers: serde_json::Map<String, Value> =
        headers.iter().map(|name| ((*name).to_owned(), header(name))).collect();
    json!({
        "description": format!("{reason}.\n\n{}", ErrorCode::explained(ErrorCode::of(status))),
        "headers": headers,
        "content": content,
    })
}

/// The example of a session that is on its way to where the request needs it.
fn mismatch(mut example: Value) -> Value {
    example["message"] =
        "Session status is not as expected: it is STARTING, expected SCAN_QR_CODE. Retry after 10 s.".into();
    example["instance_id"] = "7K2M9QX4T0AB".into();
    example["session_status"] = "STARTING".into();
    example["expected"] = json!(["SCAN_QR_CODE"]);
    example["recovering"] = true.into();
    example["retry_after"] = 10.into();
    example
}

/// A reference to a header under `components`.
pub(super) fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

/// RFC 9457, with what [`Error`](crate::api::error::ErrorBody) tells besides.
pub(super) fn problem() -> Value {
    json!({
        "description": "The same error by RFC 9457, with the other fields of `Error` beside its own.",
        "type": "object",
        "required": ["type", "title", "status", "detail", "code", "request_id"],
        "properties": {
            "type": { "type": "string" },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "code": { "$ref": "#/components/schemas/ErrorCode" },
            "request_id": { "type": "string" },
        },
    })
}
