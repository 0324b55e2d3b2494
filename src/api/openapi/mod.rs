//! The OpenAPI 3.1 document, made from the code that answers.
//!
//! A handler says in `#[utoipa::path]` what is its own: methods, path, parameters, what succeeds. Schemas are derived
//! from the structs that are sent. Everything that routes have in common is said once: errors in `answers`, their codes
//! in `codes`, and `complete` spreads the rest over all operations. To document another route:
//!
//! 1. Put the attribute over the handler; the first line of its comment becomes the summary, the rest the description.
//!    ```ignore
//!    #[utoipa::path(
//!        method(post, get), path = "/v2/session/example", tag = "Sessions",
//!        params(
//!            ("instance_id" = InstanceId, Query),
//!            ("ttl" = Option<u32>, Query, description = "…", minimum = 1, maximum = 9, example = 5),
//!        ),
//!        responses((status = 200, description = "…", body = Answer), EveryRoute, OfInstance),
//!    )]
//!    ```
//!    Parameters are written as query parameters: for a POST they become fields of the body too, in each of its forms,
//!    and `instance_id` a header. One that is a header or in the path stays so. One that is not an `Option` is required. `instance_id` and a code's headers need no
//!    description: they are in `complete`. A route that needs no credential says `security(())` and leaves out
//!    `EveryRoute`.
//! 2. Derive `utoipa::ToSchema` on the structs it answers with.
//! 3. Name the handler in `Documented`. The test `the_document_names_what_the_routes_answer_to` fails until then.
//! 4. `wagate openapi > docs/openapi.json`, so that a review sees what changes for clients.

use std::sync::LazyLock;

use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use serde_json::Value;
use utoipa::OpenApi;

use crate::domain::event::Envelope;

use super::respond::{self, Cached};
use super::{
    about, account, audit, auth, chats, contacts, dashboard, docs, events, groups, health, messages, send, session,
    usage, webhooks,
};

pub(super) mod answers;
mod codes;
mod complete;

pub(super) use codes::ErrorCode;

/// Every operation of the public listener.
#[derive(OpenApi)]
#[openapi(
    paths(
        auth::qr::qr,
        auth::qr_image::qr_image,
        auth::request_code::request_code,
        auth::passkey::ask,
        auth::passkey::answer,
        session::temp_link::show,
        session::temp_link::mint,
        session::temp_link::end,
        session::create::create,
        session::list::list,
        session::info::info,
        session::me::me,
        session::start::start,
        session::stop::stop,
        session::restart::restart,
        session::logout::logout,
        session::delete::delete,
        session::token::list,
        session::token::mint,
        session::token::revoke,
        session::token::rotate,
        session::rate_limit::show,
        session::rate_limit::change,
        send::text::text,
        send::location::location,
        send::contact::contact,
        send::poll::poll,
        send::reaction::reaction,
        send::seen::seen,
        send::typing::typing,
        messages::edit::edit,
        messages::delete::delete,
        messages::retry::retry,
        messages::show::show,
        contacts::check::check,
        contacts::profile_picture::profile_picture,
        chats::read::read,
        chats::unread::unread,
        chats::archive::archive,
        chats::unarchive::unarchive,
        groups::list::list,
        groups::create::create,
        groups::show::show,
        groups::invite_code::invite_code,
        groups::revoke_invite_code::revoke_invite_code,
        groups::add_participants::add_participants,
        groups::remove_participants::remove_participants,
        groups::leave::leave,
        account::settings::show,
        account::settings::change,
        account::keys::list,
        account::keys::mint,
        account::keys::revoke,
        account::keys::rotate,
        contacts::erase::erase,
        events::read::read,
        audit::page,
        usage::usage,
        dashboard::qr::qr,
        dashboard::qr::qr_v1,
        session::webhook::show,
        session::webhook::set,
        session::webhook::end,
        webhooks::list::list,
        webhooks::create::create,
        webhooks::show::show,
        webhooks::change::change,
        webhooks::delete::delete,
        webhooks::rotate_secret::rotate_secret,
        webhooks::test::test,
        webhooks::deliveries::deliveries,
        webhooks::dead_letters::dead_letters,
        webhooks::replay::replay,
        health::live,
        health::ready,
        about::about,
        openapi,
        docs::page,
        docs::asset,
    ),
    components(schemas(ErrorCode, super::error::ErrorBody, Envelope)),
    tags(
        (name = "Linking", description = "Linking a device by QR code, by typing a code, by a page for others."),
        (name = "Sessions", description = "Instances and the life of their connection."),
        (name = "Messages", description = "Sending, and what became of what was sent."),
        (name = "Events", description = "What happened to an instance: a numbered log, read in pages or as it grows."),
        (name = "Webhooks", description = "Where an account is told of events; each request's body is an `Envelope`."),
        (name = "Contacts", description = "Whether numbers are on WhatsApp, pictures, and erasing what is stored of somebody."),
        (name = "Chats", description = "Marks on chats, which every device of the account shows."),
        (name = "Groups", description = "Groups, who is in them, and the codes that let people in."),
        (name = "Tokens", description = "What reaches one instance and nothing else."),
        (name = "Account", description = "The account itself: settings, keys, and what was done in its name."),
        (name = "Dashboard", description = "Signing a phone in to the dashboard."),
        (name = "Health", description = "For those who start, stop and route to the process."),
        (name = "Documents", description = "What this gateway is and how it is called."),
    ),
)]
struct Documented;

/// The document.
pub fn document() -> Value {
    let mut document = serde_json::to_value(Documented::openapi()).expect("a document has no keys but text");
    complete::complete(&mut document);
    document
}

/// The document as it is committed in `docs/openapi.json`.
pub fn text() -> String {
    let mut text = serde_json::to_string_pretty(&document()).expect("a document has no keys but text");
    text.push('\n');
    text
}

/// This document: OpenAPI 3.1.
#[utoipa::path(
    get, path = "/openapi.json", tag = "Documents", security(()),
    responses(
        (status = 200, description = "The document.", body = Value, headers(("ETag"))),
        (status = 304, description = "What `If-None-Match` names is still current.", headers(("ETag"))),
    ),
)]
pub async fn openapi(request: HttpRequest) -> HttpResponse {
    static SERVED: LazyLock<Cached> = LazyLock::new(|| Cached::new("application/json", Bytes::from(text())));
    respond::cached(&request, &SERVED)
}

#[cfg(test)]
mod tests;
