//! What people look at instead of reading: pages from the binary itself, server-rendered, with small ES modules that make
//! them live. No CDN, no bundler, no inline script.
//!
//! `page` says what every page's answer carries, `assets` serves what pages need besides, `dashboard` is for those
//! who hold an account, `link` for whoever was sent a link.

pub mod assets;
pub mod dashboard;
mod language;
pub mod link;
mod page;

pub use assets::address as asset;

use actix_web::web::{self, ServiceConfig};

use crate::api::routes::{self, Route};

/// The routes of every page.
pub fn routes() -> Vec<Route> {
    [routes::list(dashboard::pages), routes::list(link::pages)].concat()
}

/// Adds what pages need besides themselves.
pub fn configure(config: &mut ServiceConfig) {
    config.service(
        web::resource("/assets/{name}").route(web::get().to(assets::serve)).route(web::head().to(assets::serve)),
    );
}
