//! The life of instances: one file per operation.

pub mod create;
pub mod delete;
mod document;
pub mod info;
pub mod list;
pub mod logout;
pub mod me;
mod metadata;
pub mod rate_limit;
pub mod restart;
pub mod start;
pub mod stop;
pub mod token;

pub(super) use document::maybe_time;
pub mod temp_link;
