//! The renderings of an error that are markup: XML, and a page that is XML too, so that one parser judges both.

use std::fmt::Write as _;

use serde_json::Value;

use super::body::{Members, flat};

/// An element for each member, named like it; a list is its element repeated.
pub(super) fn xml(members: &Members) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<response>");
    for (name, value) in &members.0 {
        element(&mut out, name, value);
    }
    out.push_str("</response>\n");
    out
}

fn element(out: &mut String, name: &str, value: &Value) {
    if let Value::Array(values) = value {
        for value in values {
            element(out, name, value);
        }
        return;
    }
    let _ = write!(out, "<{name}>");
    match value {
        Value::Object(members) => {
            for (name, value) in members {
                element(out, name, value);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            out.push_str(&escaped(&flat(value)));
        }
    }
    let _ = write!(out, "</{name}>");
}

/// A page without script, style or anything to fetch: a heading, the message, and the rest as a list of terms.
pub(super) fn html(mut members: Members) -> String {
    let status = members.take("status");
    let title = format!("{status} {}", escaped(&members.take("error")));
    let message = escaped(&members.take("message"));
    let mut terms = String::new();
    for (name, value) in &members.0 {
        let _ = write!(terms, "<dt>{}</dt>\n<dd>{}</dd>\n", name.replace('_', " "), escaped(&flat(value)));
    }
    format!(
        "<!DOCTYPE html>\n\
         <html lang=\"en\">\n\
         <head>\n\
         <meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n\
         <title>{title}</title>\n\
         </head>\n\
         <body>\n\
         <main>\n\
         <h1>{title}</h1>\n\
         <p>{message}</p>\n\
         <dl>\n{terms}</dl>\n\
         </main>\n\
         </body>\n\
         </html>\n"
    )
}

/// Text between tags. XML 1.0 has no way to write most control characters, not even as references; they become the
/// replacement character. A carriage return needs one: a parser would read it as a line feed.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\r' => out.push_str("&#13;"),
            '\t' | '\n' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
