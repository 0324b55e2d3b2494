//! An account's own affairs: its settings and its keys.

pub(super) mod document;
pub mod keys;
pub mod settings;
