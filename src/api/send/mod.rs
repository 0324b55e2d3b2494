//! Messages out: one file per kind, and `accept`, the way that all of them go.

mod accept;
pub mod contact;
mod document;
mod file;
pub mod files;
pub mod location;
pub mod poll;
pub mod reaction;
pub mod seen;
mod source;
pub mod text;
pub mod typing;

pub(super) use accept::{Form, Reference, referred, refusal};
pub(super) use document::{Accepted, MessageStatus, Taken, answer};
