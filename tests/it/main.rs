//! The integration tests: one binary, the real `Application`, a database each, the sandbox as WhatsApp.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod api;
#[cfg(feature = "sandbox")]
mod browser;
#[cfg(feature = "sandbox")]
mod cli;
mod cluster;
mod connecting;
#[cfg(feature = "sandbox")]
mod crash;
#[cfg(feature = "sandbox")]
mod credentials;
#[cfg(feature = "sandbox")]
mod directory;
mod embedded;
#[cfg(feature = "sandbox")]
mod engine;
#[cfg(feature = "sandbox")]
mod event_log;
#[cfg(feature = "sandbox")]
mod events;
#[cfg(feature = "sandbox")]
mod faults;
#[cfg(feature = "sandbox")]
mod fleet;
#[cfg(feature = "sandbox")]
mod forwarding;
#[cfg(feature = "sandbox")]
mod healing;
mod imports;
#[cfg(feature = "sandbox")]
mod links;
#[cfg(feature = "sandbox")]
mod metrics;
#[cfg(feature = "sandbox")]
mod onboarding;
#[cfg(feature = "sandbox")]
mod onboarding_code;
#[cfg(feature = "sandbox")]
mod onboarding_passkey;
#[cfg(feature = "sandbox")]
mod receiving;
#[cfg(feature = "sandbox")]
mod sandbox;
#[cfg(feature = "sandbox")]
mod sending;
mod session_events;
mod supervisor;
mod support;
#[cfg(feature = "sandbox")]
mod vault_rotation;
#[cfg(feature = "sandbox")]
mod webhooks;
