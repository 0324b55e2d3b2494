//! `/dashboard/instances/{instance_id}`: one instance, and everything one does with it.

use actix_web::HttpResponse;
use askama::Template;
use serde::Deserialize;

use crate::api::error::ApiError;
use crate::api::extract::Call;
use crate::api::{events, session};
use crate::domain::token::Scope;

use super::chrome::{Chrome, Place};
use super::documents::{Event, Events, Info, Token};
use super::moment::Moment;
use super::told::{drawn, shown, told};

/// Events that the page begins with.
const EVENTS: &str = "20";
/// Numbers of the log that are looked through for changes of the session.
const CHANGES: &str = "500";
/// Changes that the page begins with.
const MOST_CHANGES: usize = 30;

#[derive(Template)]
#[template(path = "dashboard/instance.html", config = ".askama.toml")]
struct Page {
    chrome: Chrome,
    info: Info,
    /// What to do next.
    advice: &'static str,
    timeline: Vec<Change>,
    /// The newest first.
    events: Vec<Event>,
    last_seq: i64,
    tokens: Vec<Token>,
    scopes: Vec<&'static str>,
    /// When the open link ends, if there is one.
    link_ends_at: Option<Moment>,
}

/// A change of the session.
#[derive(Deserialize)]
struct Change {
    status: String,
    reason: Option<String>,
    since: Moment,
}

/// The open link. What it is stays where it was sent: whoever looks over a shoulder could link a phone by it.
#[derive(Deserialize)]
struct OpenLink {
    expires_at: Option<Moment>,
}

#[derive(Deserialize)]
struct Tokens {
    tokens: Vec<Token>,
}

/// Shows it.
pub(super) async fn page(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    shown(described(call).await)
}

async fn described(call: Result<Call, ApiError>) -> Result<HttpResponse, ApiError> {
    let call = call?;
    let id = call.path("instance_id").unwrap_or_default().to_owned();
    let of = ("instance_id", id.as_str());
    // First, because it finds out whose the instance is: if it is another node's, the whole page is.
    let info: Info = told(session::info::info(call.asking(&[of])?).await).await?;
    let chrome = Chrome::around(&call, Place::Instances).await?;
    let latest = [of, ("latest", "true"), ("limit", EVENTS)];
    let log: Events = told(events::read::read(call.asking(&latest)?).await).await?;
    let tokens: Tokens = told(session::token::list(call.asking(&[of])?).await).await?;
    let link: OpenLink = told(session::temp_link::show(call.asking(&[of])?).await).await?;
    let changes = [of, ("latest", "true"), ("limit", CHANGES), ("events", "session.status")];
    let changes: Events = told(events::read::read(call.asking(&changes)?).await).await?;
    let timeline = changes.events.into_iter().rev().filter_map(|event| serde_json::from_value(event.payload).ok());
    drawn(&Page {
        chrome,
        advice: advice(&info),
        timeline: timeline.take(MOST_CHANGES).collect(),
        events: log.events.into_iter().rev().collect(),
        last_seq: log.last_seq,
        tokens: tokens.tokens,
        link_ends_at: link.expires_at,
        scopes: Scope::ALL.iter().map(|scope| scope.as_str()).collect(),
        info,
    })
}

/// One sentence for each standing. `instance.js` has the same, for what happens while the page is open.
fn advice(info: &Info) -> &'static str {
    match (info.status.as_str(), info.reason.as_deref(), info.linked) {
        ("WORKING", ..) => "It works. Send a test message, or watch what comes in.",
        ("SCAN_QR_CODE", ..) => "It waits to be linked: show the QR code and scan it with the phone.",
        ("STOPPED", _, true) => "It rests and stays linked. Start it to go on.",
        ("STOPPED", _, false) => "It rests and is not linked yet. Show the QR code to link it.",
        ("FAILED", Some("logged_out"), _) => "The phone removed this device. Link it again to go on.",
        ("FAILED", Some("qr_not_scanned"), _) => "Nobody scanned its code. Show a new one when the phone is at hand.",
        ("FAILED", Some("banned"), _) => "WhatsApp banned the account for a time. It is tried again afterwards.",
        ("FAILED", Some("client_outdated"), _) => {
            "WhatsApp wants a newer client. Ask the operator to update the gateway."
        }
        ("FAILED", ..) => "It needs you: see the reason, then start it again.",
        ("STARTING", Some("pairing"), _) => "Scanned. WhatsApp is finishing; this takes a few seconds.",
        ("STARTING", Some("upstream_unreachable"), _) => "WhatsApp cannot be reached. It is tried again by itself.",
        ("PASSKEY_REQUIRED" | "PASSKEY_CONFIRMATION_REQUIRED", ..) => {
            "WhatsApp asks for a passkey, which a browser page cannot answer. See /docs, passkey."
        }
        _ => "It is on its way. This mends itself.",
    }
}
