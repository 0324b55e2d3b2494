//! The HTTP API over a real socket and a real database; the sessions behind it are scripted, so that every state of
//! the contract can be put in front of every route.

#![expect(clippy::unwrap_used, reason = "a test ends where it is surprised")]

mod credentials;
mod documents;
mod forwarding;
mod gateway;
mod hostile;
mod limits;
mod linking;
mod operations;
mod script;
mod tenants;
mod transport;
