//! `/v2/media`: the files of messages that came in.

pub(crate) mod disposition;
mod obtain;
pub(crate) mod range;
pub mod show;
