//! What tests share.

pub(crate) mod database;
pub(crate) mod node;
pub(crate) mod scripted_engine;
