//! The hosted page of a link: what a customer's customer sees. They have no account, may read any language, and came here
//! from a chat: the page says one thing at a time, and never that they did something wrong.
//!
//! All that the page can say is drawn by the server, in the reader's language; `assets/link.js` shows the part that is
//! true now and follows the gateway's stream.

mod page;

use crate::api::routes::{GET, Routes, scoped};

/// Adds the page to the scope `/link`.
pub fn pages(routes: &mut Routes<'_>) {
    routes.service(scoped("/link/{token}", GET).on(GET, page::page));
}
