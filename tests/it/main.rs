//! The integration tests: one binary, the real `Application`, a database each, the sandbox as WhatsApp.
#![allow(missing_docs)]

mod api;
mod cluster;
mod supervisor;
mod support;
