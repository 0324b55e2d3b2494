//! `wagate openapi`: the document of the API, as the running gateway serves it at `/openapi.json`.

use std::io::{ErrorKind, Write};

use crate::api::openapi;

pub(super) fn run() -> anyhow::Result<()> {
    match std::io::stdout().write_all(openapi::text().as_bytes()) {
        // Whoever pipes it into a pager may close that before its end.
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}
