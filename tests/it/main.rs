//! The integration tests: one binary, the real `Application`, a database each, the sandbox as WhatsApp.
#![allow(missing_docs)]

mod cluster;
mod connecting;
mod embedded;
mod engine;
mod imports;
#[cfg(feature = "sandbox")]
mod sandbox;
mod supervisor;
mod support;
