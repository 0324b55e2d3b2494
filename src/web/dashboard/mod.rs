//! The dashboard: what an account sees of its instances in a browser, and does with them.
//!
//! A page is made of what the API tells: a handler asks the API's own handlers in the caller's name (`told`) and lays
//! their documents out, so a page can show nothing that its account could not ask for, and an instance of another node is
//! carried there as any request is. What a page *does* goes to the same handlers below `/dashboard/v2`, from the small
//! modules in `assets/`. Signing in and out are forms, and need no script.

mod audit;
mod chrome;
mod documents;
mod instance;
mod instances;
mod keys;
mod moment;
mod pair;
mod plot;
mod sign_in;
mod sign_out;
mod told;
mod usage;
mod webhooks;

use actix_web::web::{self, ServiceConfig};

/// Adds the pages to the scope `/dashboard`.
pub fn pages(config: &mut ServiceConfig) {
    config
        .route("", web::get().to(instances::page))
        .route("/", web::get().to(instances::page))
        .route("/sign-in", web::get().to(sign_in::page))
        .route("/sign-in", web::post().to(sign_in::sign_in))
        .route("/sign-in/loopback", web::post().to(sign_in::sign_in_at_home))
        .route("/sign-out", web::post().to(sign_out::sign_out))
        .route("/pair", web::get().to(pair::page))
        .route("/pair/look", web::post().to(pair::look))
        .route("/pair/redeem", web::post().to(pair::redeem))
        .route("/instances/{instance_id}", web::get().to(instance::page))
        .route("/webhooks", web::get().to(webhooks::page))
        .route("/webhooks/{webhook_id}", web::get().to(webhooks::one))
        .route("/keys", web::get().to(keys::page))
        .route("/usage", web::get().to(usage::page))
        .route("/audit", web::get().to(audit::page));
}
