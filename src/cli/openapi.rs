//! `wagate openapi`: the document of the API, as the running gateway serves it at `/openapi.json`.

use std::io::Write;

use crate::api::openapi;

pub(super) fn run() -> anyhow::Result<()> {
    // Whoever pipes it into a pager may close that before its end.
    let _ = std::io::stdout().write_all(openapi::text().as_bytes());
    Ok(())
}
