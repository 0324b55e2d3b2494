//! wagate: a self-hosted, multi-tenant WhatsApp gateway.
//!
//! # The story of one QR request
//!
//! `POST /v2/auth/qr` enters in [`api`]: the extractor reads the credential and the parameters from wherever the
//! caller put them, the token's own limit is checked, and the instance is looked up by id *and* account. The handler
//! then asks the [`supervisor`] for the live code and waits on the instance's published view, never on a clock. The
//! code itself came the other way: WhatsApp sent it to the [`engine`], the engine told the instance's actor, the actor
//! asked the pure function [`domain::session::step`] what that means, persisted the answer under its lease
//! ([`cluster`], [`store`]) and published it. [`qr`] draws a code once, on first demand; every later poll is served
//! the same shared bytes.
//!
//! # Who may import whom
//!
//! `domain` knows nothing of ours; `qr`, `config` and `outside` know `domain`; `telemetry`, `limit` and `store` know
//! `domain` and `config`; `media` adds `store` and `outside`; `engine` adds `media`; `cluster` adds `store`; `supervisor`
//! adds `engine` and `cluster`; `api` adds `supervisor`, `limit` and `qr`; `app` and `cli` know everything. The sandbox
//! knows only `domain` and `qr`, because the product must not be able to tell that it is talking to it. A test reads the
//! imports and fails on any other.

pub mod api;
pub mod app;
pub mod cli;
pub mod cluster;
pub mod config;
pub mod domain;
pub mod engine;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
pub mod lifecycle;
pub mod limit;
pub mod media;
pub mod outside;
pub mod qr;
#[cfg(feature = "sandbox")]
pub mod sandbox;
pub mod store;
pub mod supervisor;
pub mod telemetry;
pub mod web;
pub mod webhook;
