//! The HTTP API: requests enter here.
//!
//! [`extract::Call`] reads a request and makes the checks that come before any handler, in the order the contract gives
//! them; a handler reads its parameters, finds its instance, calls one method of [`sessions::Sessions`] and responds;
//! `answer` puts the common headers on and renders errors. One file per operation under [`auth`], [`session`], [`send`],
//! [`messages`] and [`webhooks`].

mod about;
pub mod account;
pub mod admin;
mod answer;
pub mod audit;
pub mod auth;
pub mod chats;
mod connection;
pub mod contacts;
mod cors;
pub mod dashboard;
pub mod directory;
mod docs;
pub mod erasure;
pub mod error;
pub mod events;
pub mod extract;
mod forward;
pub mod groups;
pub mod health;
mod idempotency;
mod keyring;
pub mod link;
pub mod media;
pub mod messages;
pub mod metrics;
pub mod openapi;
mod respond;
pub mod routes;
pub mod send;
mod server;
pub mod session;
pub mod sessions;
pub mod state;
mod stream;
pub mod tokens;
pub mod upkeep;
pub mod usage;
pub mod webhooks;

use actix_web::middleware::{Condition, from_fn};
use actix_web::web::{self, Data, ServiceConfig};

use crate::telemetry::metrics::Exposition;

use dashboard::Admission;
use routes::Routes;

/// The longest a request may ask to wait, for a code or for a status, in seconds.
pub const LONGEST_WAIT: u32 = 25;

/// Below which path links lead to their pages.
pub const LINK: &str = "/link";

/// Below which path the dashboard is.
pub const DASHBOARD: &str = "/dashboard";

pub use server::serve;
pub use state::{ApiParts, ApiState};

/// Adds the API to an actix application: `App::new().configure(api::configure(&state))`. Whatever no other service took
/// is answered here, so it comes last.
pub fn configure(state: &Data<ApiState>) -> impl FnOnce(&mut ServiceConfig) + use<> {
    framed(state, true, routes::add)
}

/// Adds what the operator's listener serves: accounts, nodes, metrics, and the health of this node.
pub fn configure_operator(
    state: &Data<ApiState>,
    exposition: &Data<Exposition>,
) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let (exposition, add) = (exposition.clone(), framed(state, false, routes::add_operator));
    move |config: &mut ServiceConfig| {
        config.app_data(exposition);
        add(config);
    }
}

/// Adds the pages of links, and what they ask. It comes before [`configure`].
pub fn configure_links(state: &Data<ApiState>, pages: fn(&mut Routes<'_>)) -> impl FnOnce(&mut ServiceConfig) + use<> {
    scope(state, LINK, Admission::Link, move |routes| {
        pages(routes);
        link::add(routes);
    })
}

/// Adds the dashboard: its `pages`, and below `/dashboard/v2` the same handlers as below `/v2` for whoever is signed in.
/// It comes before [`configure`].
pub fn configure_dashboard(
    state: &Data<ApiState>,
    pages: fn(&mut Routes<'_>),
) -> impl FnOnce(&mut ServiceConfig) + use<> {
    scope(state, DASHBOARD, Admission::Session, move |routes| {
        routes::add_calls(routes);
        pages(routes);
    })
}

/// What is served below a path, to those whom `admission` lets in.
fn scope<F: FnOnce(&mut Routes<'_>)>(
    state: &Data<ApiState>,
    path: &'static str,
    admission: Admission,
    add: F,
) -> impl FnOnce(&mut ServiceConfig) + use<F> {
    let state = state.clone();
    move |config: &mut ServiceConfig| {
        config.service(
            web::scope(path)
                .app_data(state)
                .app_data(admission)
                .wrap(from_fn(answer::frame))
                .configure(|config| add(&mut Routes::of(config)))
                .default_service(web::to(routes::no_route)),
        );
    }
}

/// `shared`: with the pages of other origins.
fn framed(state: &Data<ApiState>, shared: bool, add: fn(&mut Routes<'_>)) -> impl FnOnce(&mut ServiceConfig) + use<> {
    let state = state.clone();
    move |config: &mut ServiceConfig| {
        config.service(
            web::scope("")
                .app_data(state)
                .wrap(from_fn(answer::frame))
                .wrap(Condition::new(shared, from_fn(cors::share)))
                .configure(|config| add(&mut Routes::of(config)))
                .default_service(web::to(routes::no_route)),
        );
    }
}
