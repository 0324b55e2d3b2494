//! `/about`: which program this is, under which licences, and where its source is. The binary is distributed under
//! AGPL-3.0 (`NOTICE`): whoever meets a modified one over a network may ask for its source.

use actix_web::HttpResponse;
use actix_web::http::StatusCode;
use actix_web::web::Data;
use serde::Serialize;
use utoipa::ToSchema;

use super::respond;
use super::state::ApiState;

/// What this gateway is.
#[derive(Serialize, ToSchema)]
struct About<'a> {
    #[schema(value_type = String, example = "wagate")]
    name: &'static str,
    #[schema(value_type = String, example = "0.1.0")]
    version: &'static str,
    licences: Licences,
    /// Where the source of this very program is, if its operator has said so.
    #[schema(required = true)]
    source_url: Option<&'a str>,
    /// The same in words.
    notice: String,
}

/// SPDX expressions.
#[derive(Serialize, ToSchema)]
struct Licences {
    /// Of wagate's own source.
    #[schema(value_type = String, example = "MIT OR Apache-2.0")]
    source: &'static str,
    /// Of the program that answers, with all it links.
    #[schema(value_type = String, example = "AGPL-3.0-only")]
    binary: &'static str,
}

/// Version, licences and the address of the source.
#[utoipa::path(
    get, path = "/about", tag = "Documents", security(()),
    responses((status = 200, description = "What this gateway is.", body = inline(About))),
)]
#[tracing::instrument(skip_all)]
pub(super) async fn about(state: Data<ApiState>) -> HttpResponse {
    let source_url = Some(state.source_url.as_str()).filter(|url| !url.is_empty());
    let place = match source_url {
        Some(url) => format!("Its source is at {url}."),
        None => "Its operator has not said where its source is (server.source_url): ask them for it.".to_owned(),
    };
    let about = About {
        name: env!("CARGO_PKG_NAME"),
        version: env!("CARGO_PKG_VERSION"),
        licences: Licences { source: env!("CARGO_PKG_LICENSE"), binary: "AGPL-3.0-only" },
        source_url,
        notice: format!(
            "This program links wacore-libsignal, most of which is AGPL-3.0-only (Signal), and is therefore distributed \
             under AGPL-3.0. {place}"
        ),
    };
    respond::json(StatusCode::OK, &about)
}
