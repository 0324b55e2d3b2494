//! The HTTP API over a real socket and a real database; the sessions behind it are scripted, so that every state of
//! the contract can be put in front of every route.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod about;
mod account;
mod admin;
mod audit;
mod cors;
mod credentials;
mod dashboard;
mod directory;
mod documents;
mod errors;
mod events;
mod forwarding;
mod gateway;
mod hostile;
mod idempotency;
mod letters;
mod limits;
mod link_page;
mod linking;
mod me;
mod multipart;
mod openapi;
mod operations;
mod passkey;
mod request_code;
mod script;
mod sending;
mod states;
mod temp_link;
mod tenants;
mod tokens;
mod transport;
mod usage;
#[cfg(feature = "sandbox")]
mod webhooks;
