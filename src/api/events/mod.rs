//! `/v2/events`: an instance's log, a page at a time or as it grows. Any node answers: the log is in the database.

mod page;
pub(crate) mod query;
pub mod read;
mod stream;
