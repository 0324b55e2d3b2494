//! `/docs`: Swagger UI on `/openapi.json`, all of it from this program: nothing is fetched from elsewhere, and the page's
//! policy forbids it to. The two files that are ours lie beside this one.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use actix_web::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, HeaderValue};
use actix_web::{HttpRequest, HttpResponse};
use bytes::Bytes;
use utoipa_swagger_ui::Config;

use super::error::ApiError;
use super::openapi::answers::Missing;
use super::respond::{self, Cached};

/// Scripts and styles only from here, none within the page; requests only to this gateway; in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// What the page needs of Swagger UI's distribution.
const OF_SWAGGER_UI: [&str; 3] = ["swagger-ui.css", "swagger-ui-bundle.js", "favicon-32x32.png"];

/// The page that calls this API by hand.
#[utoipa::path(
    get, path = "/docs", tag = "Documents", security(()),
    responses(
        (status = 200, description = "The page.", body = String, content_type = "text/html", headers(("ETag"))),
        (status = 304, description = "What `If-None-Match` names is still current.", headers(("ETag"))),
    ),
)]
pub(super) async fn page(request: HttpRequest) -> HttpResponse {
    static PAGE: LazyLock<Cached> =
        LazyLock::new(|| Cached::new("text/html; charset=utf-8", Bytes::from_static(include_bytes!("index.html"))));
    let mut answer = respond::cached(&request, &PAGE);
    answer.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    answer
}

/// A script, style or image of that page; those of Swagger UI are always compressed with gzip.
#[utoipa::path(
    get, path = "/docs/{file}", tag = "Documents", security(()),
    params(("file" = String, Path, description = "Its name.", example = "swagger-ui.css")),
    responses(
        (status = 200, description = "The file.", headers(("ETag")), content(
            (String = "text/css"), (String = "text/javascript"), (Vec<u8> = "image/png"),
        )),
        (status = 304, description = "What `If-None-Match` names is still current.", headers(("ETag"))),
        Missing,
    ),
)]
pub(super) async fn asset(request: HttpRequest) -> Result<HttpResponse, ApiError> {
    static ASSETS: LazyLock<HashMap<&'static str, Asset>> = LazyLock::new(assets);
    let asset = ASSETS.get(request.match_info().query("file")).ok_or(ApiError::NotFound)?;
    let mut answer = respond::cached(&request, &asset.cached);
    if asset.is_gzip {
        answer.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    Ok(answer)
}

struct Asset {
    cached: Cached,
    is_gzip: bool,
}

fn assets() -> HashMap<&'static str, Asset> {
    let start = Bytes::from_static(include_bytes!("start.js"));
    let start = Asset { cached: Cached::new("text/javascript", start), is_gzip: false };
    let config = Arc::new(Config::from("/openapi.json"));
    let of_swagger_ui = OF_SWAGGER_UI.into_iter().map(|name| {
        let file = utoipa_swagger_ui::serve(name, Arc::clone(&config));
        let file = file.ok().flatten().expect("Swagger UI's distribution has the file");
        let cached = Cached::new(media_type(name), Bytes::from(file.bytes.into_owned()));
        (name, Asset { cached, is_gzip: file.gzpipped })
    });
    of_swagger_ui.chain([("start.js", start)]).collect()
}

fn media_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map(|(_, ending)| ending) {
        Some("css") => "text/css",
        Some("js") => "text/javascript",
        _ => "image/png",
    }
}
