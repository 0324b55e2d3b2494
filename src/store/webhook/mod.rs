//! `webhook_*`: where accounts are told of events, and how far they have been told.
//!
//! An [`endpoint`] is told the logs of its instances, each by a [`stream`] of its own: a cursor over that log which one
//! worker claims at a time. What a stream goes on without, and what is to be told again, is delivered [`aside`]; what is
//! given up is kept among the [`dead_letter`]s. Every attempt leaves a line among the [`delivery`]s.
//!
//! A claim carries a number that grows with each: whoever writes names it, so a worker that slept through a takeover
//! changes nothing. A claim is void when it has run out, or when the node it was made by is no longer alive.

pub mod aside;
mod claim;
pub mod dead_letter;
pub mod delivery;
pub mod endpoint;
pub mod stream;

pub use claim::{Claimant, Free, Told};
