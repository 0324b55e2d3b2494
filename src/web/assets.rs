//! Styles and modules, from the binary.
//!
//! Under the name that [`address`] gives, which changes with what it holds, an asset is kept for good. Under its plain
//! name, by which modules import each other, it is asked for again each time.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, X_CONTENT_TYPE_OPTIONS};
use actix_web::{HttpRequest, HttpResponse, web};
use bytes::Bytes;
use rust_embed::RustEmbed;
use sha2::{Digest, Sha256};

#[derive(RustEmbed)]
#[folder = "src/web/assets/"]
struct Files;

struct Asset {
    content_type: &'static str,
    body: Bytes,
    address: String,
    hashed_name: String,
    etag: String,
}

static ASSETS: LazyLock<HashMap<String, Asset>> =
    LazyLock::new(|| Files::iter().filter_map(|name| Some((name.to_string(), Asset::of(&name)?))).collect());

impl Asset {
    fn of(name: &str) -> Option<Self> {
        let body = Bytes::from(Files::get(name)?.data.into_owned());
        let (stem, extension) = name.rsplit_once('.')?;
        let content_type = match extension {
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            "png" => "image/png",
            _ => return None,
        };
        let digest = Sha256::digest(&body);
        let (first, _) = digest.split_first_chunk().expect("a digest is longer than that");
        let hash = format!("{:016x}", u64::from_be_bytes(*first));
        let hashed_name = format!("{stem}-{hash}.{extension}");
        Some(Self {
            content_type,
            address: format!("/assets/{hashed_name}"),
            hashed_name,
            etag: format!("\"{hash}\""),
            body,
        })
    }
}

/// Where a page finds an asset.
pub fn address(name: &str) -> &'static str {
    &ASSETS.get(name).expect("templates name assets that there are; a test draws each of them").address
}

pub(super) async fn serve(request: HttpRequest, name: web::Path<String>) -> HttpResponse {
    let by_hash = |asset: &&Asset| asset.hashed_name == *name;
    let (asset, keep) = match (ASSETS.get(name.as_str()), ASSETS.values().find(by_hash)) {
        (Some(asset), _) => (asset, "public, no-cache"),
        (None, Some(asset)) => (asset, "public, max-age=31536000, immutable"),
        (None, None) => return HttpResponse::NotFound().finish(),
    };
    let known = request.headers().get(IF_NONE_MATCH).is_some_and(|tag| tag.as_bytes() == asset.etag.as_bytes());
    let mut answer = if known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header((CACHE_CONTROL, keep)).insert_header((ETAG, asset.etag.as_str()));
    answer.insert_header((X_CONTENT_TYPE_OPTIONS, "nosniff"));
    if known {
        return answer.finish();
    }
    answer.insert_header((CONTENT_TYPE, asset.content_type)).body(asset.body.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_asset_has_an_address_of_its_own() {
        for (name, asset) in ASSETS.iter() {
            assert_eq!(address(name), asset.address);
            assert_ne!(format!("/assets/{name}"), asset.address);
        }
        assert!(ASSETS.contains_key("style.css"));
    }
}
