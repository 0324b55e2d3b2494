//! Webhooks: events on their way to an account's own servers.
//!
//! [`outbox::Outbox`] looks which logs have something to tell, and has it told: `courier` takes one stream at a time,
//! in the order of its numbers, [`sender`] makes the requests. [`target`] decides where a request may go at all,
//! [`signature`] lets the receiver know who sent it, [`schedule`] says when to try again. [`upkeep`] forgets what was
//! kept for long enough.

mod courier;
pub mod outbox;
pub mod schedule;
pub mod sender;
pub mod signature;
pub mod upkeep;

pub use crate::outside::target;
