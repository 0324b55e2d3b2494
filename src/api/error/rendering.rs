//! The renderings of an error, and which one a client gets.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::api::extract::Accept;

use super::ErrorBody;
use super::body::{Members, flat};
use super::markup;

/// How an error is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// JSON: what whoever has no wish gets.
    Json,
    /// Problem details (RFC 9457), in JSON.
    Problem,
    /// XML as `application/xml`.
    Xml,
    /// XML as `text/xml`, for those who ask by that name.
    TextXml,
    /// Lines of text.
    Text,
    /// A page.
    Html,
}

impl Rendering {
    /// Every rendering by its media type, the first choice of equals first.
    pub const FORMS: [(&str, Self); 6] = [
        ("application/json", Self::Json),
        ("application/problem+json", Self::Problem),
        ("application/xml", Self::Xml),
        ("text/plain", Self::Text),
        ("text/html", Self::Html),
        ("text/xml", Self::TextXml),
    ];

    /// The rendering a client would rather have. One that accepts none of them, an `<img>` for example, gets JSON: that
    /// tells more than a 406 about a request that had failed already (RFC 9110, 12.4.1).
    pub fn chosen_by(accept: &Accept) -> Self {
        accept.choose(&Self::FORMS).unwrap_or(Self::Json)
    }

    /// The value of `Content-Type`. JSON has no parameter for its encoding (RFC 8259).
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/json",
            Self::Problem => "application/problem+json",
            Self::Xml => "application/xml; charset=utf-8",
            Self::TextXml => "text/xml; charset=utf-8",
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
        }
    }

    /// Writes a body.
    pub fn write(self, body: &ErrorBody<'_>) -> Vec<u8> {
        match self {
            Self::Json => body.json(),
            Self::Problem => problem(body.members()),
            Self::Xml | Self::TextXml => markup::xml(&body.members()).into_bytes(),
            Self::Text => text(body.members()).into_bytes(),
            Self::Html => markup::html(body.members()).into_bytes(),
        }
    }
}

/// `title` and `detail` take the place of our `error` and `message`; every other member is an extension. `type` leads to
/// the documentation of the gateway that answered, by a reference that does not depend on where it is reached; `instance`
/// names the request within the resource that was asked.
fn problem(members: Members) -> Vec<u8> {
    let code = members.0.iter().find(|(name, _)| name == "code").map(|(_, code)| flat(code)).unwrap_or_default();
    let mut problem = vec![("type".to_owned(), json!(format!("/docs#{code}")))];
    for (name, value) in members.0 {
        let name = match name.as_str() {
            "error" => "title".to_owned(),
            "message" => "detail".to_owned(),
            _ => name,
        };
        if name == "request_id" {
            problem.push(("instance".to_owned(), Value::String(format!("#{}", flat(&value)))));
        }
        problem.push((name, value));
    }
    serde_json::to_vec(&Members(problem)).expect("an error has no keys but text")
}

/// The status and the message, a line each; after an empty line the rest, a line each.
fn text(mut members: Members) -> String {
    let status = members.take("status");
    let mut text = format!("{status} {}\n{}\n\n", line(&members.take("error")), line(&members.take("message")));
    for (name, value) in &members.0 {
        let _ = writeln!(text, "{name}: {}", line(&flat(value)));
    }
    text
}

/// Text that stays on its line and does nothing to a terminal.
fn line(text: &str) -> String {
    let harmful = |c: char| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}');
    text.replace(harmful, "\u{fffd}")
}
