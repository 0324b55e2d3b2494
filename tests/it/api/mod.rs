//! The HTTP API over a real socket and a real database; the sessions behind it are scripted, so that every state of
//! the contract can be put in front of every route.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod credentials;
mod documents;
mod forwarding;
mod gateway;
mod limits;
mod linking;
mod operations;
mod passkey;
mod request_code;
mod script;
mod states;
mod tenants;
mod transport;
