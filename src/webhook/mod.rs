//! Webhooks: events on their way to an account's own servers.
//!
//! [`target`] decides where a request may go at all, [`signature`] lets the receiver know who sent it, [`schedule`] says
//! when to try again.

pub mod schedule;
pub mod signature;

pub use crate::outside::target;
