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
mod listing;
mod moment;
mod pair;
mod plot;
mod sign_in;
mod sign_out;
mod told;
mod usage;
mod webhooks;

use crate::api::routes::{GET, POST, READ, Routes, scoped};

/// Adds the pages to the scope `/dashboard`.
pub fn pages(routes: &mut Routes<'_>) {
    routes
        .service(scoped("/dashboard", GET).on(GET, instances::page))
        .service(scoped("/dashboard/", GET).on(GET, instances::page))
        .service(scoped("/dashboard/sign-in", READ).on(GET, sign_in::page).on(POST, sign_in::sign_in))
        .service(scoped("/dashboard/sign-in/loopback", POST).on(POST, sign_in::sign_in_at_home))
        .service(scoped("/dashboard/sign-out", POST).on(POST, sign_out::sign_out))
        .service(scoped("/dashboard/pair", GET).on(GET, pair::page))
        .service(scoped("/dashboard/pair/look", POST).on(POST, pair::look))
        .service(scoped("/dashboard/pair/redeem", POST).on(POST, pair::redeem))
        .service(scoped("/dashboard/instances/{instance_id}", GET).on(GET, instance::page))
        .service(scoped("/dashboard/webhooks", GET).on(GET, webhooks::page))
        .service(scoped("/dashboard/webhooks/{webhook_id}", GET).on(GET, webhooks::one))
        .service(scoped("/dashboard/keys", GET).on(GET, keys::page))
        .service(scoped("/dashboard/usage", GET).on(GET, usage::page))
        .service(scoped("/dashboard/audit", GET).on(GET, audit::page));
}
