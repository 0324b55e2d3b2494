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

use actix_web::guard;
use actix_web::web::{self, ServiceConfig};

use super::auth;

pub use opened::{Opened, open};

/// Adds what the page asks, below the page itself.
pub(super) fn add(config: &mut ServiceConfig) {
    let read = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    config
        .service(web::resource("/{token}/events").route(read().to(stream::events)))
        .service(web::resource("/{token}/code").route(web::post().to(auth::request_code::request_code)));
    #[cfg(feature = "sandbox")]
    config.service(web::resource("/{token}/sandbox-phone").route(web::post().to(sandbox_phone::scan)));
}
