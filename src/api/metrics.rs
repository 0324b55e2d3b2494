//! `/metrics`: what Prometheus scrapes, from the operator's listener only. It takes no credential, as scrapers expect none;
//! that listener is on loopback by default, and nothing here names a tenant.

use actix_web::HttpResponse;
use actix_web::http::header::CONTENT_TYPE;
use actix_web::web::Data;

use crate::telemetry::metrics::{self, Exposition};

/// The node's metrics in Prometheus's text format.
pub async fn metrics(exposition: Data<Exposition>) -> HttpResponse {
    HttpResponse::Ok().insert_header((CONTENT_TYPE, metrics::CONTENT_TYPE)).body(exposition.text())
}
