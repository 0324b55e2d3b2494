//! Which route answers to which methods, in one table.

use actix_web::guard::{self, Guard};
use actix_web::http::Method;
use actix_web::{FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, web};

use super::dashboard::Admission;
use super::error::ApiError;
use super::extract::drain;
use super::{
    about, account, admin, audit, auth, chats, contacts, cors, dashboard, docs, events, forward, groups, health, media,
    messages, metrics, openapi, send, session, usage, webhooks,
};

/// Methods, as the header `Allow` names them and as they are.
pub type Methods = (&'static str, &'static [Method]);

/// What is read and written.
pub const READ: Methods = ("GET, HEAD, POST", &[Method::GET, Method::HEAD, Method::POST]);
/// What is done.
pub const POST: Methods = ("POST", &[Method::POST]);
/// What is only read.
pub const GET: Methods = ("GET, HEAD", &[Method::GET, Method::HEAD]);
const CONTROL: Methods = ("POST, GET", &[Method::POST, Method::GET]);
const DELETE: Methods = ("DELETE, POST", &[Method::DELETE, Method::POST]);
const REVOKE: Methods = ("DELETE", &[Method::DELETE]);
const ALL: Methods = ("GET, HEAD, POST, DELETE", &[Method::GET, Method::HEAD, Method::POST, Method::DELETE]);
const POST_OR_DELETE: Methods = ("POST, DELETE", &[Method::POST, Method::DELETE]);

/// A route of the table.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// The pattern, as metrics and logs name it.
    pub path: &'static str,
    /// What it answers to; anything else is 405.
    pub methods: &'static [Method],
}

/// A route and what answers there.
pub struct Served {
    route: Route,
    resource: Resource,
}

/// Takes routes: into an application, or just into a list.
#[derive(Default)]
pub struct Routes<'a> {
    config: Option<&'a mut web::ServiceConfig>,
    listed: Vec<Route>,
}

impl<'a> Routes<'a> {
    /// Into an application.
    pub(super) fn of(config: &'a mut web::ServiceConfig) -> Self {
        Self { config: Some(config), listed: Vec::new() }
    }

    /// Takes one.
    pub fn service(&mut self, served: Served) -> &mut Self {
        self.listed.push(served.route);
        if let Some(config) = &mut self.config {
            config.service(served.resource);
        }
        self
    }
}

/// Every route of the public listener.
pub fn public() -> Vec<Route> {
    list(add)
}

/// Every route of the operator's listener.
pub fn operator() -> Vec<Route> {
    list(add_operator)
}

/// Every route of either listener; one that both have is there twice.
pub fn table() -> Vec<Route> {
    [public(), operator()].concat()
}

/// The routes that something adds.
pub fn list(add: fn(&mut Routes<'_>)) -> Vec<Route> {
    let mut routes = Routes::default();
    add(&mut routes);
    routes.listed
}

/// The pattern that a request matched, if any.
pub(super) fn matched(request: &HttpRequest) -> Option<&'static str> {
    request.app_data::<Route>().map(|route| route.path)
}

/// Adds every route of the public listener but those of pages and of what they ask.
pub(super) fn add(config: &mut Routes<'_>) {
    add_calls(config);
    config
        .service(route("/api/qr", GET, dashboard::qr::qr).admitting(Admission::Either))
        .service(route("/api/v1/qr", GET, dashboard::qr::qr_v1).admitting(Admission::Either))
        .service(route("/about", GET, about::about))
        .service(route("/openapi.json", GET, openapi::openapi))
        .service(route("/docs", GET, docs::page))
        .service(route("/docs/{file}", GET, docs::asset));
    add_health(config);
}

/// Adds what an account calls: below `/v2` with a token, below `/dashboard/v2` with the dashboard's cookie.
pub(super) fn add_calls(config: &mut Routes<'_>) {
    config
        .service(route("/v2/auth/qr", READ, auth::qr::qr))
        .service(route("/v2/auth/qr-image", READ, auth::qr_image::qr_image))
        .service(route("/v2/auth/request-code", POST, auth::request_code::request_code))
        .service(resource("/v2/auth/passkey", READ).on(GET, auth::passkey::ask).on(POST, auth::passkey::answer))
        .service(route("/v2/session/create", POST, session::create::create))
        .service(route("/v2/session/list", READ, session::list::list))
        .service(route("/v2/session/info", READ, session::info::info))
        .service(route("/v2/session/me", GET, session::me::me))
        .service(
            resource("/v2/session/temp-link", ALL)
                .on(GET, session::temp_link::show)
                .on(POST, session::temp_link::mint)
                .on(REVOKE, session::temp_link::end),
        )
        .service(
            resource("/v2/session/rate-limit", READ)
                .on(GET, session::rate_limit::show)
                .on(POST, session::rate_limit::change),
        )
        .service(route("/v2/session/start", CONTROL, session::start::start))
        .service(route("/v2/session/stop", CONTROL, session::stop::stop))
        .service(route("/v2/session/restart", CONTROL, session::restart::restart))
        .service(route("/v2/session/logout", POST, session::logout::logout))
        .service(route(forward::DELETE, DELETE, session::delete::delete))
        .service(
            resource("/v2/session/token", ALL)
                .on(GET, session::token::list)
                .on(POST, session::token::mint)
                .on(REVOKE, session::token::revoke),
        )
        .service(route("/v2/session/token/rotate", POST, session::token::rotate))
        .service(route("/v2/send/text", CONTROL, send::text::text))
        .service(route("/v2/send/image", POST, send::files::image))
        .service(route("/v2/send/video", POST, send::files::video))
        .service(route("/v2/send/voice", POST, send::files::voice))
        .service(route("/v2/send/audio", POST, send::files::audio))
        .service(route("/v2/send/pdf", POST, send::files::pdf))
        .service(route("/v2/send/document", POST, send::files::document))
        .service(route("/v2/send/sticker", POST, send::files::sticker))
        .service(route("/v2/send/location", POST, send::location::location))
        .service(route("/v2/send/contact", POST, send::contact::contact))
        .service(route("/v2/send/poll", POST, send::poll::poll))
        .service(route("/v2/send/reaction", POST, send::reaction::reaction))
        .service(route("/v2/send/seen", POST, send::seen::seen))
        .service(route("/v2/send/typing", POST, send::typing::typing))
        .service(route("/v2/messages/edit", POST, messages::edit::edit))
        .service(route("/v2/messages/delete", POST, messages::delete::delete))
        .service(route("/v2/messages/retry", POST, messages::retry::retry))
        .service(route("/v2/messages/{message_id}", GET, messages::show::show))
        .service(route("/v2/contacts/check", READ, contacts::check::check))
        .service(route("/v2/contacts/profile-picture", READ, contacts::profile_picture::profile_picture))
        .service(route("/v2/chats/read", POST, chats::read::read))
        .service(route("/v2/chats/unread", POST, chats::unread::unread))
        .service(route("/v2/chats/archive", POST, chats::archive::archive))
        .service(route("/v2/chats/unarchive", POST, chats::unarchive::unarchive))
        .service(resource("/v2/groups", READ).on(GET, groups::list::list).on(POST, groups::create::create))
        .service(route("/v2/groups/{group_id}", GET, groups::show::show))
        .service(route("/v2/groups/{group_id}/invite-code", GET, groups::invite_code::invite_code))
        .service(route(
            "/v2/groups/{group_id}/invite-code/revoke",
            POST,
            groups::revoke_invite_code::revoke_invite_code,
        ))
        .service(
            resource("/v2/groups/{group_id}/participants", POST_OR_DELETE)
                .on(POST, groups::add_participants::add_participants)
                .on(REVOKE, groups::remove_participants::remove_participants),
        )
        .service(route("/v2/groups/{group_id}/leave", POST, groups::leave::leave))
        .service(resource("/v2/account", READ).on(GET, account::settings::show).on(POST, account::settings::change))
        .service(
            resource("/v2/account/keys", ALL)
                .on(GET, account::keys::list)
                .on(POST, account::keys::mint)
                .on(REVOKE, account::keys::revoke),
        )
        .service(route("/v2/account/keys/rotate", POST, account::keys::rotate))
        .service(route("/v2/media/{message_id}", GET, media::show::show))
        .service(route("/v2/contacts/erase", POST, contacts::erase::erase))
        .service(route("/v2/events", GET, events::read::read))
        .service(route("/v2/audit", GET, audit::page))
        .service(route("/v2/usage", GET, usage::usage));
    add_webhooks(config);
}

/// Adds what is about webhooks.
fn add_webhooks(config: &mut Routes<'_>) {
    config
        .service(
            resource("/v2/session/webhook", ALL)
                .on(GET, session::webhook::show)
                .on(POST, session::webhook::set)
                .on(REVOKE, session::webhook::end),
        )
        .service(resource("/v2/webhooks", READ).on(GET, webhooks::list::list).on(POST, webhooks::create::create))
        .service(
            resource("/v2/webhooks/{webhook_id}", ALL)
                .on(GET, webhooks::show::show)
                .on(POST, webhooks::change::change)
                .on(REVOKE, webhooks::delete::delete),
        )
        .service(route("/v2/webhooks/{webhook_id}/rotate-secret", POST, webhooks::rotate_secret::rotate_secret))
        .service(route("/v2/webhooks/{webhook_id}/test", POST, webhooks::test::test))
        .service(route("/v2/webhooks/{webhook_id}/deliveries", GET, webhooks::deliveries::deliveries))
        .service(route("/v2/webhooks/{webhook_id}/dead-letters", GET, webhooks::dead_letters::dead_letters))
        .service(route("/v2/webhooks/{webhook_id}/replay", POST, webhooks::replay::replay));
}

/// Adds what the operator's listener serves.
pub(super) fn add_operator(config: &mut Routes<'_>) {
    config
        .service(resource("/v2/admin/accounts", READ).on(GET, admin::accounts::list).on(POST, admin::create::create))
        .service(
            resource("/v2/admin/accounts/{account_id}", ALL)
                .on(GET, admin::accounts::show)
                .on(POST, admin::accounts::change)
                .on(REVOKE, admin::delete::delete),
        )
        .service(route("/v2/admin/accounts/{account_id}/keys", POST, admin::accounts::mint_key))
        .service(route("/v2/admin/nodes", GET, admin::nodes::list))
        .service(route("/metrics", GET, metrics::metrics));
    add_health(config);
}

/// Adds the health of the node, which both listeners tell.
fn add_health(config: &mut Routes<'_>) {
    config.service(route("/health/live", GET, health::live)).service(route("/health/ready", GET, health::ready));
}

/// A resource that does one thing, whichever of `methods` it is asked by.
fn route<F, Args>(path: &'static str, methods: Methods, handler: F) -> Served
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource(path, methods).on(methods, handler)
}

/// A resource that answers to `methods` as [`Served::on`] will say, to a browser that asks for a page with what it may
/// do, and to any other with 405.
fn resource(path: &'static str, methods: Methods) -> Served {
    served(path, path, methods)
}

/// Like `resource`, of a scope, whose name is the first part of the pattern: `/link/{token}` of the scope `/link`.
pub fn scoped(pattern: &'static str, methods: Methods) -> Served {
    let within = pattern.get(1..).and_then(|rest| rest.split_once('/')).map_or(0, |(_, within)| within.len() + 1);
    served(pattern, &pattern[pattern.len() - within..], methods)
}

fn served(pattern: &'static str, path: &'static str, (allow, methods): Methods) -> Served {
    let route = Route { path: pattern, methods };
    let other = move |request: HttpRequest, payload: web::Payload| async move {
        match cors::preflight(&request, allow) {
            None => refuse(payload, ApiError::MethodNotAllowed { allow }).await,
            Some(answer) => drain(&mut payload.into_inner()).await.map(|()| answer),
        }
    };
    Served { route, resource: web::resource(path).app_data(route).default_service(web::to(other)) }
}

impl Served {
    /// It takes these credentials.
    fn admitting(self, admission: Admission) -> Self {
        Self { resource: self.resource.app_data(admission), ..self }
    }

    /// Some of its methods do this.
    #[must_use]
    pub fn on<F, Args>(self, (_, methods): Methods, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let resource = self.resource.route(web::route().guard(any_of(methods)).to(handler));
        Self { resource, ..self }
    }
}

fn any_of(methods: &'static [Method]) -> impl Guard {
    guard::fn_guard(move |context| methods.contains(&context.head().method))
}

/// What answers where there is no route.
pub(super) async fn no_route(_: HttpRequest, payload: web::Payload) -> Result<HttpResponse, ApiError> {
    refuse(payload, ApiError::NotFound).await
}

/// Refuses after the body was read, so that the connection lives on.
async fn refuse(payload: web::Payload, error: ApiError) -> Result<HttpResponse, ApiError> {
    // A body too large ends the connection as it would on any route, and is the clearer answer.
    drain(&mut payload.into_inner()).await?;
    Err(error)
}

#[cfg(test)]
mod tests {
    use actix_web::App;
    use actix_web::test::{TestRequest, call_service, init_service};

    use super::*;

    #[tokio::test]
    async fn a_resource_of_a_scope_is_found_at_its_pattern() {
        let add = |config: &mut web::ServiceConfig| {
            let mut routes = Routes::of(config);
            for pattern in ["/link", "/link/", "/link/{token}", "/link/{token}/events"] {
                routes.service(
                    scoped(pattern, GET)
                        .on(GET, |request: HttpRequest| async move { matched(&request).unwrap_or_default() }),
                );
            }
        };
        let service = init_service(App::new().service(web::scope("/link").configure(add))).await;
        for (path, pattern) in [
            ("/link", "/link"),
            ("/link/", "/link/"),
            ("/link/x", "/link/{token}"),
            ("/link/x/events", "/link/{token}/events"),
        ] {
            let answer = call_service(&service, TestRequest::get().uri(path).to_request()).await;
            assert_eq!(actix_web::test::read_body(answer).await, pattern, "{path}");
        }
    }
}
