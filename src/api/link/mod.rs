//! What the hosted page of a link asks of the gateway. The token in the page's own path is the credential
//! ([`Admission::Link`](super::dashboard::Admission)) and reaches no further than its link.
//!
//! Loading the page asks for nothing: a chat that draws a preview of the link loads it too. Codes are asked for by the
//! stream that the page opens after its reader's tap, and only for as long as that is open.

mod opened;
#[cfg(feature = "sandbox")]
mod sandbox_phone;
mod stream;
mod told;

use super::auth;
use super::routes::{GET, POST, Routes, scoped};

pub use opened::{Opened, open};

/// Adds what the page asks, below the page itself.
pub(super) fn add(routes: &mut Routes<'_>) {
    routes
        .service(scoped("/link/{token}/events", GET).on(GET, stream::events))
        .service(scoped("/link/{token}/code", POST).on(POST, auth::request_code::request_code));
    #[cfg(feature = "sandbox")]
    routes.service(scoped("/link/{token}/sandbox-phone", POST).on(POST, sandbox_phone::scan));
}
