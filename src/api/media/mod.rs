//! `/v2/media`: the files of messages that came in.

mod disposition;
mod obtain;
mod range;
pub mod show;
